-- Reading with the caller's rights and settings, and while the tables change.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS muster CASCADE;
DROP TABLE IF EXISTS agents, goals, tools, agent_tools, tool_executions, events CASCADE;
DROP ROLE IF EXISTS muster_test_reader, muster_test_nobody;
CREATE EXTENSION muster;
SELECT muster.create_tables();
CREATE FUNCTION pg_temp.id(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT md5(n::text)::uuid $$;
INSERT INTO agents (id, did, name, created_at) SELECT pg_temp.id(n), 'did:' || n, 'agent ' || n, '2024-01-01' FROM generate_series(1, 6) n;
INSERT INTO goals (goal_id, agent_id, goal_text) SELECT n || '-' || g, pg_temp.id(n), 'x' FROM generate_series(1, 6) n, generate_series(1, 2) g;
INSERT INTO tools (id, name, schema_def) SELECT pg_temp.id(n), 'tool ' || n, '{}' FROM generate_series(1, 3) n;
INSERT INTO agent_tools SELECT pg_temp.id(n), pg_temp.id(t) FROM generate_series(1, 6) n, generate_series(1, 3) t;
INSERT INTO events (event_type, aggregate_type, aggregate_id) SELECT CASE WHEN e = 1 THEN 'secret' ELSE 'open' END, 'agent', pg_temp.id(n) FROM generate_series(1, 6) n, generate_series(1, 3) e;
CREATE FUNCTION pg_temp.fails(call text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE 'SELECT * FROM muster.' || call;
    RETURN 'no error';
EXCEPTION WHEN others THEN
    RETURN concat_ws(' | ', sqlstate, sqlerrm);
END $$;
CREATE FUNCTION pg_temp.summary() RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(format('%s: %s goals, %s tools, %s events', item ->> 'name', json_array_length(item -> 'goals'), json_array_length(item -> 'tools'), item ->> 'event_count'), '; ' ORDER BY item ->> 'name')
      FROM muster.agents_json() j, json_array_elements(j.body) item $$;
SELECT pg_temp.summary();

-- Nobody may call what they were not granted, and a call reads only what its caller may read.
SELECT count(*) AS open_to_public FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
 WHERE p.pronamespace = 'muster'::regnamespace AND p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'c')
   AND (p.proname ~ '_json$' OR p.proname IN ('agents', 'agent', 'project')) AND a.grantee = 0;
SELECT count(*) AS without_comment FROM pg_proc p WHERE p.pronamespace = 'muster'::regnamespace
   AND (p.proname ~ '_json$' OR p.proname IN ('agents', 'agent', 'project')) AND obj_description(p.oid, 'pg_proc') IS NULL;
CREATE ROLE muster_test_reader;
CREATE ROLE muster_test_nobody;
GRANT muster_reader TO muster_test_reader;
GRANT USAGE ON SCHEMA muster TO muster_test_nobody;
GRANT EXECUTE ON FUNCTION muster.agents_json, muster.agents TO muster_test_nobody;
SET ROLE muster_test_nobody;
SELECT pg_temp.fails('agents_json()'), pg_temp.fails('agents()'), pg_temp.fails('agent_json(gen_random_uuid())'), pg_temp.fails($$project('{}', 'a')$$);
RESET ROLE;
GRANT SELECT ON agents, goals, agent_tools TO muster_test_nobody;
SET ROLE muster_test_nobody;
SELECT pg_temp.fails($$agents_json(include => 'goals')$$), pg_temp.fails('agents_json()'), pg_temp.fails($$agents_json(include => 'event_count')$$), pg_temp.fails('agents()');
RESET ROLE;
SET ROLE muster_test_reader;
SELECT pg_temp.summary();
RESET ROLE;

-- Row security, of parents and of children; plans kept by the session follow the role.
ALTER TABLE agents ENABLE ROW LEVEL SECURITY;
ALTER TABLE goals ENABLE ROW LEVEL SECURITY;
ALTER TABLE tools ENABLE ROW LEVEL SECURITY;
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
CREATE POLICY some_agents ON agents TO muster_test_reader USING (name IN ('agent 1', 'agent 2'));
CREATE POLICY some_goals ON goals TO muster_test_reader USING (goal_id LIKE '%-1');
CREATE POLICY some_tools ON tools TO muster_test_reader USING (name <> 'tool 2');
CREATE POLICY some_events ON events TO muster_test_reader USING (event_type <> 'secret');
SET ROLE muster_test_reader;
SELECT pg_temp.summary();
SELECT count(*), sum(event_count) FROM muster.agents();
SELECT a.body IS NULL AS hidden, b.body IS NULL AS seen FROM muster.agent_json(pg_temp.id(3)) a, muster.agent_json(pg_temp.id(1)) b;
SELECT body FROM muster.goals_json(include => 'agent', fields => 'goal_id,agent.name', row_limit => 2, agent_id => pg_temp.id(3));
SET row_security = off;
SELECT pg_temp.fails('agents_json()');
RESET row_security;
RESET ROLE;
SELECT pg_temp.summary();
ALTER TABLE agents DISABLE ROW LEVEL SECURITY;
ALTER TABLE goals DISABLE ROW LEVEL SECURITY;
ALTER TABLE tools DISABLE ROW LEVEL SECURITY;
ALTER TABLE events DISABLE ROW LEVEL SECURITY;
DROP POLICY some_agents ON agents;

-- A search_path full of traps changes nothing.
SELECT body::text AS honest FROM muster.agents_json() \gset
CREATE SCHEMA hostile;
CREATE FUNCTION hostile.never(uuid, uuid) RETURNS bool LANGUAGE sql AS 'SELECT false';
CREATE FUNCTION hostile.never(text, text) RETURNS bool LANGUAGE sql AS 'SELECT false';
CREATE FUNCTION hostile.never(timestamptz, timestamptz) RETURNS bool LANGUAGE sql AS 'SELECT false';
CREATE FUNCTION hostile.trap() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
CREATE OPERATOR hostile.= (FUNCTION = hostile.never, LEFTARG = uuid, RIGHTARG = uuid);
CREATE OPERATOR hostile.= (FUNCTION = hostile.never, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR hostile.< (FUNCTION = hostile.never, LEFTARG = uuid, RIGHTARG = uuid);
CREATE OPERATOR hostile.< (FUNCTION = hostile.never, LEFTARG = timestamptz, RIGHTARG = timestamptz);
CREATE AGGREGATE hostile.count(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '100');
CREATE TABLE hostile.agents (LIKE public.agents);
CREATE TABLE hostile.goals (trap bigint DEFAULT hostile.trap());
CREATE DOMAIN hostile.uuid AS text;
CREATE TABLE hostile.data_schema (only_row bool, schema_name name);
INSERT INTO hostile.data_schema VALUES (true, 'hostile');
SET search_path = hostile, pg_catalog, public;
SELECT j.body::text OPERATOR(pg_catalog.=) :'honest' AS same FROM muster.agents_json() j;
SELECT json_array_length(n.body) FROM muster.agents_json(row_limit => 4) f, muster.agents_json(after => f.next) n;
SELECT json_array_length(j.body) AS goals, t.body ->> 'agent_count' AS agents
  FROM muster.goals_json((md5('1'))::pg_catalog.uuid) j, muster.tool_json((md5('1'))::pg_catalog.uuid, 'agent_count') t;
RESET search_path;
DROP SCHEMA hostile CASCADE;

-- Users' own columns come and go between calls of one session, whose plans are kept: what each reading
-- function shows of a table's column, once added, retyped, renamed, and dropped.
INSERT INTO tool_executions (id, invocation_id, tool_name, agent_id, session_id) VALUES (pg_temp.id(1), pg_temp.id(2), 'tool 1', pg_temp.id(1), 's');
CREATE FUNCTION pg_temp.shown(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    shown text;
BEGIN
    EXECUTE 'SELECT string_agg(to_jsonb(r)::text, '''') FROM muster.' || call || ' r' INTO STRICT shown;
    RETURN coalesce((SELECT string_agg(DISTINCT m[1], ' ') FROM regexp_matches(shown, '\\?"((?:own|mine)\\?": *(?:\d+|\\?"[a-z]*))', 'g') m), 'nothing');
END $$;
CREATE FUNCTION pg_temp.history(table_name regclass, call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    history text := pg_temp.shown(call);
    change text;
BEGIN
    FOREACH change IN ARRAY ARRAY['ADD own int DEFAULT 7', 'ALTER own TYPE text USING ''seven''', 'RENAME own TO mine', 'DROP mine'] LOOP
        EXECUTE format('ALTER TABLE %s %s', table_name, change);
        history := concat_ws(' | ', history, pg_temp.shown(call));
    END LOOP;
    RETURN translate(history, '\"', '');
END $$;
SELECT t || ': ' || call AS call, pg_temp.history(t::regclass, call) FROM (VALUES
    ('agents', 'agents_json()'), ('agents', 'agent_json(pg_temp.id(1))'), ('agents', 'agents()'), ('agents', 'agent(pg_temp.id(1))'),
    ('goals', 'goals_json()'), ('goals', 'goal_json(''1-1'')'), ('goals', 'agents_json()'), ('goals', 'agents()'), ('goals', 'agent(pg_temp.id(1))'),
    ('tools', 'tools_json()'), ('tools', 'tool_json(pg_temp.id(1))'), ('tools', 'agents_json()'), ('tools', 'agent_json(pg_temp.id(1))'), ('tools', 'agents()'),
    ('tool_executions', 'tool_executions_json()'), ('tool_executions', 'tool_execution_json(pg_temp.id(1))'), ('tool_executions', 'tool_execution_by_invocation_json(pg_temp.id(2))'),
    ('events', 'events_json()'), ('events', 'event_json((SELECT id FROM public.events ORDER BY id LIMIT 1))')) c(t, call);

-- And Muster's columns, too.
CREATE FUNCTION pg_temp.one() RETURNS text LANGUAGE sql AS
    $$ SELECT body::text FROM muster.agent_json(pg_temp.id(1), 'goals', 'name,agent_type,goals.goal_text,extra,goals.extra') $$;
SELECT body FROM muster.agent_json(pg_temp.id(1), '', 'name');
SELECT pg_temp.fails($$agent_json(gen_random_uuid(), '', 'extra')$$);
ALTER TABLE agents ADD extra int DEFAULT 1;
ALTER TABLE goals ADD extra text DEFAULT 'g';
SELECT pg_temp.one();
ALTER TABLE agents ALTER extra TYPE text USING 'now text';
SELECT pg_temp.one(), extra FROM muster.agent(pg_temp.id(1));
ALTER TABLE agents RENAME extra TO other;
SELECT body -> 'other' AS other, body -> 'extra' AS extra FROM muster.agent_json(pg_temp.id(1));
ALTER TABLE agents DROP other;
ALTER TABLE agents DROP metadata;
SELECT body -> 'other' AS other, body -> 'metadata' AS metadata, body -> 'name' AS name FROM muster.agent_json(pg_temp.id(1));
SELECT metadata IS NULL, name FROM muster.agent(pg_temp.id(1));
ALTER TABLE agents ADD metadata jsonb DEFAULT '{"came": "back"}';
SELECT body FROM muster.agent_json(pg_temp.id(1), '', 'created_at,metadata,name');
-- A page and its cursor survive a change of the key's type.
SELECT next FROM muster.agents_json(row_limit => 2) \gset
SELECT fields.body AS before FROM muster.agents_json(after => :'next', fields => 'id') fields \gset
SET TimeZone = 'America/New_York';
ALTER TABLE agents ALTER created_at TYPE timestamp USING created_at AT TIME ZONE 'UTC';
SELECT body::text = :'before' AS same FROM muster.agents_json(after => :'next', fields => 'id');
ALTER TABLE agents ALTER name TYPE varchar(100), ALTER agent_type TYPE char(10);
SELECT body FROM muster.agent_json(pg_temp.id(1), '', 'name,agent_type,created_at');
SELECT name, agent_type || '!' AS agent_type, created_at FROM muster.agent(pg_temp.id(1));
SET TimeZone = 'UTC';
-- What cannot be read is an error, not a crash.
ALTER TABLE goals DROP CONSTRAINT goals_pkey, ALTER id DROP NOT NULL;
UPDATE goals SET id = NULL WHERE goal_id LIKE '1-%';
SELECT json_array_length(j.body), json_array_length(a.body -> 'goals') FROM muster.goals_json(row_limit => 11) j, muster.agent_json(pg_temp.id(1)) a;
SELECT pg_temp.summary();
ALTER TABLE agents ALTER created_at TYPE text;
SELECT pg_temp.fails('agents_json()'), pg_temp.fails('agents()');
ALTER TABLE agents DROP created_at;
SELECT pg_temp.fails('agents_json()'), pg_temp.fails($$agent_json(gen_random_uuid())$$);
ALTER TABLE goals RENAME TO goals_gone;
SELECT pg_temp.fails('goals_json()');
ALTER TABLE goals_gone RENAME TO goals;
SELECT json_array_length(body) FROM muster.goals_json();
DROP TABLE agents, goals, tools, agent_tools, tool_executions, events CASCADE;
SELECT pg_temp.fails('goals_json()');

-- The tables move to another schema.
CREATE SCHEMA "Elsewhere ""q""";
UPDATE muster.data_schema SET schema_name = 'Elsewhere "q"';
SELECT pg_temp.fails('goals_json()');
SELECT muster.create_tables('Elsewhere "q"');
INSERT INTO "Elsewhere ""q""".agents (id, did, name) VALUES (pg_temp.id(1), 'did', 'moved');
SELECT pg_temp.summary();
SELECT pg_temp.summary();
DROP SCHEMA "Elsewhere ""q""" CASCADE;
SELECT pg_temp.fails('agents_json()');
SELECT muster.create_tables();
SELECT body FROM muster.agents_json();

-- Partitions and domains.
DROP TABLE agents, events CASCADE;
CREATE DOMAIN key AS uuid;
CREATE DOMAIN name_text AS text;
CREATE DOMAIN moment AS timestamptz;
CREATE TABLE agents (id key PRIMARY KEY, did name_text NOT NULL, name name_text, created_at moment) PARTITION BY HASH (id);
CREATE TABLE agents_0 PARTITION OF agents FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE agents_1 PARTITION OF agents FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT muster.create_tables();
INSERT INTO agents (id, did, name, created_at) SELECT pg_temp.id(n), n, 'part ' || n % 3, CASE WHEN n % 5 > 0 THEN timestamptz '2024-01-01' + n * interval '1 day' END FROM generate_series(1, 50) n;
INSERT INTO goals (agent_id, goal_text) SELECT id, name FROM agents;
INSERT INTO events (event_type, aggregate_type, aggregate_id) SELECT name, 'agent', id FROM agents WHERE name <> 'part 1';
SELECT count(*), sum((item ->> 'event_count')::int) AS events, sum(json_array_length(item -> 'goals')) AS goals,
       array_agg(item ->> 'id' ORDER BY n) = (SELECT array_agg(id::text ORDER BY created_at DESC NULLS LAST, id DESC) FROM agents) AS right
  FROM (SELECT row_number() OVER () AS n, item FROM muster.agents_json(row_limit => 33) f, muster.agents_json(after => f.next) s,
               LATERAL (SELECT json_array_elements(f.body) AS item UNION ALL SELECT json_array_elements(s.body)) i) items;
SELECT count(*), bool_and(pg_typeof(id) = 'uuid'::regtype) FROM muster.agents();
DROP TABLE agents, goals, tools, agent_tools, tool_executions, events CASCADE;
DROP DOMAIN key, name_text, moment;

-- The number of statements does not depend on the page's size: each scans its table once, when only whole scans are allowed.
\c -
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SELECT muster.create_tables();
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SET enable_bitmapscan = off;
SET jit = off;
INSERT INTO agents (did, name) SELECT n, n FROM generate_series(1, 1000) n;
INSERT INTO goals (agent_id, goal_text) SELECT id, g FROM agents, generate_series(1, 3) g;
INSERT INTO tools (name, schema_def) SELECT n, '{}' FROM generate_series(1, 20) n;
INSERT INTO agent_tools SELECT a.id, t.id FROM agents a, tools t WHERE (a.name || t.name)::bigint % 5 = 0;
INSERT INTO events (event_type, aggregate_type, aggregate_id) SELECT 'x', 'agent', id FROM agents, generate_series(1, 3);
CREATE FUNCTION pg_temp.scans() RETURNS jsonb LANGUAGE sql VOLATILE AS $$
    SELECT jsonb_object_agg(relname, seq_scan + coalesce(idx_scan, 0)) FROM pg_stat_xact_user_tables
     WHERE relname IN ('agents', 'goals', 'tools', 'agent_tools', 'events', 'tool_executions') AND schemaname = 'public' $$;
CREATE FUNCTION pg_temp.scans_of(call text) RETURNS TABLE (table_name text, scans int) LANGUAGE plpgsql AS $$
DECLARE
    before jsonb := pg_temp.scans();
BEGIN
    EXECUTE call;
    RETURN QUERY SELECT key, (value::int - (before ->> key)::int) FROM jsonb_each_text(pg_temp.scans()) WHERE value::int > (before ->> key)::int ORDER BY 1;
END $$;
SELECT l, string_agg(s.table_name || ' ' || s.scans, ', ') FROM unnest(ARRAY[10, 100, 1000]) l, pg_temp.scans_of(format('SELECT * FROM muster.agents_json(row_limit => %s)', l)) s GROUP BY l ORDER BY l;
SELECT l, string_agg(s.table_name || ' ' || s.scans, ', ') FROM unnest(ARRAY[10, 100, 1000]) l, pg_temp.scans_of(format('SELECT * FROM muster.agents(row_limit => %s)', l)) s GROUP BY l ORDER BY l;
SELECT l, string_agg(s.table_name || ' ' || s.scans, ', ') FROM unnest(ARRAY[10, 100, 1000]) l, pg_temp.scans_of(format('SELECT * FROM muster.goals_json(row_limit => %s, include => ''agent'')', l)) s GROUP BY l ORDER BY l;
SELECT string_agg(s.table_name || ' ' || s.scans, ', ') FROM pg_temp.scans_of('SELECT * FROM muster.tools_json(include => ''agent_count'')') s;
SELECT string_agg(s.table_name || ' ' || s.scans, ', ') FROM pg_temp.scans_of('SELECT * FROM muster.agents_json(fields => ''name,tools.name'')') s;

-- Nothing is left behind by calls, good and bad.
CREATE FUNCTION pg_temp.memory() RETURNS bigint LANGUAGE sql AS 'SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts';
CREATE FUNCTION pg_temp.many(call text, times int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    before bigint;
BEGIN
    FOR i IN 1 .. times LOOP
        IF i = 20 THEN before := pg_temp.memory(); END IF;
        BEGIN
            EXECUTE 'SELECT * FROM muster.' || call;
        EXCEPTION WHEN invalid_parameter_value OR undefined_column OR insufficient_privilege THEN NULL;
        END;
    END LOOP;
    RETURN pg_temp.memory() - before;
END $$;
SELECT call, pg_temp.many(call, 100) < 100000 AS bounded FROM unnest(ARRAY['agents_json(row_limit => 10)', 'agents(row_limit => 10)',
    'agents_json(fields => ''nothing'')', 'agents_json(after => ''x'')', 'goals_json(include => ''agent'', row_limit => 20)']) call;
-- Calls within calls: a policy that reads through the same functions.
CREATE FUNCTION seen(id uuid) RETURNS bool LANGUAGE plpgsql STABLE SECURITY DEFINER AS
    $$ BEGIN RETURN (SELECT body ->> 'enabled' FROM muster.tool_json(seen.id)) = 'true' AND (SELECT count(*) > 2 FROM muster.agents(row_limit => 3)); END $$;
UPDATE tools SET enabled = name::int % 2 = 0;
ALTER TABLE tools ENABLE ROW LEVEL SECURITY;
CREATE POLICY enabled_tools ON tools TO muster_test_reader USING (seen(id));
SET ROLE muster_test_reader;
SELECT json_array_length(body) FROM muster.tools_json();
SELECT json_array_length(body), body #>> '{0,tools,0,enabled}' FROM muster.agents_json();
RESET ROLE;
DROP TABLE agents, goals, tools, agent_tools, tool_executions, events CASCADE;
DROP FUNCTION seen;
REVOKE ALL ON SCHEMA muster FROM muster_test_nobody;
DROP OWNED BY muster_test_reader, muster_test_nobody;
DROP ROLE muster_test_reader, muster_test_nobody;
