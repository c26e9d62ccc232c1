-- The benchmarks' data set: 10,000 agents, 100,000 goals, 1,000 tools, 50,000 links, 1,000,000 events,
-- the same on every run. Run in a database with the extension and its tables; publishing is muted.
\set ON_ERROR_STOP on
SET muster.publish = off;
SET search_path = public;

-- A uuid of our own making: kind and number, so that every relation below is arithmetic.
CREATE FUNCTION pg_temp.uid(kind int, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$ SELECT md5('muster bench ' || kind || ' ' || n)::uuid $$;

INSERT INTO agents (id, did, name, agent_type, status, configuration, metadata, resource_limits, created_at, updated_at)
SELECT pg_temp.uid(1, n), 'did:agent:bench-' || n, 'agent ' || n, (array['planner', 'retriever', 'coder', 'reviewer'])[1 + n % 4],
       (array['created', 'active', 'idle', 'busy'])[1 + n / 7 % 4],
       jsonb_build_object('model', 'model-' || n % 5, 'temperature', round((n % 11) / 10.0, 1), 'max_tokens', 1024 * (1 + n % 8),
                          'prompt', repeat('You plan, act and report. ', 8), 'stop', jsonb_build_array('END', 'STOP')),
       jsonb_build_object('team', 'team-' || n % 40, 'labels', jsonb_build_array('bench', 'n' || n % 100)),
       jsonb_build_object('cpu', 1 + n % 4, 'memory_mb', 256 * (1 + n % 8)),
       timestamp '2026-01-01' + n * interval '37 s', timestamp '2026-01-02' + n * interval '37 s'
  FROM generate_series(1, 10000) n;

INSERT INTO tools (id, name, description, tool_type, schema_def, permissions, created_at, updated_at)
SELECT pg_temp.uid(2, n), 'tool_' || n, 'Does thing number ' || n || ' and says how it went', (array['function', 'api', 'external'])[1 + n % 3],
       jsonb_build_object('type', 'object', 'required', jsonb_build_array('query'), 'properties',
         jsonb_build_object('query', jsonb_build_object('type', 'string', 'description', 'what to look for'),
                            'limit', jsonb_build_object('type', 'integer', 'minimum', 1, 'maximum', 100))),
       jsonb_build_object('scopes', jsonb_build_array('read', 'tool:' || n)), timestamp '2025-12-01' + n * interval '1 h', timestamp '2025-12-02' + n * interval '1 h'
  FROM generate_series(1, 1000) n;

INSERT INTO goals (id, goal_id, agent_id, agent_did, goal_text, status, success_criteria, metadata, created_at, updated_at)
SELECT pg_temp.uid(3, n), 'goal-' || n, pg_temp.uid(1, 1 + n % 10000), 'did:agent:bench-' || 1 + n % 10000,
       'Find out what changed in area ' || n % 500 || ' and summarise it for the owner',
       (array['pending', 'in_progress', 'completed', 'failed'])[1 + n % 4],
       jsonb_build_array('summary under 200 words', 'sources named'), jsonb_build_object('source', 'bench', 'n', n),
       timestamp '2026-02-01' + n * interval '11 s', timestamp '2026-02-01' + n * interval '12 s'
  FROM generate_series(0, 99999) n;

INSERT INTO agent_tools (agent_id, tool_id)
SELECT pg_temp.uid(1, a), pg_temp.uid(2, 1 + (a * 7 + k * 131) % 1000)
  FROM generate_series(1, 10000) a, generate_series(0, 4) k;

INSERT INTO events (id, event_type, aggregate_type, aggregate_id, payload, metadata, created_at)
SELECT pg_temp.uid(4, n), 'agent.updated', 'agent', pg_temp.uid(1, 1 + n % 10000),
       jsonb_build_object('n', n), '{}', timestamp '2026-03-01' + n * interval '1 s'
  FROM generate_series(0, 999999) n;

-- An agent with a million events more, and one with ten, older than all others.
INSERT INTO agents (id, did, name, created_at)
VALUES ('00000000-0000-0000-0000-00000000aaaa', 'did:agent:many', 'many', '2020-01-01'),
       ('00000000-0000-0000-0000-00000000bbbb', 'did:agent:few', 'few', '2020-01-01');
INSERT INTO events (event_type, aggregate_type, aggregate_id)
SELECT 'agent.updated', 'agent',
       CASE WHEN n > 10 THEN '00000000-0000-0000-0000-00000000aaaa' ELSE '00000000-0000-0000-0000-00000000bbbb' END::uuid
  FROM generate_series(1, 1000010) n;

VACUUM (ANALYZE) agents, goals, tools, agent_tools, events;
