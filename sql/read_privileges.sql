-- What a caller may read: rights on columns, and row security of owners and others in one session.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS muster CASCADE;
DROP TABLE IF EXISTS agents, goals, tools, agent_tools, tool_executions, events CASCADE;
CREATE EXTENSION muster;
SELECT muster.create_tables();
CREATE FUNCTION pg_temp.id(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT md5(n::text)::uuid $$;
INSERT INTO agents (id, did, name, status, created_at, configuration)
SELECT pg_temp.id(n), 'did:' || n, 'agent ' || n, CASE WHEN n < 3 THEN 'busy' ELSE 'idle' END, timestamptz '2024-01-01 00:00+00' + n * interval '1 day', '{"model": "m", "key": "secret"}' FROM generate_series(1, 4) n;
INSERT INTO goals (id, goal_id, agent_id, goal_text, created_at) SELECT pg_temp.id(10 * n + g), n || '-' || g, pg_temp.id(n), 'goal ' || g, timestamptz '2024-01-01 00:00+00' + g * interval '1 day' FROM generate_series(1, 4) n, generate_series(1, 2) g;
INSERT INTO tools (id, name, schema_def, created_at) SELECT pg_temp.id(n), 'tool ' || n, '{}', '2024-01-01 00:00+00' FROM generate_series(1, 3) n;
INSERT INTO agent_tools (agent_id, tool_id) SELECT pg_temp.id(n), pg_temp.id(t) FROM generate_series(1, 4) n, generate_series(1, 3) t;
INSERT INTO tool_executions (id, invocation_id, tool_name, status, created_at) SELECT pg_temp.id(n), pg_temp.id(n), 'tool ' || n, 'success', timestamptz '2024-01-01 00:00+00' + n * interval '1 day' FROM generate_series(1, 2) n;
INSERT INTO events (id, event_type, aggregate_type, aggregate_id, created_at) SELECT pg_temp.id(10 * n + e), CASE WHEN e = 1 THEN 'secret' ELSE 'open' END, 'agent', pg_temp.id(n), timestamptz '2024-01-01 00:00+00' + e * interval '1 day' FROM generate_series(1, 4) n, generate_series(1, 3) e;
-- The document, or the error.
CREATE FUNCTION pg_temp.ask(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE 'SELECT body FROM muster.' || call INTO answer;
    RETURN answer;
EXCEPTION WHEN others THEN
    RETURN concat_ws(' | ', sqlstate, sqlerrm);
END $$;
CREATE ROLE muster_test_columns;
GRANT USAGE ON SCHEMA muster TO muster_test_columns;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA muster TO muster_test_columns;

-- Rights on the columns asked for, and on those that a list is ordered by and filtered by, are enough.
GRANT SELECT (id, name, status, created_at) ON agents TO muster_test_columns;
SET ROLE muster_test_columns;
SELECT call, pg_temp.ask(call) FROM unnest(ARRAY[
    $$agents_json(include => '', fields => 'name')$$, $$agents_json('busy', 1, include => '', fields => 'id,name')$$,
    $$agents_json(include => '', fields => 'status,name', row_offset => 3)$$,
    $$agent_json(pg_temp.id(1), '', 'name,created_at')$$, $$agent_json(pg_temp.id(9), '', 'name')$$,
    $$agents_json(include => '', fields => 'name,did')$$, $$agent_json(pg_temp.id(1), '', 'configuration.model')$$,
    $$agents_json(include => '')$$, $$agent_json(pg_temp.id(1), '')$$, $$agents_json(include => '', fields => ' ')$$,
    $$agents_json(include => '', fields => 'nothing')$$, $$agents_json(include => 'goals', fields => 'name')$$,
    $$agents_json(include => 'goals', fields => 'name,goals.goal_text')$$, $$goals_json(fields => 'goal_text')$$]) call;
SELECT json_agg(n.body -> 0 -> 'name') FROM muster.agents_json(row_limit => 1, include => '', fields => 'name') f,
       LATERAL (SELECT f.body UNION ALL SELECT s.body FROM muster.agents_json(row_limit => 1, after => f.next, include => '', fields => 'name') s) n;
SELECT count(*) FROM muster.agents(include => '');
RESET ROLE;
REVOKE SELECT (created_at) ON agents FROM muster_test_columns;
SET ROLE muster_test_columns;
SELECT pg_temp.ask($$agents_json(include => '', fields => 'name')$$), pg_temp.ask($$agent_json(pg_temp.id(1), '', 'name')$$);
RESET ROLE;
REVOKE SELECT (id) ON agents FROM muster_test_columns;
SET ROLE muster_test_columns;
SELECT pg_temp.ask($$agent_json(pg_temp.id(1), '', 'name')$$);
RESET ROLE;
GRANT SELECT (id, created_at) ON agents TO muster_test_columns;

-- The same for children: an agent's goals, tools and events, a goal's agent, a tool's number of agents.
GRANT SELECT (id, agent_id, created_at, goal_text) ON goals TO muster_test_columns;
GRANT SELECT (id, name) ON tools TO muster_test_columns;
GRANT SELECT (agent_id, tool_id) ON agent_tools TO muster_test_columns;
GRANT SELECT (aggregate_id) ON events TO muster_test_columns;
SET ROLE muster_test_columns;
SELECT call, pg_temp.ask(call) FROM unnest(ARRAY[
    $$agents_json(row_limit => 1, fields => 'name,goals.goal_text,tools.name,event_count')$$,
    $$agent_json(pg_temp.id(2), fields => 'goals.goal_text')$$, $$agent_json(pg_temp.id(2), fields => 'tools.name')$$,
    $$agent_json(pg_temp.id(2), fields => 'goals.status')$$, $$agent_json(pg_temp.id(2), fields => 'tools.enabled')$$,
    $$agent_json(pg_temp.id(2), fields => 'goals')$$, $$agent_json(pg_temp.id(2), fields => 'tools')$$, $$agent_json(pg_temp.id(2))$$,
    $$goals_json(row_limit => 1, include => 'agent', fields => 'goal_text,agent.name')$$,
    $$goals_json(row_limit => 1, include => 'agent', fields => 'goal_text,agent.did')$$, $$goals_json(row_limit => 1, include => 'agent')$$,
    $$goal_json(pg_temp.id(11)::text, fields => 'goal_text')$$,
    $$tools_json(row_limit => 1, include => 'agent_count', fields => 'name,agent_count')$$, $$tools_json(row_limit => 1, fields => 'name,enabled')$$,
    $$tool_executions_json(fields => 'id')$$, $$events_json(fields => 'id')$$]) call;
RESET ROLE;
GRANT SELECT (id, goal_id) ON goals TO muster_test_columns;
GRANT SELECT (id, status, invocation_id, created_at) ON tool_executions TO muster_test_columns;
GRANT SELECT (id, event_type, created_at) ON events TO muster_test_columns;
SET ROLE muster_test_columns;
SELECT call, pg_temp.ask(call) FROM unnest(ARRAY[
    $$goal_json(pg_temp.id(11)::text, fields => 'goal_text')$$, $$goal_json('1-1', fields => 'id')$$,
    $$tool_executions_json(status => 'success', fields => 'status')$$, $$tool_execution_by_invocation_json(pg_temp.id(2), 'status')$$,
    $$tool_executions_json(tool_name => 'tool 1', fields => 'status')$$, $$tool_execution_json(pg_temp.id(2), 'tool_name')$$,
    $$events_json(event_type => 'secret', row_limit => 1, fields => 'event_type')$$, $$event_json(pg_temp.id(11), 'event_type')$$]) call;
RESET ROLE;

-- Rights that come and go while the session keeps its plans. All columns one by one are as good as the table.
GRANT SELECT ON agents TO muster_test_columns;
SET ROLE muster_test_columns;
SELECT pg_temp.ask($$agent_json(pg_temp.id(1), '', 'did')$$);
RESET ROLE;
REVOKE SELECT ON agents FROM muster_test_columns;
SET ROLE muster_test_columns;
SELECT pg_temp.ask($$agent_json(pg_temp.id(1), '', 'did')$$);
RESET ROLE;
GRANT SELECT (id, did, name, agent_type, status, configuration, metadata, resource_limits, created_at, updated_at) ON agents TO muster_test_columns;
SET ROLE muster_test_columns;
SELECT length(pg_temp.ask($$agent_json(pg_temp.id(1), '')$$)) > 200 AS whole, (SELECT count(*) FROM muster.agents(include => '')) AS rows, pg_temp.ask($$agent_json(pg_temp.id(1), '', 'configuration.model')$$);
RESET ROLE;
-- Columns of users' own, whatever their names, and named as a child; columns that are renamed.
ALTER TABLE agents ADD "we""ird, ""col" int DEFAULT 1, ADD tools text DEFAULT 'not these', ADD other int DEFAULT 2;
GRANT SELECT ("we""ird, ""col", other) ON agents TO muster_test_columns;
SET ROLE muster_test_columns;
SELECT call, pg_temp.ask(call) FROM unnest(ARRAY[$$agent_json(pg_temp.id(1), '', 'other,"we""ird, ""col",name')$$,
    $$agent_json(pg_temp.id(1), 'tools', 'tools.name')$$, $$agent_json(pg_temp.id(1), '', 'tools')$$, $$agent_json(pg_temp.id(1), '')$$]) call;
RESET ROLE;
ALTER TABLE agents RENAME other TO another;
SET ROLE muster_test_columns;
SELECT pg_temp.ask($$agent_json(pg_temp.id(1), '', 'another')$$), pg_temp.ask($$agent_json(pg_temp.id(1), '', 'other')$$);
RESET ROLE;
ALTER TABLE agents DROP another, DROP tools, DROP "we""ird, ""col";

-- Plans are kept, but not without bound, whatever is asked for: in many transactions and in one.
GRANT SELECT (tool_id, tool_name, tool_version, agent_id, agent_did, tenant_id, session_id, error_code, error_message, duration_ms) ON tool_executions TO muster_test_columns;
CREATE FUNCTION pg_temp.saved_plans() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'SPI Plan' $$;
CREATE FUNCTION pg_temp.fields(n int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg(name, ',') FROM unnest('{status,tool_id,tool_name,tool_version,agent_id,agent_did,tenant_id,session_id,error_code,error_message,duration_ms}'::text[])
      WITH ORDINALITY c(name, bit) WHERE (2 * n + 1) & (1 << (bit::int - 1)) <> 0 $$;
CREATE PROCEDURE pg_temp.vary(first int, last int) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN first .. last LOOP
        PERFORM FROM muster.tool_executions_json(fields => pg_temp.fields(i));
        COMMIT;
    END LOOP;
END $$;
GRANT pg_monitor TO muster_test_columns;
SET ROLE muster_test_columns;
CALL pg_temp.vary(0, 150);
SELECT pg_temp.saved_plans() AS before \gset
SELECT :before BETWEEN 100 AND 200 AS many;
CALL pg_temp.vary(151, 800);
SELECT pg_temp.saved_plans() - :before < 10 AS bounded;
BEGIN;
SELECT count(*), count(j.body) FROM generate_series(0, 800) n, muster.tool_executions_json(fields => pg_temp.fields(n)) j;
COMMIT;
SELECT pg_temp.saved_plans() - :before < 10 AS bounded;
SELECT pg_temp.ask($$tool_execution_json(pg_temp.id(2), 'status')$$);
RESET ROLE;
DROP OWNED BY muster_test_columns;

-- Row security. Policies go by the role that asks, in whatever order they ask in one session.
CREATE ROLE muster_test_owner;
CREATE ROLE muster_test_tenant;
CREATE ROLE muster_test_auditor BYPASSRLS;
GRANT muster_reader TO muster_test_owner, muster_test_tenant, muster_test_auditor;
ALTER TABLE agents OWNER TO muster_test_owner;
ALTER TABLE goals OWNER TO muster_test_owner;
ALTER TABLE agent_tools OWNER TO muster_test_owner;
ALTER TABLE events OWNER TO muster_test_owner;
ALTER TABLE agents ENABLE ROW LEVEL SECURITY;
ALTER TABLE goals ENABLE ROW LEVEL SECURITY;
ALTER TABLE agent_tools ENABLE ROW LEVEL SECURITY;
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
CREATE POLICY busy_agents ON agents TO muster_test_tenant USING (status = 'busy');
CREATE POLICY first_goals ON goals TO muster_test_tenant USING (goal_id LIKE '%-1');
CREATE POLICY first_tools ON agent_tools TO muster_test_tenant USING (agent_id IN (SELECT id FROM agents) AND tool_id <> md5('3')::uuid);
CREATE POLICY open_events ON events TO muster_test_tenant USING (event_type = 'open');
CREATE FUNCTION pg_temp.seen() RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT concat_ws('; ', current_user,
        (SELECT string_agg(concat_ws(' ', r.name, json_array_length(r.goals), json_array_length(r.tools), r.event_count), ', ' ORDER BY r.name) FROM muster.agents() r),
        (SELECT string_agg(concat_ws(' ', i ->> 'name', json_array_length(i -> 'goals'), json_array_length(i -> 'tools'), i ->> 'event_count'), ', ' ORDER BY i ->> 'name') FROM muster.agents_json() j, json_array_elements(j.body) i),
        (SELECT 'goals ' || string_agg(concat_ws(' ', i ->> 'goal_id', i #>> '{agent,name}'), ', ' ORDER BY i ->> 'goal_id') FROM muster.goals_json(include => 'agent') j, json_array_elements(j.body) i),
        (SELECT 'agents per tool ' || string_agg(i ->> 'agent_count', ' ' ORDER BY i ->> 'name') FROM muster.tools_json(include => 'agent_count') j, json_array_elements(j.body) i),
        (SELECT 'events ' || json_array_length(body) FROM muster.events_json()),
        (SELECT 'agent 4 ' || CASE WHEN body IS NULL THEN 'hidden' ELSE 'seen' END FROM muster.agent_json(md5('4')::uuid))) $$;
SET ROLE muster_test_tenant;
SELECT pg_temp.seen();
SET ROLE muster_test_auditor;
SELECT pg_temp.seen();
SET ROLE muster_test_owner;
SELECT pg_temp.seen();
SET ROLE muster_test_tenant;
SELECT pg_temp.seen();
RESET ROLE;
SELECT pg_temp.seen();
-- The owner too, once it is forced; without a policy it sees nothing.
ALTER TABLE agents FORCE ROW LEVEL SECURITY;
ALTER TABLE events FORCE ROW LEVEL SECURITY;
SET ROLE muster_test_owner;
SELECT pg_temp.seen();
RESET ROLE;
ALTER TABLE agents NO FORCE ROW LEVEL SECURITY;
SET ROLE muster_test_owner;
SELECT pg_temp.seen();
RESET ROLE;
-- A policy that changes, to one that depends on a setting.
DROP POLICY busy_agents ON agents;
CREATE POLICY idle_agents ON agents TO muster_test_tenant USING (status = 'idle' AND id = current_setting('test.agent')::uuid);
SET ROLE muster_test_tenant;
SET test.agent = 'eccbc87e-4b5c-e2fe-2830-8fd9f2a7baf3';
SELECT count(*), min(name) FROM muster.agents();
SET test.agent = 'a87ff679-a2f3-e71d-9181-a67b7542122c';
SELECT count(*), min(name) FROM muster.agents();
SET test.agent = 'c4ca4238-a0b9-2382-0dcc-509a6f75849b';
SELECT count(*), min(name) FROM muster.agents();
RESET ROLE;
-- Both at once: rights on columns and row security.
REVOKE muster_reader FROM muster_test_tenant;
GRANT USAGE ON SCHEMA muster TO muster_test_tenant;
GRANT EXECUTE ON FUNCTION muster.agents_json, muster.agent_json TO muster_test_tenant;
GRANT SELECT (id, name, created_at) ON agents TO muster_test_tenant;
GRANT SELECT (aggregate_id) ON events TO muster_test_tenant;
SET ROLE muster_test_tenant;
SET test.agent = 'eccbc87e-4b5c-e2fe-2830-8fd9f2a7baf3';
SELECT pg_temp.ask($$agents_json(include => 'event_count', fields => 'name,event_count')$$), pg_temp.ask($$agents_json(include => '', fields => 'did')$$),
       pg_temp.ask($$agent_json('a87ff679-a2f3-e71d-9181-a67b7542122c', '', 'name')$$) IS NULL AS hidden;
-- A role that may call but has no right on the schema of the tables gets no further.
RESET ROLE;
REVOKE USAGE ON SCHEMA public FROM PUBLIC;
SET ROLE muster_test_tenant;
SELECT pg_temp.ask($$agents_json(include => '', fields => 'name')$$), pg_temp.ask('agents_json()');
RESET ROLE;
GRANT USAGE ON SCHEMA public TO PUBLIC;
DROP TABLE agents, goals, tools, agent_tools, tool_executions, events CASCADE;
DROP OWNED BY muster_test_owner, muster_test_tenant, muster_test_auditor;
DROP ROLE muster_test_columns, muster_test_owner, muster_test_tenant, muster_test_auditor;
