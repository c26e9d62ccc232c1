-- create_tables(): making, adopting, dry runs and refusals.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS muster CASCADE;
DROP TABLE IF EXISTS agents, goals, tools, agent_tools, tool_executions, events CASCADE;
CREATE EXTENSION muster;
SET TimeZone = 'UTC';

-- A dry run changes nothing and shows every statement.
SELECT count(*) AS statements, count(*) FILTER (WHERE s LIKE 'CREATE TABLE%') AS tables,
       count(*) FILTER (WHERE s LIKE 'CREATE %INDEX%') AS indexes,
       count(*) FILTER (WHERE s LIKE '%TRIGGER%') AS triggers,
       count(*) FILTER (WHERE s LIKE 'GRANT%') > 0 AS grants
  FROM muster.create_tables(dry_run => true) s;
SELECT to_regclass('public.agents'), count(*) FROM muster.data_schema;

-- Made, and made again: nothing is left to do, and nothing to say.
SELECT muster.create_tables();
SELECT * FROM muster.data_schema;
SELECT muster.create_tables(NULL, NULL);
SELECT muster.create_tables(dry_run => true);

SELECT table_name, column_name, data_type, is_nullable, column_default
  FROM information_schema.columns WHERE table_schema = 'public'
   AND table_name IN ('agents', 'goals', 'tools', 'agent_tools', 'tool_executions', 'events')
 ORDER BY table_name, ordinal_position;
SELECT conrelid::regclass, contype, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'f', 'p', 'u')
 ORDER BY conrelid::regclass::text, contype, pg_get_constraintdef(oid) COLLATE "C";
SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY tablename, indexdef COLLATE "C";
SELECT tgrelid::regclass, pg_get_triggerdef(oid) FROM pg_trigger
 WHERE tgname LIKE '%muster_publish%' ORDER BY tgrelid::regclass::text, tgname;

-- Each list finds its page in an index.
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT * FROM goals WHERE agent_id = '00000000-0000-0000-0000-00000000000a'
    ORDER BY created_at DESC NULLS LAST, id DESC LIMIT 10;
EXPLAIN (COSTS OFF) SELECT * FROM tool_executions WHERE session_id = 's'
    ORDER BY created_at DESC NULLS LAST, id DESC LIMIT 10;
RESET enable_seqscan;
RESET enable_bitmapscan;
RESET enable_sort;

-- Goals and links go with their agent, executions stay.
INSERT INTO agents (id, did, name) VALUES ('00000000-0000-0000-0000-00000000000a', 'did:a', 'a');
INSERT INTO goals (agent_id, goal_text) SELECT id, 'g' FROM agents;
INSERT INTO tools (name, schema_def) VALUES ('t', '{}');
INSERT INTO agent_tools (agent_id, tool_id) SELECT a.id, t.id FROM agents a, tools t;
INSERT INTO tool_executions (invocation_id, tool_name, agent_id) SELECT gen_random_uuid(), 't', id FROM agents;
DELETE FROM agents;
SELECT (SELECT count(*) FROM goals) AS goals, (SELECT count(*) FROM agent_tools) AS links,
       (SELECT array_agg(agent_id) FROM tool_executions) AS executions;

-- What the API allows is what the tables allow.
\set VERBOSITY terse
INSERT INTO agents (did, name, status) VALUES ('did:b', 'b', 'asleep');
INSERT INTO agents (did, name, configuration) VALUES ('did:b', 'b', '"text"');
INSERT INTO goals (agent_id, goal_text) VALUES (gen_random_uuid(), 'g');
INSERT INTO tools (name, schema_def, tool_type) VALUES ('u', '{}', 'hammer');
INSERT INTO tool_executions (invocation_id, tool_name, priority) VALUES (gen_random_uuid(), 't', 11);

\set VERBOSITY default

-- One schema per database.
CREATE SCHEMA other;
SELECT muster.create_tables('other');
SELECT muster.create_tables('other', true);
DROP TABLE agents, goals, tools, agent_tools, tool_executions, events;
SELECT muster.create_tables('other');
DELETE FROM muster.data_schema;

-- Refused by name.
SELECT muster.create_tables('nowhere');
SELECT muster.create_tables('muster');
SELECT muster.create_tables('pg_catalog');

-- Adopting: everything that stands in the way is said at once, before anything is changed.
CREATE VIEW other.events AS SELECT 1 AS id;
CREATE TABLE other.agents (id uuid, did integer, name text);
CREATE TABLE other.goals (id uuid PRIMARY KEY, goal_id text, metadata jsonb, status text GENERATED ALWAYS AS ('x') STORED);
INSERT INTO other.goals (id) VALUES (gen_random_uuid());
CREATE TABLE other.tools (a int, id uuid UNIQUE, PRIMARY KEY (a));
SELECT muster.create_tables('other');
SELECT muster.create_tables('other', true);
SELECT relname FROM pg_class WHERE relnamespace = 'other'::regnamespace AND relkind IN ('r', 'v') ORDER BY 1;
DROP SCHEMA other CASCADE;

-- Odd relations under the tables' names: each is refused by its reason.
CREATE SCHEMA odd;
CREATE EXTENSION file_fdw;
CREATE SERVER odd_files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE odd.agents (id uuid) SERVER odd_files OPTIONS (filename '/dev/null');
CREATE MATERIALIZED VIEW odd.goals AS SELECT 1 AS id;
CREATE SEQUENCE odd.tools;
CREATE TYPE odd.agent_tools AS (agent_id uuid);
CREATE DOMAIN odd.tool_executions AS text;
CREATE TYPE odd.events AS ENUM ('x');
SELECT muster.create_tables('odd');
SELECT muster.create_tables('odd', true);
DROP SCHEMA odd CASCADE;
CREATE SCHEMA odd;
CREATE TABLE odd.things (id uuid);
CREATE INDEX events ON odd.things (id);
CREATE UNLOGGED TABLE odd.agents (id uuid PRIMARY KEY, did text NOT NULL, name text NOT NULL);
CREATE TABLE odd.goals (id uuid PRIMARY KEY, goal_text text);
CREATE TABLE odd.goals_of_2024 () INHERITS (odd.goals);
CREATE TYPE odd.tool AS (id uuid, name text, description text, tool_type text, schema_def jsonb, permissions jsonb, created_at timestamp);
CREATE TABLE odd.tools OF odd.tool (PRIMARY KEY (id));
CREATE TABLE odd.links (agent_id uuid, tool_id uuid, PRIMARY KEY (agent_id, tool_id)) PARTITION BY HASH (agent_id);
CREATE TABLE odd.agent_tools PARTITION OF odd.links FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TYPE odd.outcome AS ENUM ('success', 'error');
CREATE TABLE odd.tool_executions (n serial, id uuid, status odd.outcome, created_at date, priority bool, tenant_id int[], PRIMARY KEY (n) INCLUDE (id));
SELECT muster.create_tables('odd');
SELECT count(*) FROM pg_class WHERE relnamespace = 'odd'::regnamespace AND relkind IN ('r', 'p');
DROP SCHEMA odd CASCADE;
-- Numbers for ids, and names that differ in case, which are other names.
CREATE SCHEMA odd;
CREATE TABLE odd.agents (id serial PRIMARY KEY, did text NOT NULL, name text NOT NULL);
CREATE TABLE odd.goals (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
CREATE TABLE odd.tools ("ID" uuid PRIMARY KEY, name text);
SELECT muster.create_tables('odd');
DROP SCHEMA odd CASCADE;

-- Odd ones that are adopted: a table that inherits, a whole partition, a key of more columns, a numbered
-- column, generated columns of one's own, and a table beside one whose name differs in case.
CREATE SCHEMA odd;
CREATE TABLE odd.base (id uuid, created_at timestamp, team text DEFAULT 'base');
CREATE TABLE odd.agents (PRIMARY KEY (id), did text NOT NULL, name text NOT NULL) INHERITS (odd.base);
CREATE TABLE odd.links (agent_id uuid, tool_id uuid, created_at timestamptz DEFAULT now(), PRIMARY KEY (agent_id, tool_id)) PARTITION BY HASH (agent_id);
CREATE TABLE odd.agent_tools PARTITION OF odd.links FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TABLE odd.goals (tenant int NOT NULL DEFAULT 1, id uuid, PRIMARY KEY (tenant, id), goal_text text, shouted text GENERATED ALWAYS AS (upper(goal_text)) STORED);
CREATE TABLE odd.events (id uuid PRIMARY KEY, version bigint GENERATED BY DEFAULT AS IDENTITY);
CREATE TABLE odd."Tools" ("Id" uuid PRIMARY KEY);
SELECT muster.create_tables('odd');
SELECT muster.create_tables('odd', true);
SELECT a.id AS agent, t.id AS tool FROM json_to_record(muster.create_agent('{"name": "a"}')) a(id uuid), json_to_record(muster.create_tool('{"name": "t", "schema_def": {}}')) t(id uuid) \gset
SELECT muster.create_goal(json_build_object('agent_id', :'agent', 'goal_text', 'g')) ->> 'shouted' AS shouted,
       muster.add_agent_tool(:'agent', :'tool') IS NOT NULL AS linked,
       muster.create_event(json_build_object('event_type', 'e', 'aggregate_type', 'agent', 'aggregate_id', :'agent')) ->> 'version' AS version;
SELECT name, goals -> 0 ->> 'tenant' AS tenant, tools -> 0 ->> 'name' AS tool, event_count, extra FROM muster.agents();
SELECT event_type FROM muster.outbox ORDER BY seq DESC LIMIT 5;
DROP EXTENSION file_fdw CASCADE;
DROP SCHEMA odd CASCADE;
DELETE FROM muster.data_schema;

-- Adopting an older platform's tables, with rows: relatives of the types, naive timestamps (which are warned
-- of in another zone, be it one that agrees with UTC in winter), own columns.
SET TimeZone = 'Europe/London';
CREATE SCHEMA "Old Platform";
CREATE DOMAIN "Old Platform".short AS varchar(40);
CREATE TABLE "Old Platform".agents (
    id uuid PRIMARY KEY, did "Old Platform".short NOT NULL UNIQUE, name varchar(100) NOT NULL, configuration json,
    status text NOT NULL DEFAULT 'active', team text, created_at timestamp NOT NULL, updated_at timestamp);
INSERT INTO "Old Platform".agents VALUES (gen_random_uuid(), 'did:old', 'old', '{}', 'idle', 'x', '2024-01-01', NULL);
CREATE TABLE "Old Platform".events (
    id uuid, event_type text NOT NULL, aggregate_type text NOT NULL, aggregate_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at);
CREATE TABLE "Old Platform".events_1 PARTITION OF "Old Platform".events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE "Old Platform".events_2 PARTITION OF "Old Platform".events FOR VALUES FROM ('2025-01-01') TO ('2027-01-01');
INSERT INTO "Old Platform".events VALUES (gen_random_uuid(), 'e', 'agent', gen_random_uuid(), '2024-05-05');
CREATE TABLE "Old Platform".goals (
    id uuid PRIMARY KEY, goal_id text UNIQUE NOT NULL, agent_id uuid REFERENCES "Old Platform".agents, goal_text text,
    created_at timestamptz);
CREATE INDEX ON "Old Platform".goals (agent_id, created_at NULLS FIRST, id);
SELECT s FROM muster.create_tables('Old Platform', true) s WHERE s LIKE 'ALTER%' OR s LIKE '%INDEX%';
-- What is returned is what is left to run, again until it has been run; the empty goals got their indexes.
SELECT muster.create_tables('Old Platform') AS left_to_run;
SELECT s FROM muster.create_tables('Old Platform') s \gexec
SELECT muster.create_tables('Old Platform') AS left_to_run;
\d "Old Platform".agents
SELECT indexdef FROM pg_indexes WHERE tablename = 'goals' AND schemaname = 'Old Platform' ORDER BY indexdef COLLATE "C";
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = '"Old Platform".goals'::regclass AND contype = 'f';
INSERT INTO "Old Platform".agents (did, name) VALUES ('did:new', 'new') RETURNING status, created_at = (now() AT TIME ZONE 'UTC') AS now_in_utc;

-- In UTC there is nothing to warn of.
SET TimeZone = 'Etc/UTC';
SELECT muster.create_tables('Old Platform');

-- Roles without the right cannot.
CREATE ROLE regress_muster_nobody;
SET ROLE regress_muster_nobody;
SELECT muster.create_tables();
RESET ROLE;
-- A delegate may do it in a schema that is theirs.
GRANT USAGE ON SCHEMA muster TO regress_muster_nobody;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA muster TO regress_muster_nobody;
GRANT SELECT, INSERT, UPDATE ON muster.data_schema TO regress_muster_nobody;
DROP SCHEMA "Old Platform" CASCADE;
CREATE SCHEMA theirs;
SET ROLE regress_muster_nobody;
SELECT muster.create_tables('theirs');
RESET ROLE;
ALTER SCHEMA theirs OWNER TO regress_muster_nobody;
CREATE TABLE theirs.tools (id uuid PRIMARY KEY);
SET ROLE regress_muster_nobody;
SELECT muster.create_tables('theirs');
RESET ROLE;
DROP TABLE theirs.tools;
SET ROLE regress_muster_nobody;
SELECT muster.create_tables('theirs');
RESET ROLE;
SELECT relname, pg_get_userbyid(relowner) FROM pg_class
 WHERE relnamespace = 'theirs'::regnamespace AND relkind = 'r' ORDER BY 1;

DROP EXTENSION muster CASCADE;
-- The users' tables stay.
SELECT count(*) FROM theirs.agents;
DROP SCHEMA theirs CASCADE;
DROP ROLE regress_muster_nobody;
