-- What the planner knows of the functions: row estimates, costs, and how each function is marked.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS muster CASCADE;
DROP TABLE IF EXISTS agents, goals, tools, agent_tools, tool_executions, events CASCADE;
CREATE EXTENSION muster;
CREATE FUNCTION pg_temp.plan(query text) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
    RETURN plan #> '{0,Plan}';
END $$;
CREATE FUNCTION pg_temp.rows(call text) RETURNS text LANGUAGE sql AS $$ SELECT pg_temp.plan('SELECT * FROM muster.' || call) ->> 'Plan Rows' $$;
CREATE FUNCTION pg_temp.cost(call text) RETURNS numeric LANGUAGE sql AS $$ SELECT (pg_temp.plan('SELECT * FROM muster.' || call) ->> 'Total Cost')::numeric $$;

-- Without tables, without a size that is known, and in an empty table.
SELECT pg_temp.rows('agents()'), pg_temp.rows('agents(row_limit => 5)'), pg_temp.rows('agents_json()'), pg_temp.cost('agents()') = pg_temp.cost('agents(row_limit => 5)') AS same_cost;
SELECT muster.create_tables();
SELECT pg_temp.rows('agents()'), pg_temp.rows('agents(row_limit => 5)'), pg_temp.rows('agents(row_limit => 5000)'), pg_temp.rows('agents_json()');
ANALYZE agents;
SELECT pg_temp.rows('agents()'), pg_temp.cost('agents()') < 1000 AS cheap;

CREATE FUNCTION pg_temp.id(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT md5(n::text)::uuid $$;
INSERT INTO agents (id, did, name, status) SELECT pg_temp.id(n), 'did:' || n, 'agent ' || n, CASE WHEN n <= 50 THEN 'busy' ELSE 'idle' END FROM generate_series(1, 250) n;
INSERT INTO goals (agent_id, goal_text, created_at) SELECT pg_temp.id(1 + n % 250), 'x', timestamptz '2024-01-01' + n * interval '1 s' FROM generate_series(1, 2000) n;
INSERT INTO tools (id, name, schema_def) SELECT pg_temp.id(n), 'tool ' || n, '{}' FROM generate_series(1, 400) n;
INSERT INTO agent_tools (agent_id, tool_id) SELECT pg_temp.id(n), pg_temp.id(1 + (n + t) % 400) FROM generate_series(1, 250) n, generate_series(1, 5) t;
INSERT INTO events (event_type, aggregate_type, aggregate_id) SELECT 'x', 'agent', pg_temp.id(n) FROM generate_series(1, 250) n, generate_series(1, 4);
INSERT INTO tool_executions (invocation_id, tool_name) SELECT pg_temp.id(n), 'tool ' || n % 10 FROM generate_series(1, 1000) n;
ANALYZE agents, goals, tools, agent_tools, events, tool_executions;

-- Rows: what the arguments say, as far as the table goes. What is null, wrong or not known counts as the default.
SELECT call, pg_temp.rows(call) FROM unnest(ARRAY['agents()', 'agents(row_limit => 7)', 'agents(row_limit => 1000)', 'agents(row_limit => 0)', 'agents(row_limit => 2147483647)',
    'agents(row_limit => 5 + 5)', 'agents(row_offset => 200)', 'agents(row_limit => 20, row_offset => 200)', 'agents(row_offset => 1000)', 'agents(row_limit => 2147483647, row_offset => 2147483647)',
    $$agents('busy')$$, $$agents('idle', 1000)$$, $$agents('created')$$, $$agents('busy', row_offset => 45)$$, $$agents('no such status')$$, $$agents(status => lower('BUSY'))$$,
    'agents(row_limit => NULL, row_offset => NULL, status => NULL, after => NULL, include => NULL)', 'agents(NULL)', 'agents(row_limit => -1)', 'agents(row_offset => -1)',
    'agents(row_limit => (SELECT 5))', 'agents(status => (SELECT ''busy''))', $$agents(include => 'nothing')$$, $$agents(after => 'x')$$, $$agents(row_limit => 1000, after => 'x')$$,
    'agent(gen_random_uuid())', 'agent(NULL)', 'agents_json()', 'agents_json(row_limit => 5)', 'agent_json(gen_random_uuid())', 'goals_json()', 'tools_json(true)', 'tool_executions_json()', 'events_json()']) call;
-- Parameters: their values where the plan is for them alone, the default where it is for all.
PREPARE page(int, int, text) AS SELECT * FROM muster.agents(row_limit => $1, row_offset => $2, status => $3);
SET plan_cache_mode = force_custom_plan;
SELECT pg_temp.plan('EXECUTE page(30, 0, NULL)') ->> 'Plan Rows' AS all, pg_temp.plan('EXECUTE page(30, 40, ''busy'')') ->> 'Plan Rows' AS last_busy, pg_temp.plan('EXECUTE page(NULL, NULL, NULL)') ->> 'Plan Rows' AS nulls;
SET plan_cache_mode = force_generic_plan;
SELECT pg_temp.plan('EXECUTE page(30, 0, NULL)') ->> 'Plan Rows' AS generic;
RESET plan_cache_mode;
DEALLOCATE page;
-- Arguments that come from the query.
SELECT j ->> 'Node Type' AS node, j #>> '{Plans,1,Plan Rows}' AS rows FROM pg_temp.plan('SELECT * FROM generate_series(1, 3) n, muster.agents(row_limit => n)') j;
-- Only who may read the table sees its statistics in the estimates.
CREATE ROLE muster_test_planner;
GRANT USAGE ON SCHEMA muster TO muster_test_planner;
GRANT EXECUTE ON FUNCTION muster.agents TO muster_test_planner;
SET ROLE muster_test_planner;
SELECT pg_temp.rows($$agents('busy')$$), pg_temp.rows($$agents('created')$$);
RESET ROLE;

-- Costs: more for more rows, read or given, and for each child; in the planner's units, beside what it says of the statements.
SELECT pg_temp.cost('agents_json()') AS all, pg_temp.cost('agents_json(include => '''')') AS agents, pg_temp.cost('agents_json(row_limit => 10)') AS ten, pg_temp.cost($$agent_json(gen_random_uuid())$$) AS one \gset
SELECT :agents < :all AND :ten < :all AND :one < :ten * 2 AS ordered, :all BETWEEN 50 AND 2000 AS sensible;
SELECT bool_and(cost > least) AS each_costs FROM (SELECT pg_temp.cost(format('agents_json(include => %L)', i)) AS cost, :agents AS least FROM unnest(ARRAY['goals', ' tools ', 'event_count', 'goals,tools']) i) c;
SELECT pg_temp.cost('agents_json(include => '''', row_limit => 10, row_offset => 200)') > pg_temp.cost('agents_json(include => '''', row_limit => 10)') AS offset_costs,
       pg_temp.cost('goals_json(include => ''agent'')') > pg_temp.cost('goals_json()') AS agent_costs, pg_temp.cost('tools_json(include => ''agent_count'')') > pg_temp.cost('tools_json()') AS count_costs,
       pg_temp.cost('goals_json(pg_temp.id(1))') < pg_temp.cost('goals_json()') AS filter_saves, pg_temp.cost('events_json(row_limit => 5)') < pg_temp.cost('events_json()') AS limit_saves,
       pg_temp.cost('agents_json(include => ''nothing'', row_limit => -1)') > 0 AS wrong_is_fine;
CREATE FUNCTION pg_temp.near(call text, query text) RETURNS bool LANGUAGE sql AS
    $$ SELECT c.of_call BETWEEN c.of_query / 2 AND c.of_query * 2 FROM (SELECT pg_temp.cost(call) AS of_call, (pg_temp.plan(query) ->> 'Total Cost')::numeric AS of_query) c $$;
SELECT pg_temp.near('agents_json(include => '''')', 'SELECT * FROM agents ORDER BY created_at DESC NULLS LAST, id DESC LIMIT 100') AS agents,
       pg_temp.near('goals_json()', 'SELECT * FROM goals ORDER BY created_at DESC NULLS LAST, id DESC LIMIT 100') AS goals,
       pg_temp.near('goals_json(row_limit => 100000)', 'SELECT * FROM goals') AS all_goals,
       pg_temp.near('goal_json(''x'')', 'SELECT * FROM goals WHERE goal_id = ''x''') AS goal;
SET cpu_tuple_cost = 1;
SELECT pg_temp.cost('agents_json()') > :all AS follows_the_settings;
RESET cpu_tuple_cost;
-- Tables that have gone, and other types than were looked for: estimates are made, and it is the call that fails.
ALTER TABLE agents RENAME TO agents_gone;
SELECT pg_temp.rows('agents(row_limit => 7)'), pg_temp.rows($$agents('busy', 7)$$);
SELECT * FROM muster.agents();
ALTER TABLE agents_gone RENAME TO agents;
ALTER TABLE agents RENAME status TO state;
SELECT pg_temp.rows($$agents('busy', 1000)$$);
ALTER TABLE agents RENAME state TO status;
ALTER TABLE agents DROP CONSTRAINT agents_status_check, ALTER status DROP DEFAULT, ALTER status TYPE int USING length(status);
ALTER TABLE goals DROP CONSTRAINT goals_agent_id_fkey, ALTER agent_id TYPE text;
ANALYZE agents, goals;
SELECT pg_temp.rows($$agents('busy', 1000)$$), pg_temp.cost('goals_json(pg_temp.id(1))') > 0 AS estimated;
UPDATE muster.data_schema SET schema_name = 'nowhere';
SELECT pg_temp.rows('agents(row_limit => 7)');
UPDATE muster.data_schema SET schema_name = 'public';
-- Partitions, whose sizes and statistics are the parent's.
DROP TABLE agents, goals, tools, agent_tools, tool_executions, events CASCADE;
CREATE TABLE agents (id uuid PRIMARY KEY, did varchar NOT NULL, name char(20), status varchar(20), created_at timestamptz) PARTITION BY HASH (id);
CREATE TABLE agents_0 PARTITION OF agents FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE agents_1 PARTITION OF agents FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT muster.create_tables();
INSERT INTO agents (id, did, name, status) SELECT pg_temp.id(n), n, n, CASE WHEN n <= 20 THEN 'busy' ELSE 'idle' END FROM generate_series(1, 60) n;
SELECT pg_temp.rows('agents()');
ANALYZE agents;
SELECT pg_temp.rows('agents()'), pg_temp.rows($$agents('busy')$$), pg_temp.rows($$agents('idle')$$), pg_temp.rows($$agents('error')$$);
DROP TABLE agents, goals, tools, agent_tools, tool_executions, events CASCADE;

-- How every function is marked: volatility, parallel safety, strictness, whether it has its owner's rights or leaks
-- nothing, cost and rows, how they are estimated, and what is set within.
\a\t
SELECT p.proname, CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' ELSE 'volatile' END,
       concat_ws(' ', 'parallel ' || CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' ELSE 'unsafe' END, CASE WHEN p.proisstrict THEN 'strict' END,
                 CASE WHEN p.prosecdef THEN 'security definer' END, CASE WHEN p.proleakproof THEN 'leakproof' END),
       p.procost, p.prorows, nullif(p.prosupport::text, '-'), array_to_string(p.proconfig, '; ')
  FROM pg_proc p WHERE p.pronamespace = 'muster'::regnamespace ORDER BY p.proname COLLATE "C", p.oid;
\a\t
-- What is written in SQL or PL/pgSQL, or has more rights than its caller, has its search_path fixed. But for
-- muster.fence(), whose names were resolved when it was made, so that it can become part of a statement.
SELECT string_agg(p.proname, ', ') AS without_search_path FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
 WHERE p.pronamespace = 'muster'::regnamespace AND (l.lanname <> 'c' OR p.prosecdef)
   AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false);
DROP OWNED BY muster_test_planner;
DROP ROLE muster_test_planner;
