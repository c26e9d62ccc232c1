-- Idempotency keys: what is claimed, stored, given again, refused and forgotten.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS muster CASCADE;
CREATE EXTENSION muster;
\set one '''00000000-0000-0000-0000-000000000001'''
\set two '''00000000-0000-0000-0000-000000000002'''

-- As the proxy does it: one statement, in which the call runs only if the claim says so. With the function's own
-- columns where it has any of these, else nulls.
CREATE TABLE things (id int GENERATED ALWAYS AS IDENTITY, name text UNIQUE);
CREATE FUNCTION make(name text, OUT body json, OUT location text) LANGUAGE sql
AS $$ INSERT INTO things (name) VALUES (name) RETURNING to_json(things), '/things/' || id $$;
CREATE FUNCTION send(api_key uuid, key text, name text, path text DEFAULT '/things')
RETURNS TABLE (outcome text, status int, body text, location text, same_xid bool) LANGUAGE sql
AS $$
SELECT c.outcome, coalesce(c.status, n.status, 201), coalesce(c.body, n.body), coalesce(c.location, n.location),
       c.xid = (SELECT t.xmin::text::xid8 FROM things t WHERE t.name = send.name)
  FROM muster.idempotency_claim(api_key, key, 'POST', path, sha256(convert_to(name, 'UTF8'))) c
  LEFT JOIN LATERAL (SELECT x.* FROM (SELECT NULL::int) d(status), LATERAL (
         SELECT r.body::text, status, r.location FROM make(name) r WHERE c.outcome = 'run' OFFSET 0) x) n ON true,
       LATERAL (SELECT CASE WHEN c.outcome = 'run' AND n.body IS NOT NULL THEN muster.idempotency_store(
         api_key, key, 'POST', path, sha256(convert_to(name, 'UTF8')), coalesce(n.status, 201), n.body, NULL, n.location) END OFFSET 0) s
$$;
SELECT * FROM send(:one, 'k', 'a');
SELECT * FROM send(:one, 'k', 'a');
SELECT * FROM send(:one, 'k', 'b');
-- The key is its owner's, the path's and the method's.
SELECT * FROM send(:two, 'k', 'c');
SELECT * FROM send(:one, 'k', 'd', '/others');
SELECT outcome FROM muster.idempotency_claim(:one, 'k', 'PUT', '/things', 'x');
SELECT id, name FROM things ORDER BY id;
-- What fails leaves nothing behind: the next one runs.
SELECT * FROM send(:one, 'again', 'a');
SELECT count(*) FROM muster.idempotency_records WHERE key = 'again';
SELECT outcome, body IS NOT NULL AS made FROM send(:one, 'again', 'e');

-- Past its time a record is nobody's, and the key is free for another request.
UPDATE muster.idempotency_records SET expires_at = clock_timestamp() WHERE key = 'again';
SELECT outcome, body IS NOT NULL AS made FROM send(:one, 'again', 'f');
SELECT outcome FROM send(:one, 'again', 'f');
SELECT key, expires_at > clock_timestamp() + '23:59' AND expires_at < clock_timestamp() + '24:01' AS lives_a_day
  FROM muster.idempotency_records WHERE key = 'again';
-- Expired ones go, a bounded number at a time.
INSERT INTO muster.idempotency_records (scope, api_key, key, method, path, fingerprint, status, body, expires_at)
SELECT sha256(n::text::bytea), :one, 'old', 'POST', '/', 'x', 200, '{}', clock_timestamp() - n * interval '1 s' FROM generate_series(1, 1500) n;
SELECT muster.expire_idempotency_records(10), muster.expire_idempotency_records(), muster.expire_idempotency_records(), muster.expire_idempotency_records(NULL);
SELECT count(*) FROM muster.idempotency_records;
-- Writing alone is enough for that.
INSERT INTO muster.idempotency_records (scope, api_key, key, method, path, fingerprint, status, body, expires_at)
SELECT sha256(n::text::bytea), :one, 'old', 'POST', '/', 'x', 200, '{}', clock_timestamp() FROM generate_series(1, 500) n;
SELECT count(muster.idempotency_store(:one, 'new ' || n, 'POST', '/', 'x', 200, '{}')) FROM generate_series(1, 2000) n;
SELECT key, count(*) FROM muster.idempotency_records WHERE key IN ('old') GROUP BY 1;

-- A transaction id of another cluster's future says nothing here.
UPDATE muster.idempotency_records SET xid = '9223372036854775807' WHERE key = 'k';
SELECT outcome, same_xid FROM send(:one, 'k', 'a');

-- What is no request.
SELECT * FROM muster.idempotency_claim(:one, '', 'POST', '/', 'x');
SELECT * FROM muster.idempotency_claim(:one, repeat('k', 256), 'POST', '/', 'x');
SELECT * FROM muster.idempotency_claim(:one, NULL, 'POST', '/', 'x');
SELECT * FROM muster.idempotency_claim(NULL, 'k', 'POST', '/', 'x');
SELECT outcome FROM muster.idempotency_claim(:one, repeat('k', 255), 'POST', repeat('/path', 4000), 'x');

-- Who may what: writers claim and store, and see no record that they cannot name.
CREATE ROLE regress_muster_writer IN ROLE muster_writer;
CREATE ROLE regress_muster_reader IN ROLE muster_reader;
SET ROLE regress_muster_writer;
SELECT outcome FROM muster.idempotency_claim(:one, 'w', 'POST', '/', 'x');
SELECT muster.idempotency_store(:one, 'w', 'POST', '/', 'x', 200, '{}');
SELECT outcome, status, body FROM muster.idempotency_claim(:one, 'w', 'POST', '/', 'x');
SELECT count(*) FROM muster.idempotency_records;
SELECT muster.expire_idempotency_records();
SET ROLE regress_muster_reader;
SELECT outcome FROM muster.idempotency_claim(:one, 'w', 'POST', '/', 'x');
RESET ROLE;

-- A publication of everything takes the records along, and their deletion.
SET client_min_messages = error;
CREATE PUBLICATION regress_muster_everything FOR ALL TABLES;
SET client_min_messages = warning;
DELETE FROM muster.idempotency_records;
DROP PUBLICATION regress_muster_everything;

DROP EXTENSION muster CASCADE;
DROP FUNCTION send, make;
DROP TABLE things;
DROP ROLE regress_muster_writer, regress_muster_reader;
