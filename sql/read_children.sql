-- Reading children (include) and parts (fields).
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS muster CASCADE;
DROP TABLE IF EXISTS agents, goals, tools, agent_tools, tool_executions, events CASCADE;
CREATE EXTENSION muster;
SELECT muster.create_tables();
SET TimeZone = 'UTC';
CREATE FUNCTION pg_temp.id(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT md5(n::text)::uuid $$;
INSERT INTO agents (id, did, name, configuration, created_at, updated_at)
SELECT pg_temp.id(n), 'did:' || n, E'agent "' || n, jsonb_build_object('model', 'm' || n, 'n', n, 'deep', jsonb_build_object('a', jsonb_build_array(n, 'x'))),
       timestamptz '2024-01-01 00:00+00' + n / 3 * interval '1 minute', '2024-01-01 00:00+00'
  FROM generate_series(1, 120) n;
-- As many goals as the agent's number modulo 23, in no order, some at the same time and some at none.
ALTER TABLE goals ALTER created_at DROP NOT NULL;
INSERT INTO goals (id, goal_id, agent_id, goal_text, metadata, success_criteria, created_at, updated_at)
SELECT pg_temp.id(1000 * n + g), 'goal-' || n || '-' || g, pg_temp.id(n), 'do ' || g, jsonb_build_object('g', g), '[{"metric": "x", "min": 1}, {"metric": "y"}]',
       CASE WHEN g % 7 > 0 THEN timestamptz '2024-01-01 00:00+00' + g / 3 * interval '1 s' END, '2024-01-01 00:00+00'
  FROM generate_series(1, 120) n, generate_series(1, 22) g WHERE g <= n % 23 ORDER BY md5(n || 'x' || g);
INSERT INTO tools (id, name, schema_def, created_at, updated_at)
SELECT pg_temp.id(n), 'tool ' || n, '{"type": "object"}', '2024-01-01 00:00+00', '2024-01-01 00:00+00' FROM generate_series(1, 30) n;
INSERT INTO agent_tools (agent_id, tool_id) SELECT pg_temp.id(n), pg_temp.id(t) FROM generate_series(1, 120) n, generate_series(1, 30) t WHERE (n * t) % 7 = 3;
INSERT INTO events (event_type, aggregate_type, aggregate_id) SELECT 'x', 'agent', pg_temp.id(n) FROM generate_series(1, 120) n, generate_series(1, 12) e WHERE e <= n % 13;
ALTER TABLE agents ADD own numeric DEFAULT 1.50, ADD "odd name" text;
ALTER TABLE goals ADD own jsonb DEFAULT '{"a": [1, {"b": 2}]}';

CREATE VIEW expected AS
SELECT a.created_at, a.id, left(row_to_json(a)::text, -1) AS agent,
       (SELECT '[' || coalesce(string_agg(row_to_json(g)::text, ',' ORDER BY g.created_at DESC NULLS LAST, g.id DESC), '') || ']' FROM goals g WHERE g.agent_id = a.id) AS goals,
       (SELECT '[' || coalesce(string_agg(row_to_json(t)::text, ',' ORDER BY t.name, t.id), '') || ']' FROM tools t JOIN agent_tools l ON l.tool_id = t.id WHERE l.agent_id = a.id) AS tools,
       (SELECT count(*) FROM events e WHERE e.aggregate_id = a.id) AS event_count
  FROM agents a;
CREATE FUNCTION pg_temp.expect(row_limit int, include text) RETURNS text LANGUAGE sql AS $$
    SELECT '[' || string_agg(agent || CASE WHEN include ~ 'goals' THEN ',"goals":' || goals ELSE '' END || CASE WHEN include ~ 'tools' THEN ',"tools":' || tools ELSE '' END
           || CASE WHEN include ~ 'event' THEN ',"event_count":' || event_count ELSE '' END || '}', ',' ORDER BY created_at DESC NULLS LAST, id DESC) || ']'
      FROM (SELECT * FROM expected ORDER BY created_at DESC NULLS LAST, id DESC LIMIT row_limit) e $$;
SELECT l, j.body::text = pg_temp.expect(l, 'goals,tools,event_count') AS same FROM unnest(ARRAY[1, 100, 1000]) l, muster.agents_json(row_limit => l) j;
SELECT i, j.body::text = pg_temp.expect(100, i) AS same
  FROM unnest(ARRAY['', ' ', 'goals', 'tools', 'event_count', ' tools ,goals', 'event_count,event_count']) i, muster.agents_json(include => i) j;
SELECT count(*), count(*) FILTER (WHERE j.body::text IS DISTINCT FROM format('%s,"goals":%s,"tools":%s,"event_count":%s}', e.agent, e.goals, e.tools, e.event_count)) AS different
  FROM expected e, muster.agent_json(e.id) j;
-- As rows.
SELECT count(*), count(*) FILTER (WHERE (r.goals::text, r.tools::text, r.event_count) IS DISTINCT FROM (e.goals, e.tools, e.event_count)
        OR to_jsonb(r) - '{goals,tools,event_count,extra}'::text[] || r.extra IS DISTINCT FROM (e.agent || '}')::jsonb) AS different
  FROM muster.agents(row_limit => 1000) r LEFT JOIN expected e USING (id);
SELECT r.name, r.goals IS NULL, r.tools IS NULL, r.event_count, r.extra FROM muster.agents(row_limit => 2, include => 'event_count') r;
SELECT r.name, r.goals IS NULL, r.tools IS NULL, r.event_count, r.extra FROM muster.agent(pg_temp.id(5), '') r;

-- A goal's agent, a tool's number of agents.
ALTER TABLE goals DROP CONSTRAINT goals_agent_id_fkey, ALTER agent_id DROP NOT NULL;
INSERT INTO goals (id, goal_id, agent_id, goal_text) VALUES (pg_temp.id(-1), 'nobody''s', NULL, 'x'), (pg_temp.id(-2), 'gone''s', pg_temp.id(-5), 'x');
SELECT count(*), count(*) FILTER (WHERE item ->> 'agent' IS NOT DISTINCT FROM (SELECT json_build_object('name', name, 'did', did)::jsonb::text FROM agents a WHERE a.id::text = item ->> 'agent_id')) AS same
  FROM (SELECT jsonb_array_elements(body::jsonb) AS item FROM muster.goals_json(row_limit => 10000, include => 'agent')) i;
SELECT body FROM muster.goals_json(row_limit => 2, include => 'agent', fields => 'goal_id,agent');
SELECT body FROM muster.goal_json('goal-5-1', 'agent', 'agent.did,goal_text');
SELECT body FROM muster.goal_json('nobody''s', 'agent', 'agent');
SELECT count(*), count(*) FILTER (WHERE (item ->> 'agent_count')::bigint = (SELECT count(*) FROM agent_tools l WHERE l.tool_id::text = item ->> 'id')) AS same
  FROM (SELECT json_array_elements(body) AS item FROM muster.tools_json(include => 'agent_count')) i;
SELECT body FROM muster.tool_json(pg_temp.id(3), 'agent_count', 'agent_count');

-- Parts: columns, paths, children, in the document's order and nesting.
\pset format unaligned
SELECT f, body FROM unnest(ARRAY['id', 'name,id', ' did , "name" ', 'configuration.model', 'configuration.model,id', 'configuration.deep.a.0,configuration.n', 'configuration.deep.a.7,id', 'configuration.nothing,metadata.x',
        'configuration.model,configuration', 'configuration,configuration.model', 'name.x,id', '"odd name",own', 'own.x', 'goals', 'event_count', 'tools.name', 'goals.goal_id,event_count,id', 'goals.success_criteria.metric',
        'goals.success_criteria.0,goals.own.a.1.b', 'goals.metadata.g,goals', 'goals.metadata.nothing', 'tools.schema_def.type,tools.name', '', '  ']) f,
       muster.agent_json(pg_temp.id(25), 'goals,tools,event_count', f) j WHERE f > ' ';
SELECT j.body::text = k.body::text AS same FROM muster.agent_json(pg_temp.id(25)) k, unnest(ARRAY['', '  ', NULL]) f, muster.agent_json(pg_temp.id(25), fields => f) j;
SELECT body FROM muster.agents_json(row_limit => 3, fields => 'id,configuration.model');
SELECT body FROM muster.agents_json(row_limit => 2, fields => 'goals.goal_id');
SELECT body FROM muster.events_json(row_limit => 1, fields => 'event_type,payload.x');
SELECT count(*), bool_and(j.body::text = (SELECT jsonb_build_object('did', did)::text FROM agents a WHERE a.id = e.id)) FROM expected e, LATERAL (SELECT body::jsonb FROM muster.agent_json(e.id, '', 'did')) j;
CREATE FUNCTION pg_temp.fails(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    EXECUTE 'SELECT * FROM muster.' || call;
    RETURN 'no error';
EXCEPTION WHEN others THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN concat_ws(' | ', sqlstate, sqlerrm, nullif(detail, ''), nullif(hint, ''));
END $$;
SELECT pg_temp.fails(call) FROM unnest(ARRAY[
    $$agents_json(fields => 'nme')$$, $$agents_json(fields => 'ctid')$$, $$agents_json(fields => 'goals.nme')$$, $$agents_json(include => '', fields => 'id,goals.goal_text')$$,
    $$agents_json(include => 'goals', fields => 'x')$$, $$agents_json(fields => 'event_count.x')$$, $$goals_json(include => 'agent', fields => 'agent.id')$$, $$goals_json(fields => 'agent')$$,
    $$tool_json(gen_random_uuid(), fields => 'x')$$, $$events_json(fields => 'goals')$$, $$tools_json(fields => 'agent_count', include => 'agent_count')$$,
    $$agents_json(fields => ',')$$, $$agents_json(fields => 'id,')$$, $$agents_json(fields => 'id,,did')$$, $$agents_json(fields => 'configuration.')$$, $$agents_json(fields => '.id')$$, $$agents_json(fields => '"id')$$,
    $$agents_json(fields => '"id"did')$$, $$agents_json(fields => 'ünï"did"')$$, $$agents_json(fields => repeat('id,', 1000) || 'id')$$, $$agents_json(fields => 'configuration' || repeat('.a', 64))$$,
    $$agents_json(fields => repeat('x', 5000))$$]) call;
-- The tables are looked at even when the page is empty.
SELECT pg_temp.fails($$agents_json('error', fields => 'nme')$$), pg_temp.fails($$agents_json('error', fields => 'name,goals.nme')$$);

-- project() does the same for any document.
SELECT f, muster.project('{"id": 1, "a": {"b": {"c": [10, {"d": 2, "e": 3}, [4, {"d": 5}]], "n": null}}, "list": [{"x": 1, "y": {"z": 2}}, {"x": 3}, 4, []], "": {"": 7}, "p.q": 8, "0": "zero", "e": [], "o": {}}', f)
  FROM unnest(ARRAY['id', 'id,a.b.n', 'a.b.c.0', 'a.b.c.1.e,a.b.c.2', 'a.b.c.d', 'list.x', 'list.y.z', 'list.1,list.x', 'list.0.y,list.x', 'list.5', 'list.2.x', '"".""', '"p.q"', '0', '00', 'none,id', 'none', 'id.x', 'e.x', 'e.0', 'o.x',
        'a.b.c.1.d,id,a.b.c.1.e,a.b.n', 'id,id', 'list.x,list.x', '"list"."x"']) f;
SELECT v, muster.project(v::jsonb, 'a.b'), muster.project(v::jsonb, '1'), muster.project(v::jsonb, NULL)
  FROM unnest(ARRAY['{}', '[]', '5', '"x"', 'null', '[{"a": {"b": 1}}, {"a": 2}, 3, [{"a": {"b": 4}}]]', '[[1, 2], [3]]', '{"1": {"2": 3}}']) v;
SELECT muster.project(NULL, 'a'), muster.project('{"a\"b": 1, "\u00e9": 2, "b": "\n"}', '"a""b",é,b');
SELECT muster.project(doc, 'k500,k1,k999.1,k1001') FROM (SELECT jsonb_object_agg('k' || i, jsonb_build_array(i, 'v' || i)) AS doc FROM generate_series(1, 1000) i) d;
SELECT count(*) FILTER (WHERE muster.project(doc, 'key' || i)::jsonb <> jsonb_build_object('key' || i, doc -> ('key' || i))) AS different
  FROM (SELECT jsonb_object_agg('key' || i, repeat('x', i % 50)) AS doc FROM generate_series(1, 300) i) d, generate_series(1, 300) i;
SELECT muster.project('{}', 'a,'), muster.project('{}', 'b');

-- A column of the same name as a child gives way to it when it is included.
ALTER TABLE agents ADD goals int DEFAULT 3;
SELECT body FROM muster.agent_json(pg_temp.id(46), 'goals', 'name,goals');
SELECT body FROM muster.agent_json(pg_temp.id(46), '', 'name,goals');
-- A document too large for a value is refused by its size, before it is made.
UPDATE tools SET description = repeat('large ', 2000000) WHERE name = 'tool 1';
INSERT INTO agents (did, name) SELECT 'many' || n, 'many' FROM generate_series(1, 100) n;
INSERT INTO agent_tools SELECT a.id, t.id FROM agents a, tools t WHERE a.name = 'many' AND t.name < 'tool 11';
SELECT body FROM muster.agents_json();
SELECT length(body::text) FROM muster.agents_json(fields => 'tools.name');
DROP VIEW expected;
DROP TABLE agents, goals, tools, agent_tools, tool_executions, events CASCADE;
