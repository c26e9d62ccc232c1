-- The writing functions, with good bodies and bad ones.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS muster CASCADE;
DROP TABLE IF EXISTS agents, goals, tools, agent_tools, tool_executions, events CASCADE;
CREATE EXTENSION muster;
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'German';
SELECT muster.create_agent('{"name": "early"}');
SELECT muster.create_tables();

-- An item without what differs from run to run.
CREATE FUNCTION pg_temp.show(item json) RETURNS jsonb LANGUAGE sql AS $$
    SELECT item::jsonb - '{id,created_at,updated_at,agent_id}'::text[]
           || jsonb_build_object('did', regexp_replace(item ->> 'did', '[0-9a-f]{8}$', '<8 hex>'))
           || jsonb_build_object('agent_did', regexp_replace(item ->> 'agent_did', '[0-9a-f]{8}$', '<8 hex>')) $$;

-- Agents.
SELECT muster.create_agent('{"name": "bob"}') AS agent \gset
SELECT pg_temp.show(:'agent');
SELECT :'agent'::json ->> 'id' AS agent_id, :'agent'::json ->> 'did' AS agent_did \gset
SELECT to_json(a) ->> 'did' = :'agent_did' AS same_did, :'agent'::json ->> 'created_at' LIKE '%+00:00' AS in_utc
  FROM agents a WHERE id = :'agent_id';
SELECT pg_temp.show(muster.create_agent(
    '{"name": "Ünï \ud83d\ude00 \"x\"", "agent_type": "t", "configuration": {"a": [1, {"b": null}]}, "metadata": null,
      "resource_limits": {"cpu": 1.50}, "status": "busy", "id": 7, "unknown": true, "name ": 1}'));
SELECT pg_temp.show(muster.create_agent('{"name": "first", "name": "last one counts"}'));
SELECT count(DISTINCT muster.create_agent('{"name": "twin"}') ->> 'did') FROM generate_series(1, 50);
SELECT muster.create_agent(NULL);
SELECT muster.create_agent('[]');
SELECT muster.create_agent('"text"');
SELECT muster.create_agent('{}');
SELECT muster.create_agent('{"name": null}');
SELECT muster.create_agent('{"name": 5}');
SELECT muster.create_agent('{"name": {"long": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}');
SELECT muster.create_agent('{"name": "x", "configuration": "y"}');
SELECT muster.create_agent('{"name": "x", "metadata": []}');
SELECT muster.create_agent('{"name": "a\u0000b"}');
SELECT muster.create_agent('{"name": "\ud83d"}');

SELECT pg_temp.show(muster.update_agent(:'agent_id', '{"status": "idle", "configuration": {"x": 1}, "did": "mine"}'));
SELECT pg_temp.show(muster.update_agent(:'agent_id', '{"name": "rob", "agent_type": "u", "metadata": {}, "resource_limits": {"y": 2}}'));
-- What does not change does not move updated_at, and is not announced.
SELECT extract(epoch FROM updated_at) AS updated_at FROM agents WHERE id = :'agent_id' \gset before_
SELECT count(*) AS before_messages FROM muster.outbox \gset
SELECT pg_temp.show(muster.update_agent(:'agent_id', '{"name": "rob", "configuration": {"x": 1}}'));
SELECT pg_temp.show(muster.update_agent(:'agent_id', '{}'));
SELECT extract(epoch FROM updated_at) = :before_updated_at AS same FROM agents WHERE id = :'agent_id';
SELECT count(*) - :before_messages AS messages FROM muster.outbox;
SELECT muster.update_agent(:'agent_id', '{"name": "bob"}') IS NOT NULL AS updated;
SELECT extract(epoch FROM updated_at) > :before_updated_at AS moved FROM agents WHERE id = :'agent_id';
SELECT muster.update_agent(:'agent_id', '{"status": "asleep"}');
SELECT muster.update_agent(:'agent_id', '{"name": null}');
SELECT muster.update_agent(:'agent_id', '{"configuration": null}');
SELECT muster.update_agent(:'agent_id', '{"status": ""}');
SELECT muster.update_agent(:'agent_id', '{"name": "half", "status": 1}');
SELECT muster.update_agent(:'agent_id', NULL);
SELECT name FROM agents WHERE id = :'agent_id';
SELECT muster.update_agent('00000000-0000-0000-0000-000000000000', '{"name": "x"}') IS NULL AS unknown,
       muster.update_agent('00000000-0000-0000-0000-000000000000', '{}') IS NULL AS unknown,
       muster.update_agent(NULL, '{}') IS NULL AS none;

-- Goals.
SELECT pg_temp.show(muster.create_goal(json_build_object('agent_id', :'agent_id', 'goal_id', 'g1', 'goal_text', 'do',
    'constraints', '{"max_token_budget": 1000, "max_execution_time_sec": 60, "max_parallelism": 2,
                     "deadline_unix_ms": 1767225600000, "priority": 7, "require_approval": true,
                     "allowed_agent_types": ["a", "b, c"], "forbidden_tools": [], "cost_limit_usd": 12.345,
                     "unknown": 1}'::json,
    'success_criteria', '["x", 1]'::json, 'metadata', '{"m": 1}'::json, 'parent_goal_id', 'g0',
    'decomposition_strategy', 'none', 'goal_type', 'simple', 'status', 'active')));
SELECT muster.create_goal(json_build_object('agent_id', :'agent_id', 'description', 'alias')) AS goal \gset
SELECT pg_temp.show(:'goal')::jsonb - 'goal_id', :'goal'::json ->> 'goal_id' ~ '^goal-[0-9a-f-]{36}$' AS made_id;
SELECT r ->> 'goal_text' AS goal_text, r -> 'constraints_priority' AS priority FROM muster.create_goal(json_build_object(
    'agent_did', :'agent_did', 'goal_text', 'counts', 'description', 'does not', 'priority', 2.0,
    'constraints', '{"priority": 9}'::json)) r;
SELECT r ->> 'agent_did' AS agent_did FROM muster.create_goal(json_build_object(
    'agent_id', :'agent_id', 'agent_did', 'did:other', 'goal_text', 'x')) r;
SELECT muster.create_goal('{"goal_text": "x"}');
SELECT muster.create_goal(json_build_object('agent_id', :'agent_id'));
SELECT muster.create_goal('{"agent_id": "00000000-0000-0000-0000-000000000000", "goal_text": "x"}');
SELECT muster.create_goal('{"agent_did": "did:nobody", "goal_text": "x"}');
SELECT muster.create_goal('{"agent_id": "not a uuid", "goal_text": "x"}');
SELECT muster.create_goal(json_build_object('agent_id', :'agent_id', 'goal_id', 'g1', 'goal_text', 'again')) \gset
\echo :SQLSTATE :LAST_ERROR_MESSAGE
SELECT muster.create_goal(json_build_object('agent_id', :'agent_id', 'goal_text', 'x', 'priority', 11));
SELECT muster.create_goal(json_build_object('agent_id', :'agent_id', 'goal_text', 'x', 'constraints', 'y'));
SELECT muster.create_goal(json_build_object('agent_id', :'agent_id', 'goal_text', 'x', 'constraints', '{"priority": 0}'::json));
SELECT muster.create_goal(json_build_object('agent_id', :'agent_id', 'goal_text', 'x', 'constraints', '{"max_parallelism": 1.5}'::json));
SELECT muster.create_goal(json_build_object('agent_id', :'agent_id', 'goal_text', 'x', 'constraints', '{"max_parallelism": 3000000000}'::json));
SELECT muster.create_goal(json_build_object('agent_id', :'agent_id', 'goal_text', 'x', 'constraints', '{"deadline_unix_ms": 1e300}'::json));
SELECT muster.create_goal(json_build_object('agent_id', :'agent_id', 'goal_text', 'x', 'constraints', '{"forbidden_tools": ["a", null]}'::json));
SELECT muster.create_goal(json_build_object('agent_id', :'agent_id', 'goal_text', 'x', 'constraints', '{"cost_limit_usd": "1"}'::json));
SELECT muster.create_goal(json_build_object('agent_id', :'agent_id', 'goal_text', 'x', 'constraints', '{"cost_limit_usd": 1e9}'::json));
SELECT muster.create_goal(json_build_object('agent_id', :'agent_id', 'goal_text', 'x', 'success_criteria', '{}'::json));

SELECT pg_temp.show(muster.update_goal('g1', '{"status": "done", "decomposition_strategy": "s", "metadata": {"n": 2},
    "priority": 1, "goal_text": "did", "success_criteria": [], "completed_at": "2026-01-15T21:00:00+02:00"}'));
SELECT pg_temp.show(muster.update_goal('g1', '{"decomposition_strategy": null, "completed_at": null, "goal_id": "g2", "description": "again"}'));
SELECT r ->> 'status' AS by_uuid FROM goals g, muster.update_goal(g.id::text, '{"status": "found"}') r WHERE g.goal_id = 'g1';
SELECT muster.update_goal('nothing', '{"status": "x"}') IS NULL AS unknown,
       muster.update_goal('00000000-0000-0000-0000-000000000000', '{"status": "x"}') IS NULL AS unknown,
       muster.update_goal(NULL, '{}') IS NULL AS none;
SELECT muster.update_goal('g1', '{"completed_at": 5}');
SELECT muster.update_goal('g1', '{"completed_at": "2026-02-30"}');
SELECT muster.update_goal('g1', '{"completed_at": "tomorrow"}');
SELECT muster.update_goal('g1', '{"priority": null}');
-- Times are read as UTC and kept to the microsecond.
SELECT t, muster.update_goal('g1', json_build_object('completed_at', t)) ->> 'completed_at' AS completed_at
  FROM unnest('{2026-01-15T21:00:00Z,2026-01-15 21:00:00.1234567+02:00,2026-01-15T21:00,2024-02-29,
                2026-01-15T21:00:00-0530,2026-06-30T23:59:60Z,0001-01-01T00:00:00Z}'::text[]) t;

-- Tools and links.
SELECT muster.create_tool('{"name": "t", "schema_def": {"type": "object"}}') AS tool \gset
SELECT :'tool'::json ->> 'id' AS tool_id \gset
SELECT pg_temp.show(:'tool');
SELECT pg_temp.show(muster.create_tool('{"name": "u", "description": "d", "tool_type": "api", "schema_def": {},
                                         "permissions": {"p": 1}, "enabled": false}'));
\set VERBOSITY sqlstate
SELECT muster.create_tool('{"name": "t", "schema_def": {}}');
\set VERBOSITY default
SELECT muster.create_tool('{"name": "v"}');
SELECT muster.create_tool('{"name": "v", "schema_def": []}');
SELECT muster.create_tool('{"name": "v", "schema_def": {}, "tool_type": "hammer"}');
SELECT muster.create_tool('{"name": "v", "schema_def": {}, "enabled": "yes"}');
SELECT pg_temp.show(muster.update_tool(:'tool_id', '{"description": "d", "schema_def": {"a": 1}, "permissions": {"p": 2}, "enabled": false, "name": "no"}'));
SELECT pg_temp.show(muster.update_tool(:'tool_id', '{"description": null}'));
SELECT muster.update_tool(:'tool_id', '{"enabled": null}');
SELECT muster.update_tool('00000000-0000-0000-0000-000000000000', '{"enabled": true}') IS NULL AS unknown;
SELECT l ->> 'agent_id' = :'agent_id' AS agent, l ->> 'tool_id' = :'tool_id' AS tool, l ->> 'created_at' LIKE '%+00:00' AS in_utc
  FROM muster.add_agent_tool(:'agent_id', :'tool_id') l;
SELECT muster.add_agent_tool(:'agent_id', :'tool_id') IS NOT NULL AS again, (SELECT count(*) FROM agent_tools) AS links;
SELECT muster.add_agent_tool(:'agent_id', :'agent_id') IS NULL AS no_tool, muster.add_agent_tool(:'tool_id', :'tool_id') IS NULL AS no_agent,
       muster.add_agent_tool(NULL, :'tool_id') IS NULL AS none;
SELECT muster.remove_agent_tool(:'agent_id', :'tool_id') IS NOT NULL AS removed;
SELECT muster.remove_agent_tool(:'agent_id', :'tool_id') IS NULL AS gone;

-- Executions.
SELECT pg_temp.show(muster.create_tool_execution('{"invocation_id": "00000000-0000-0000-0000-000000000001", "tool_name": "t"}'));
SELECT pg_temp.show(muster.create_tool_execution(json_build_object(
    'invocation_id', '00000000000000000000000000000002', 'tool_name', 't', 'tool_version', '1', 'agent_id', :'agent_id',
    'agent_did', 'd', 'tenant_id', 'te', 'session_id', 'se', 'parent_sandbox_id', 'p', 'input_params', '{"i": 1}'::json,
    'output_result', '[1]'::json, 'status', 'running', 'error_code', 'E', 'error_message', 'm', 'error_details', '{"d": 1}'::json,
    'retryable', true, 'duration_ms', 99999999999, 'cpu_used_millicore_seconds', 1, 'memory_peak_mb', 2,
    'network_bytes_sent', 3, 'network_bytes_received', 4, 'documents_accessed', '["x"]'::json, 'checkpoints_created', '[]'::json,
    'checkpoint_ref', 'c', 'async_mode', true, 'priority', 1, 'idempotency_key', 'k', 'require_approval', true,
    'cpu_millicore_limit', 5, 'memory_mb_limit', 6, 'timeout_seconds', 7, 'started_at', '2026-01-01T00:00:00Z',
    'completed_at', '2026-01-01T00:00:01Z')));
\set VERBOSITY sqlstate
SELECT muster.create_tool_execution('{"invocation_id": "00000000-0000-0000-0000-000000000001", "tool_name": "t"}');
\set VERBOSITY default
SELECT muster.create_tool_execution('{"tool_name": "t"}');
SELECT muster.create_tool_execution('{"invocation_id": "00000000-0000-0000-0000-000000000003"}');
SELECT muster.create_tool_execution('{"invocation_id": "00000000-0000-0000-0000-000000000003", "tool_name": "t", "status": "done"}');
SELECT pg_temp.show(muster.update_tool_execution('00000000-0000-0000-0000-000000000001',
    '{"status": "success", "output_result": "text", "duration_ms": 12, "completed_at": "2026-01-01", "tool_name": "no"}'));
SELECT r -> 'output_result' AS output_result, r -> 'duration_ms' AS duration_ms FROM muster.update_tool_execution(
    '00000000-0000-0000-0000-000000000001', '{"output_result": null, "duration_ms": null}') r;
SELECT muster.update_tool_execution('00000000-0000-0000-0000-000000000001', '{"status": null}');
SELECT muster.update_tool_execution('00000000-0000-0000-0000-000000000001', '{"duration_ms": 1.5}');
SELECT muster.update_tool_execution('00000000-0000-0000-0000-000000000009', '{"status": "success"}') IS NULL AS unknown;

-- Events.
SELECT pg_temp.show(muster.create_event('{"event_type": "e", "aggregate_type": "agent", "aggregate_id": "00000000-0000-0000-0000-00000000000A"}'));
SELECT pg_temp.show(muster.create_event('{"event_type": "e", "aggregate_type": "agent", "aggregate_id": "00000000-0000-0000-0000-00000000000a",
                                          "payload": {"p": 1}, "metadata": {"m": 2}, "version": 3}'));
SELECT muster.create_event('{"event_type": "e", "aggregate_type": "agent"}');
SELECT muster.create_event('{"event_type": "e", "aggregate_type": "agent", "aggregate_id": 5}');
SELECT muster.create_event('{"event_type": "e", "aggregate_type": "agent", "aggregate_id": "00000000-0000-0000-0000-00000000000a", "payload": 1}');

-- An agent goes with its goals and links; its executions stay.
SELECT muster.add_agent_tool(:'agent_id', :'tool_id') IS NOT NULL AS linked;
SELECT muster.delete_agent(:'agent_id') ->> 'id' = :'agent_id' AS deleted;
SELECT muster.delete_agent(:'agent_id') IS NULL AS gone, muster.delete_agent(NULL) IS NULL AS none;
SELECT (SELECT count(*) FROM goals WHERE agent_id = :'agent_id') AS goals, (SELECT count(*) FROM agent_tools) AS links,
       (SELECT count(*) FROM tool_executions WHERE agent_id = :'agent_id') AS executions;

-- Defaults are the tables' own, so a DBA may change them.
ALTER TABLE agents ALTER agent_type SET DEFAULT 'special';
SELECT muster.create_agent('{"name": "x"}') ->> 'agent_type' AS agent_type;
-- Rights are the caller's.
CREATE ROLE regress_muster_reader IN ROLE muster_reader;
CREATE ROLE regress_muster_writer IN ROLE muster_writer;
SET ROLE regress_muster_reader;
SELECT muster.create_agent('{"name": "x"}');
SET ROLE regress_muster_writer;
SELECT muster.create_agent('{"name": "by a writer"}') ->> 'name' AS name;
RESET ROLE;
REVOKE INSERT ON agents FROM muster_writer;
SET ROLE regress_muster_writer;
SELECT muster.create_agent('{"name": "x"}');
RESET ROLE;
DROP ROLE regress_muster_reader, regress_muster_writer;

-- The same functions on adopted tables: naive timestamps, json, varchar, other tables' schema, no defaults.
DROP TABLE agents, goals, tools, agent_tools, tool_executions, events;
DELETE FROM muster.data_schema;
CREATE SCHEMA "Old Platform";
CREATE TABLE "Old Platform".agents (
    id uuid PRIMARY KEY, did varchar(200) NOT NULL UNIQUE, name varchar(10) NOT NULL, configuration json NOT NULL,
    created_at timestamp NOT NULL, updated_at timestamp NOT NULL, team text DEFAULT 'core');
CREATE TABLE "Old Platform".goals (
    id uuid PRIMARY KEY, goal_id varchar UNIQUE, agent_id uuid NOT NULL REFERENCES "Old Platform".agents,
    constraints_forbidden_tools varchar[], success_criteria json, completed_at timestamp);
SELECT muster.create_tables('Old Platform');
SELECT muster.create_agent('{"name": "old", "configuration": {"b": 1, "a": 2}}') ->> 'id' AS agent_id \gset
SELECT abs(extract(epoch FROM created_at - now() AT TIME ZONE 'UTC')) < 3600 AS in_utc,
       configuration, team FROM "Old Platform".agents;
SELECT muster.update_agent(:'agent_id', '{"configuration": {"a": 2, "b": 1}}') IS NOT NULL AS unchanged;
SELECT muster.update_agent(:'agent_id', '{"configuration": {"a": 3}, "name": "new"}') IS NOT NULL AS changed;
SELECT muster.create_agent('{"name": "longer than ten"}');
SELECT muster.create_goal(json_build_object('agent_id', :'agent_id', 'goal_text', 'x', 'goal_id', 'g',
       'constraints', '{"forbidden_tools": ["a"]}'::json)) ->> 'goal_id' AS goal_id;
SELECT muster.update_goal('g', '{"completed_at": "2026-01-15T21:00:00+02:00", "success_criteria": ["y"]}') IS NOT NULL AS updated;
SELECT completed_at, success_criteria, constraints_forbidden_tools FROM "Old Platform".goals;
\set VERBOSITY sqlstate
SELECT muster.delete_agent(:'agent_id');
\set VERBOSITY default
SELECT event_type, payload FROM muster.outbox WHERE seq > (SELECT max(seq) FROM muster.outbox WHERE payload ->> 'name' = 'old') ORDER BY seq;

DROP EXTENSION muster CASCADE;
DROP SCHEMA "Old Platform" CASCADE;
