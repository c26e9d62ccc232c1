-- API keys and roles.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS muster CASCADE;
DROP TABLE IF EXISTS agents, goals, tools, agent_tools, tool_executions, events CASCADE;
CREATE EXTENSION muster;
SELECT muster.create_tables();

SELECT muster.create_api_key('one') AS one, muster.create_api_key('two', 'premium', '{read}') AS two,
       muster.create_api_key('two', NULL, NULL) AS three \gset
SELECT k ~ '^mst_[A-Za-z0-9_-]{43}$' AS well_formed FROM unnest(ARRAY[:'one', :'two', :'three']) k;
SELECT count(DISTINCT muster.create_api_key('many')) FROM generate_series(1, 100);
SELECT name, tier, scopes, sha256 = sha256(convert_to(:'two', 'UTF8')) AS is_two, revoked_at
  FROM muster.api_keys WHERE name <> 'many' ORDER BY created_at, tier;
SELECT id IS NOT NULL AS known, name, tier, scopes FROM muster.api_key(sha256(:'two'));
SELECT * FROM muster.api_key(sha256('mst_guess'));
SELECT * FROM muster.api_key(NULL);

-- Revoking by id and by name; twice is no error.
SELECT muster.revoke_api_key(id) FROM muster.api_key(sha256(:'one'));
SELECT * FROM muster.api_key(sha256(:'one'));
SELECT muster.revoke_api_key('two'), muster.revoke_api_key('two'), muster.revoke_api_key(gen_random_uuid());
SELECT name, revoked_at IS NOT NULL AS revoked FROM muster.api_keys WHERE name <> 'many' ORDER BY name;

SELECT muster.create_api_key('');
SELECT muster.create_api_key(NULL);
SELECT muster.create_api_key('x', 'gold');
SELECT muster.create_api_key('x', scopes => '{admin}');
SELECT muster.create_api_key('x', scopes => '{}');

-- Nothing is open to everybody.
SELECT p.oid::regprocedure FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
 WHERE p.pronamespace = 'muster'::regnamespace AND a.grantee = 0;
SELECT c.oid::regclass FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = 'muster'::regnamespace AND a.grantee = 0;

-- What each role may execute and touch.
SELECT r.rolname, string_agg(DISTINCT p.proname::text, ' ' ORDER BY p.proname::text) AS functions
  FROM pg_roles r, pg_proc p, aclexplode(p.proacl) a
 WHERE p.pronamespace = 'muster'::regnamespace AND a.grantee = r.oid
   AND r.rolname IN ('muster_writer', 'muster_relay') GROUP BY 1 ORDER BY 1;
SELECT r.rolname, c.oid::regclass, string_agg(a.privilege_type, ' ' ORDER BY a.privilege_type)
  FROM pg_roles r, pg_class c, aclexplode(c.relacl) a
 WHERE a.grantee = r.oid AND r.rolname LIKE 'muster%' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT pg_has_role('muster_writer', 'muster_reader', 'USAGE');

CREATE ROLE regress_muster_reader IN ROLE muster_reader;
CREATE ROLE regress_muster_writer IN ROLE muster_writer;
CREATE ROLE regress_muster_relay IN ROLE muster_relay;
SET ROLE regress_muster_reader;
SELECT count(*) FROM agents;
SELECT id IS NOT NULL AS known FROM muster.api_key(sha256(:'three'));
SELECT count(*) FROM muster.api_keys;
SELECT muster.create_api_key('mine');
INSERT INTO agents (did, name) VALUES ('d', 'n');
SET ROLE regress_muster_writer;
INSERT INTO agents (did, name) VALUES ('d', 'n') RETURNING status;
INSERT INTO goals (agent_id, goal_text) SELECT id, 'g' FROM agents RETURNING status;
INSERT INTO tools (name, schema_def) VALUES ('t', '{}') RETURNING enabled;
INSERT INTO agent_tools (agent_id, tool_id) SELECT a.id, t.id FROM agents a, tools t;
INSERT INTO tool_executions (invocation_id, tool_name) VALUES (gen_random_uuid(), 't') RETURNING status;
INSERT INTO events (event_type, aggregate_type, aggregate_id) SELECT 'e', 'agent', id FROM agents RETURNING version;
UPDATE events SET event_type = 'f';
DELETE FROM events;
DELETE FROM agents;
SELECT count(*) FROM muster.outbox;
SELECT muster.create_api_key('mine');
SET ROLE regress_muster_relay;
SELECT count(*) FROM muster.outbox;
INSERT INTO muster.tick_0 (snap) VALUES (pg_current_snapshot());
DELETE FROM muster.outbox_0;
SELECT muster.empty('muster.outbox_0');
SELECT generation, last_tick, published_tick, backlog_rows > 0 AS behind, current_table, wakes FROM muster.relay_status();
SELECT count(*) FROM agents;
RESET ROLE;

-- A publication of everything: what of Muster's is updated or deleted from has a replica identity, and the
-- outbox, which has none, takes its inserts.
SET client_min_messages = error;  -- a warning where wal_level is not logical
CREATE PUBLICATION regress_muster_everything FOR ALL TABLES;
SET client_min_messages = warning;
SELECT muster.revoke_api_key('many');
UPDATE muster.api_keys SET name = 'renamed' WHERE name = 'many';
DELETE FROM muster.api_keys;
UPDATE muster.data_schema SET schema_name = schema_name;
INSERT INTO muster.generation (number, system_identifier, timeline, database, first_tick, reason)
    VALUES (1, 1, '1', 1, 1, 'test');
UPDATE muster.generation SET number = 2;
DELETE FROM muster.generation;
INSERT INTO agents (did, name) VALUES ('d', 'n');
UPDATE agents SET name = 'm';
DELETE FROM agents;
SELECT event_type FROM muster.outbox ORDER BY seq DESC LIMIT 3;
DROP PUBLICATION regress_muster_everything;

-- On the other side, rows of Muster's own go by, and what is replicated into users' tables is not announced.
SELECT (SELECT count(*) FROM muster.tick) AS ticks, (SELECT count(*) FROM muster.outbox) AS messages,
       (SELECT count(*) FROM muster.generation) AS generations, (SELECT count(*) FROM muster.data_schema) AS schemas;
SET session_replication_role = replica;
INSERT INTO muster.tick_0 SELECT * FROM muster.tick;
INSERT INTO muster.tick_2 SELECT * FROM muster.tick;
INSERT INTO muster.outbox_0 SELECT * FROM muster.outbox;
INSERT INTO muster.outbox_1 SELECT * FROM muster.outbox;
UPDATE muster.rotation SET current = 1;
INSERT INTO muster.generation (number, system_identifier, timeline, database, first_tick, reason)
    VALUES (1, 1, '1', 1, 1, 'test');
INSERT INTO muster.data_schema VALUES (true, 'other');
INSERT INTO agents (did, name) VALUES ('d', 'replicated');
SELECT muster.create_api_key('replicated') IS NOT NULL AS keys_replicate;
RESET session_replication_role;
SELECT (SELECT count(*) FROM muster.tick) AS ticks, (SELECT count(*) FROM muster.outbox) AS messages,
       (SELECT count(*) FROM muster.generation) AS generations, (SELECT count(*) FROM muster.data_schema) AS schemas,
       (SELECT count(*) FROM agents) AS agents, (SELECT count(*) FROM muster.api_keys) AS keys,
       (SELECT current FROM muster.rotation) AS current;

-- Roles are the cluster's: they stay, and a second installation takes them as they are.
DROP EXTENSION muster CASCADE;
SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname IN ('muster_reader', 'muster_writer', 'muster_relay') ORDER BY 1;
CREATE EXTENSION muster;
DROP EXTENSION muster;
DROP TABLE agents, goals, tools, agent_tools, tool_executions, events;
DROP ROLE regress_muster_reader, regress_muster_writer, regress_muster_relay;
