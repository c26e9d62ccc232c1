-- Publishing: which changes are announced, in which order, whoever makes them by whatever statement.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS muster CASCADE;
CREATE EXTENSION muster;
-- What is new in the outbox since the last look.
CREATE TEMP TABLE seen (seq bigint);
INSERT INTO seen VALUES (0);
CREATE FUNCTION pg_temp.news(OUT event_type text, OUT aggregate_id text, OUT tags text[], OUT payload json)
RETURNS SETOF record LANGUAGE sql AS $$
    WITH old AS (SELECT max(seq) AS seq FROM seen),
         remember AS (INSERT INTO seen SELECT coalesce(max(o.seq), 0) FROM muster.outbox o)
    SELECT o.event_type, o.aggregate_id, o.tags, o.payload
      FROM muster.outbox o, old WHERE o.seq > old.seq ORDER BY o.seq
$$;
CREATE SCHEMA shop;

-- An update that changes nothing that is published sends nothing, and nothing else is ever told.
CREATE TABLE shop.people (id int PRIMARY KEY, name text, secret text, seen timestamptz, agent_id int);
INSERT INTO shop.people VALUES (1, 'ann', 's', NULL, 7);
SELECT muster.publish('shop.people', 'person', columns => '{name,seen}');
UPDATE shop.people SET secret = 't';
UPDATE shop.people SET name = 'ann', seen = NULL;
SELECT count(*) FROM pg_temp.news();
UPDATE shop.people SET secret = 'u', seen = '2024-01-01 00:00+00';
UPDATE shop.people SET id = 2;
UPDATE shop.people SET agent_id = 8;
DELETE FROM shop.people;
SELECT * FROM pg_temp.news();
-- The same with each payload.
SELECT muster.publish('shop.people', 'person', 'row', columns => '{name}');
INSERT INTO shop.people VALUES (1, 'bob', 's');
UPDATE shop.people SET secret = 't';
UPDATE shop.people SET name = 'rob';
DELETE FROM shop.people;
SELECT muster.publish('shop.people', 'person', 'key', columns => '{name}');
INSERT INTO shop.people VALUES (1, 'bob', 's');
UPDATE shop.people SET secret = 't';
UPDATE shop.people SET name = 'rob';
DELETE FROM shop.people;
SELECT * FROM pg_temp.news();
-- Without columns every column counts, whatever is shown: caches live by these messages.
SELECT muster.publish('shop.people', 'person', 'key');
INSERT INTO shop.people VALUES (1, 'bob', 's');
UPDATE shop.people SET secret = 't';
UPDATE shop.people SET secret = 't', name = 'bob';
SELECT muster.publish('shop.people', 'person', 'row');
UPDATE shop.people SET secret = 'u';
-- With none that is published only the key is left, and rows that come and go.
SELECT muster.publish('shop.people', 'person', columns => '{}');
UPDATE shop.people SET secret = 't', name = 'nob';
UPDATE shop.people SET id = 3;
DELETE FROM shop.people;
SELECT * FROM pg_temp.news();
-- A published column that was renamed may not be missed, nor told.
SELECT muster.publish('shop.people', 'person', columns => '{name,seen}');
INSERT INTO shop.people VALUES (1, 'bob', 's');
ALTER TABLE shop.people RENAME name TO full_name;
UPDATE shop.people SET full_name = 'rob';
SELECT muster.publish('shop.people', 'person', columns => '{full_name,seen}');
UPDATE shop.people SET full_name = 'bob';
DELETE FROM shop.people;
SELECT * FROM pg_temp.news();

-- Values that are written anew but read the same have not changed; those that read otherwise have.
CREATE TABLE shop.things (id int PRIMARY KEY, n numeric, f float8, t text, j jsonb, a int[], b bytea, d date);
ALTER TABLE shop.things ALTER t SET STORAGE EXTERNAL;
SELECT muster.publish('shop.things', 'thing');
INSERT INTO shop.things VALUES (1, 1.5, 0, repeat('x', 10000), '{"a":1}', '{1,2}', '\x00', '2024-01-01');
SELECT count(*) FROM pg_temp.news();
UPDATE shop.things SET n = 1.5, f = 0, t = repeat('x', 10000), j = '{ "a": 1 }', a = array[1, 2], b = '\x00', d = d;
SELECT count(*) FROM pg_temp.news();
UPDATE shop.things SET n = 1.50;
UPDATE shop.things SET f = '-0';
UPDATE shop.things SET a = '[0:1]={1,2}';
UPDATE shop.things SET t = NULL;
UPDATE shop.things SET t = '';
SELECT event_type, payload FROM pg_temp.news();

-- Every statement that writes, in the order of what it did.
CREATE TABLE shop.items (id int PRIMARY KEY, n int);
SELECT muster.publish('shop.items', 'item', 'row');
INSERT INTO shop.items SELECT g, g FROM generate_series(1, 3) g;
INSERT INTO shop.items VALUES (1, 10), (4, 40) ON CONFLICT (id) DO UPDATE SET n = excluded.n;
INSERT INTO shop.items VALUES (1, 11) ON CONFLICT DO NOTHING;
MERGE INTO shop.items i USING (VALUES (2, 20), (3, NULL), (5, 50)) v(id, n) ON v.id = i.id
 WHEN MATCHED AND v.n IS NULL THEN DELETE WHEN MATCHED THEN UPDATE SET n = v.n
 WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.n);
WITH gone AS (DELETE FROM shop.items WHERE id = 5 RETURNING id) INSERT INTO shop.items SELECT 6, id FROM gone;
COPY shop.items FROM stdin;
7	70
\.
SELECT event_type, aggregate_id, payload->'n' AS n FROM pg_temp.news();

-- What is rolled back, by a savepoint, an exception or a failed statement, is not sent.
BEGIN;
UPDATE shop.items SET n = 1 WHERE id = 1;
SAVEPOINT a;
UPDATE shop.items SET n = 2 WHERE id = 1;
SAVEPOINT b;
UPDATE shop.items SET n = 3 WHERE id = 1;
RELEASE b;
ROLLBACK TO a;
UPDATE shop.items SET n = 4 WHERE id = 1;
DO $$ BEGIN
    UPDATE shop.items SET n = 5 WHERE id = 1;
    BEGIN
        UPDATE shop.items SET n = 6 WHERE id = 1;
        PERFORM 1 / 0;
    EXCEPTION WHEN division_by_zero THEN
        UPDATE shop.items SET n = 7 WHERE id = 1;
    END;
END $$;
SAVEPOINT c;
INSERT INTO shop.items VALUES (100, 1), (100, 2);
ROLLBACK TO c;
COMMIT;
SELECT event_type, aggregate_id, payload->'n' AS n FROM pg_temp.news();

-- Triggers that write in turn: what they make of a row comes after what happened to it.
CREATE FUNCTION shop.again() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.n < 1000 THEN
        UPDATE shop.items SET n = n + 1000 WHERE id = NEW.id;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER again AFTER INSERT OR UPDATE ON shop.items FOR EACH ROW EXECUTE FUNCTION shop.again();
INSERT INTO shop.items VALUES (8, 80);
SELECT event_type, aggregate_id, payload->'n' AS n FROM pg_temp.news();
DROP TRIGGER again ON shop.items;
-- So do those that wait for the commit.
CREATE CONSTRAINT TRIGGER again AFTER INSERT OR UPDATE ON shop.items DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION shop.again();
BEGIN;
INSERT INTO shop.items VALUES (9, 90);
UPDATE shop.items SET n = 91 WHERE id = 9;
SELECT event_type, aggregate_id, payload->'n' AS n FROM pg_temp.news();
COMMIT;
SELECT event_type, aggregate_id, payload->'n' AS n FROM pg_temp.news();
DROP TRIGGER again ON shop.items;

-- TRUNCATE: one message for a table, rolled back with its transaction, under a name of its own, or none.
CREATE TABLE shop.parts (id int PRIMARY KEY, item int REFERENCES shop.items);
SELECT muster.publish('shop.parts', 'part');
TRUNCATE shop.items CASCADE;
SELECT * FROM pg_temp.news();
BEGIN;
INSERT INTO shop.parts VALUES (1, NULL);
TRUNCATE shop.parts;
INSERT INTO shop.parts VALUES (2, NULL);
COMMIT;
BEGIN;
TRUNCATE shop.parts;
ROLLBACK;
SELECT * FROM pg_temp.news();
SELECT muster.publish('shop.parts', 'part', names => '{"truncate": "parts.gone", "insert": null}');
TRUNCATE shop.parts;
SELECT muster.publish('shop.parts', 'part', names => '{"truncate": null}');
TRUNCATE shop.parts;
SELECT * FROM pg_temp.news();
SELECT muster.publish('shop.parts', 'part', names => '{"truncate": 1}');
SET muster.publish = off;
TRUNCATE shop.items CASCADE;
RESET muster.publish;
SELECT count(*) FROM pg_temp.news();

-- Whoever writes: an application that has no right but on the table, through row security, a definer's function.
CREATE ROLE regress_muster_shop;
GRANT USAGE ON SCHEMA shop TO regress_muster_shop;
GRANT SELECT, INSERT, UPDATE (n) ON shop.items TO regress_muster_shop;
ALTER TABLE shop.items ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON shop.items USING (id < 10) WITH CHECK (id < 20);
CREATE FUNCTION shop.define(id int) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$ INSERT INTO shop.items VALUES (id, 0) $$;
SET ROLE regress_muster_shop;
SELECT has_schema_privilege('muster', 'USAGE') AS may_use;
INSERT INTO shop.items VALUES (1, 1), (15, 1);
UPDATE shop.items SET n = 2;
INSERT INTO shop.items VALUES (21, 1);
SELECT shop.define(30);
SET search_path = '';
INSERT INTO shop.items VALUES (2, 2);
RESET search_path;
-- Muting is for superusers and those whom they let.
SET muster.publish = off;
RESET ROLE;
SELECT event_type, aggregate_id, payload->'n' AS n FROM pg_temp.news();
GRANT SET ON PARAMETER muster.publish TO regress_muster_shop;
SET ROLE regress_muster_shop;
SET muster.publish = off;
INSERT INTO shop.items VALUES (3, 3);
RESET muster.publish;
RESET ROLE;
SELECT count(*) FROM pg_temp.news();
-- Rows that replication brings were published where they were written.
SET session_replication_role = replica;
INSERT INTO shop.items VALUES (4, 4);
RESET session_replication_role;
SELECT count(*) FROM pg_temp.news();
-- Where nothing may be written, nothing is.
BEGIN READ ONLY;
INSERT INTO shop.items VALUES (5, 5);
ROLLBACK;
-- A parallel plan's rows are written by its leader.
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
INSERT INTO shop.items SELECT id + 1000, n FROM shop.items;
UPDATE shop.items SET n = n + 1 WHERE id IN (SELECT max(id) FROM shop.items);
RESET ALL;
SET client_min_messages = warning;
SELECT event_type, count(*) FROM pg_temp.news() GROUP BY 1 ORDER BY 1;

-- Casts to json come and go while their column is written; one may write the table itself.
CREATE TYPE shop.temper AS ENUM ('good', 'bad');
CREATE TABLE shop.tempers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t shop.temper);
SELECT muster.publish('shop.tempers', 'temper');
INSERT INTO shop.tempers (t) VALUES ('good');
CREATE FUNCTION shop.told(shop.temper) RETURNS json LANGUAGE sql AS $$ SELECT '"cast"'::json $$;
CREATE CAST (shop.temper AS json) WITH FUNCTION shop.told(shop.temper);
INSERT INTO shop.tempers (t) VALUES ('good');
DROP FUNCTION shop.told CASCADE;
INSERT INTO shop.tempers (t) VALUES ('bad');
CREATE FUNCTION shop.told(shop.temper) RETURNS json LANGUAGE sql AS $$
    INSERT INTO shop.tempers (t) SELECT 'bad' WHERE (SELECT count(*) FROM shop.tempers) < 6;
    SELECT '"wrote"'::json
$$;
CREATE CAST (shop.temper AS json) WITH FUNCTION shop.told(shop.temper);
INSERT INTO shop.tempers (t) VALUES ('good');
SELECT event_type, payload FROM pg_temp.news() ORDER BY (payload->>'id')::int;
CREATE OR REPLACE FUNCTION shop.told(shop.temper) RETURNS json LANGUAGE sql AS $$ SELECT NULL::json $$;
INSERT INTO shop.tempers (t) VALUES ('good');
SELECT event_type, payload FROM pg_temp.news();

-- The six tables: TRUNCATE is announced for each, with what refers to it.
SELECT muster.create_tables();
TRUNCATE tool_executions, events;
TRUNCATE agents CASCADE;
TRUNCATE tools CASCADE;
SELECT * FROM pg_temp.news() ORDER BY event_type;

DROP EXTENSION muster CASCADE;
DROP TABLE agents, goals, tools, agent_tools, tool_executions, events;
DROP SCHEMA shop CASCADE;
DROP OWNED BY regress_muster_shop;
DROP ROLE regress_muster_shop;
