-- What is wrong is named, with what is allowed: every wrong value, for every reading function that takes it.
\set SHOW_CONTEXT never
\pset format unaligned
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS muster CASCADE;
DROP TABLE IF EXISTS agents, goals, tools, agent_tools, tool_executions, events CASCADE;
CREATE EXTENSION muster;
SELECT muster.create_tables();
CREATE FUNCTION pg_temp.id(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT md5(n::text)::uuid $$;
INSERT INTO agents (id, did, name, created_at) SELECT pg_temp.id(n), 'did:' || n, 'agent ' || n, '2024-01-01' FROM generate_series(1, 3) n;
INSERT INTO goals (agent_id, goal_text) SELECT pg_temp.id(1), 'goal ' || n FROM generate_series(1, 3) n;
INSERT INTO tools (name, schema_def) SELECT 'tool ' || n, '{}' FROM generate_series(1, 3) n;
INSERT INTO tool_executions (invocation_id, tool_name) SELECT pg_temp.id(n), 'tool' FROM generate_series(1, 3) n;
INSERT INTO events (event_type, aggregate_type, aggregate_id) SELECT 'x', 'agent', pg_temp.id(1) FROM generate_series(1, 3) n;

CREATE FUNCTION pg_temp.try(call text, OUT state text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE call;
    message := 'no error';
EXCEPTION WHEN others THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;
-- Every reading function with an item's key, if it needs one, and the names of its parameters.
CREATE TEMP TABLE function AS
SELECT p.proname AS name, p.proargnames AS parameters,
       CASE WHEN p.proname = 'project' THEN 'doc => ''{}'''
            WHEN p.pronargdefaults < p.pronargs THEN format('%I => %L', p.proargnames[1], CASE p.proname WHEN 'agent_json' THEN pg_temp.id(1) WHEN 'agent' THEN pg_temp.id(1) ELSE pg_temp.id(0) END) END AS key
  FROM pg_proc p WHERE p.pronamespace = 'muster'::regnamespace AND (p.proname ~ '_json$' OR p.proname IN ('agents', 'agent', 'project'));
SELECT count(*), count(*) FILTER (WHERE 'row_limit' = ANY (parameters)) AS lists, count(*) FILTER (WHERE 'include' = ANY (parameters)) AS with_children, count(*) FILTER (WHERE 'fields' = ANY (parameters)) AS with_fields FROM function;
-- A wrong value given to each function that has the parameter: what they say, and who says it.
CREATE FUNCTION pg_temp.wrong(parameter text, value text) RETURNS TABLE (error text, functions text) LANGUAGE sql AS $$
    SELECT concat_ws(' | ', t.state, t.message, nullif(t.detail, ''), 'hint: ' || t.hint), string_agg(f.name, ' ' ORDER BY f.name COLLATE "C")
      FROM function f, pg_temp.try(format('SELECT * FROM muster.%I(%s)', f.name, concat_ws(', ', f.key, format('%I => %s', parameter, value)))) t
     WHERE parameter = ANY (f.parameters) GROUP BY 1 ORDER BY min(f.name COLLATE "C"), 1 $$;

SELECT v AS value, w.* FROM unnest('{-1,-2147483648,0,2147483647}'::text[]) v, pg_temp.wrong('row_limit', v) w;
SELECT v AS value, w.* FROM unnest('{-1,-2147483648,0,2147483647}'::text[]) v, pg_temp.wrong('row_offset', v) w;
SELECT state, message FROM pg_temp.try('SELECT * FROM muster.agents(row_limit => 2147483648)');
SELECT v AS value, w.* FROM unnest(ARRAY['sleeping', '', 'Busy', ' busy', 'busy']) v, pg_temp.wrong('status', quote_literal(v)) w;
SELECT v AS value, w.* FROM unnest(ARRAY['', 'x', 'not base64!', 'AAAA', 'é']) v, pg_temp.wrong('after', quote_literal(v)) w;
-- The cursor of another list. agents() and agents_json() take each other's.
SELECT f.name AS cursor_of, w.error LIKE '22023 | invalid cursor "%' AS refused, string_agg(w.functions, ' ') AS functions
  FROM (VALUES ('agents_json'), ('goals_json'), ('tools_json'), ('tool_executions_json'), ('events_json')) f(name),
       pg_temp.wrong('after', format('(SELECT next FROM muster.%I(row_limit => 1))', f.name)) w GROUP BY 1, 2 ORDER BY 1, 2;
SELECT v AS value, w.* FROM unnest(ARRAY['nothing', 'Goals', 'goals,', ',', 'goals;tools', '"goals"', ' ']) v, pg_temp.wrong('include', quote_literal(v)) w;
SELECT v AS value, w.* FROM unnest(ARRAY[' goals , tools ', E'goals,\n\tgoals', 'goals,friends']) v, pg_temp.wrong('include', quote_literal(v)) w WHERE functions ~ 'agent';
SELECT v AS value, w.* FROM unnest(ARRAY['nothing', '"', 'id"', 'id,', ',id', 'id..x', '.id', 'id.', 'ID']) v, pg_temp.wrong('fields', quote_literal(v)) w;
SELECT v AS value, w.* FROM unnest(ARRAY['goals.nothing', 'tools.id.nothing', 'event_count.x', '"go""als"', 'goals', 'name é', '名前', '"name"', ' id , "did" ', '']) v, pg_temp.wrong('fields', quote_literal(v)) w WHERE functions ~ 'agent';
SELECT call, t.* FROM unnest(ARRAY[$$agents_json(include => 'goals', fields => 'tools')$$, $$agents_json(include => '', fields => 'event_count')$$, $$goals_json(fields => 'agent')$$,
    $$goals_json(include => 'agent', fields => 'agent.id')$$, $$tools_json(include => 'agent_count', fields => 'agent_count.x')$$, $$goal_json('x', 'agent', 'agent.name.x')$$]) call, pg_temp.try('SELECT * FROM muster.' || call) t;

-- How much may be asked for.
CREATE FUNCTION pg_temp.many(paths int, levels int) RETURNS text LANGUAGE sql AS
    $$ SELECT string_agg('metadata' || repeat('.a', levels - 1) || CASE WHEN levels > 1 THEN n::text ELSE '' END, ',') FROM generate_series(1, paths) n $$;
SELECT p, l, t.state, left(t.message, 40) AS message, octet_length(t.message) AS bytes, t.detail, t.hint FROM (VALUES (1000, 2), (1001, 2), (1, 64), (1, 65), (1001, 1)) v(p, l), pg_temp.try(format('SELECT * FROM muster.agents_json(fields => %L)', pg_temp.many(p, l))) t;
SELECT p, l, t.state, t.detail FROM (VALUES (1000, 64), (1001, 2), (1, 65)) v(p, l), pg_temp.try(format('SELECT muster.project(''{"metadata": 1}'', %L)', pg_temp.many(p, l))) t;
SELECT json_array_length(body) FROM muster.agents_json(row_limit => 2147483647, row_offset => 1, include => 'goals, goals,goals', fields => 'id,id,goals.id,goals,goals.id');

-- What a message repeats of a long value is cut, between characters.
SELECT p.name AS parameter, c AS character, max(octet_length(t.message)) < 250 AS bounded, bool_and(t.message ~ (c || '"')) AS whole, max(t.state) AS sqlstate, min(t.state) = max(t.state) AS same, bool_and(octet_length(t.hint) < 1000) AS hint_bounded
  FROM unnest('{status,after,include,fields}'::text[]) p(name), unnest('{x,é,名,🚀}'::text[]) c, generate_series(0, 3) shift, function f,
       pg_temp.try(format('SELECT * FROM muster.%I(%s)', f.name, concat_ws(', ', f.key, format('%I => %L', p.name, repeat('a', shift) || repeat(c, 100000))))) t
 WHERE p.name = ANY (f.parameters) AND f.name <> 'project' AND (p.name <> 'status' OR f.name <> 'goals_json') GROUP BY p.name, c ORDER BY p.name, c COLLATE "C";
SELECT octet_length(t.message) AS bytes, t.message ~ 'é"' AS whole FROM unnest(ARRAY['goals.%s', 'tools.%s', 'event_count.%s', 'name.%s,"%s', '"%s']) pattern,
       pg_temp.try(format('SELECT * FROM muster.agents_json(fields => %L)', replace(pattern, '%s', repeat('é', 100000)))) t;
SELECT state, octet_length(message) AS bytes, hint FROM unnest(ARRAY[$$update_agent(gen_random_uuid(), json_build_object('status', repeat('é', 100000)))$$, $$create_agent(json_build_object('name', json_build_array(repeat('é', 100000))))$$,
    $$create_api_key('x', repeat('é', 100000))$$, $$create_api_key('x', scopes => ARRAY[repeat('é', 100000)])$$]) call, pg_temp.try('SELECT muster.' || call);
-- Null is the default.
SELECT count(*) AS functions, count(*) FILTER (WHERE t.message = 'no error') AS without_error FROM function f,
       pg_temp.try(format('SELECT * FROM muster.%I(%s)', f.name, concat_ws(', ', f.key, (SELECT string_agg(format('%I => NULL', q), ', ') FROM unnest(f.parameters) q WHERE q IN ('status', 'row_limit', 'row_offset', 'after', 'include', 'fields'))))) t;
DROP TABLE agents, goals, tools, agent_tools, tool_executions, events CASCADE;
