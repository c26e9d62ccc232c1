-- Reading: whole documents as JSON, and agents as rows. A null parameter means its default.
--
-- The functions run with the caller's rights and under the caller's row security. They have no SET
-- search_path, because the statements inside name schemas, tables and operators in full: there is nothing
-- that a search_path could change, and a SET would cost every call and make the saved plans stale.

-- `include` names children, between commas. `fields` names columns, included children and paths into them and
-- into JSON values: `id,configuration.model,goals.goal_text`. Columns come in the document's order and the
-- members of a value in the order asked for, nested as in the document. What a path does not find is left out;
-- a name that is neither column nor child is an error. In an array a number picks an element (`tags.0`) and a name
-- is asked of every element; names with a comma, dot or quote are written in double quotes.
--
-- A timestamp without time zone is one in UTC. Everything else is written as to_json() writes it under
-- TimeZone = UTC and DateStyle = ISO, whatever the session's are.

-- The document functions always return one row. They are declared as sets because a function that returns
-- a set may hand its caller the row where it is to stay: of a large document every copy counts. An unknown
-- id gives a row of nulls.

-- What the planner is to know: read_support() tells how many rows a list gives and what it costs, from constant
-- arguments and the tables' sizes. Where it cannot (no tables yet), ROWS and COST stand: those of a page of 100.
-- An item costs the same whatever the tables' sizes: COST alone says so, and planning stays quick.
CREATE FUNCTION muster.read_support(internal) RETURNS internal
LANGUAGE c STRICT STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'muster_read_support';

CREATE FUNCTION muster.agents_json(
    status text DEFAULT NULL, row_limit int DEFAULT 100, row_offset int DEFAULT 0, after text DEFAULT NULL,
    include text DEFAULT 'goals,tools,event_count', fields text DEFAULT NULL, OUT body json, OUT next text)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL SAFE COST 1300000 ROWS 1 SUPPORT muster.read_support
AS 'MODULE_PATHNAME', 'muster_agents_json';
COMMENT ON FUNCTION muster.agents_json(text, int, int, text, text, text) IS
    'a page of agents with their goals, tools and numbers of events, newest first, and the cursor of the next page';

CREATE FUNCTION muster.agent_json(
    id uuid, include text DEFAULT 'goals,tools,event_count', fields text DEFAULT NULL,
    OUT body json, OUT next text)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL SAFE COST 40000 ROWS 1 AS 'MODULE_PATHNAME', 'muster_agent_json';
COMMENT ON FUNCTION muster.agent_json(uuid, text, text) IS
    'an agent with its goals, tools and number of events';

CREATE FUNCTION muster.goals_json(
    agent_id uuid DEFAULT NULL, agent_did text DEFAULT NULL, status text DEFAULT NULL,
    row_limit int DEFAULT 100, row_offset int DEFAULT 0, after text DEFAULT NULL,
    include text DEFAULT '', fields text DEFAULT NULL, OUT body json, OUT next text)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL SAFE COST 8700 ROWS 1 SUPPORT muster.read_support
AS 'MODULE_PATHNAME', 'muster_goals_json';
COMMENT ON FUNCTION muster.goals_json(uuid, text, text, int, int, text, text, text) IS
    'a page of goals, newest first, and the cursor of the next page; include: agent';

CREATE FUNCTION muster.goal_json(
    id text, include text DEFAULT '', fields text DEFAULT NULL, OUT body json, OUT next text)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL SAFE COST 3300 ROWS 1 AS 'MODULE_PATHNAME', 'muster_goal_json';
COMMENT ON FUNCTION muster.goal_json(text, text, text) IS
    'the goal with that goal_id or, if there is none, that uuid; include: agent';

CREATE FUNCTION muster.tools_json(
    enabled_only bool DEFAULT false, row_limit int DEFAULT 100, row_offset int DEFAULT 0,
    after text DEFAULT NULL, include text DEFAULT '', fields text DEFAULT NULL, OUT body json, OUT next text)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL SAFE COST 8700 ROWS 1 SUPPORT muster.read_support
AS 'MODULE_PATHNAME', 'muster_tools_json';
COMMENT ON FUNCTION muster.tools_json(bool, int, int, text, text, text) IS
    'a page of tools by name, and the cursor of the next page; include: agent_count';

CREATE FUNCTION muster.tool_json(
    id uuid, include text DEFAULT '', fields text DEFAULT NULL, OUT body json, OUT next text)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL SAFE COST 3300 ROWS 1 AS 'MODULE_PATHNAME', 'muster_tool_json';
COMMENT ON FUNCTION muster.tool_json(uuid, text, text) IS 'a tool; include: agent_count';

CREATE FUNCTION muster.tool_executions_json(
    agent_id uuid DEFAULT NULL, tool_name text DEFAULT NULL, session_id text DEFAULT NULL,
    tenant_id text DEFAULT NULL, status text DEFAULT NULL, row_limit int DEFAULT 100,
    row_offset int DEFAULT 0, after text DEFAULT NULL, fields text DEFAULT NULL,
    OUT body json, OUT next text)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL SAFE COST 8700 ROWS 1 SUPPORT muster.read_support
AS 'MODULE_PATHNAME', 'muster_tool_executions_json';
COMMENT ON FUNCTION muster.tool_executions_json(uuid, text, text, text, text, int, int, text, text) IS
    'a page of tool executions, newest first, and the cursor of the next page';

CREATE FUNCTION muster.tool_execution_json(
    id uuid, fields text DEFAULT NULL, OUT body json, OUT next text)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL SAFE COST 3300 ROWS 1 AS 'MODULE_PATHNAME', 'muster_tool_execution_json';
COMMENT ON FUNCTION muster.tool_execution_json(uuid, text) IS 'a tool execution';

CREATE FUNCTION muster.tool_execution_by_invocation_json(
    invocation_id uuid, fields text DEFAULT NULL, OUT body json, OUT next text)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL SAFE COST 3300 ROWS 1 AS 'MODULE_PATHNAME', 'muster_tool_execution_by_invocation_json';
COMMENT ON FUNCTION muster.tool_execution_by_invocation_json(uuid, text) IS
    'the tool execution of that invocation';

CREATE FUNCTION muster.events_json(
    aggregate_id uuid DEFAULT NULL, aggregate_type text DEFAULT NULL, event_type text DEFAULT NULL,
    row_limit int DEFAULT 100, row_offset int DEFAULT 0, after text DEFAULT NULL,
    fields text DEFAULT NULL, OUT body json, OUT next text)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL SAFE COST 8700 ROWS 1 SUPPORT muster.read_support
AS 'MODULE_PATHNAME', 'muster_events_json';
COMMENT ON FUNCTION muster.events_json(uuid, text, text, int, int, text, text) IS
    'a page of events, newest first, and the cursor of the next page';

CREATE FUNCTION muster.event_json(
    id uuid, fields text DEFAULT NULL, OUT body json, OUT next text)
RETURNS SETOF record
LANGUAGE c STABLE PARALLEL SAFE COST 3300 ROWS 1 AS 'MODULE_PATHNAME', 'muster_event_json';
COMMENT ON FUNCTION muster.event_json(uuid, text) IS 'an event';

-- An agent as a row: the API's columns, the children (null when not included), and users' own columns.
CREATE TYPE muster.agent_row AS (
    id uuid, did text, name text, agent_type text, status text, configuration jsonb, metadata jsonb,
    resource_limits jsonb, created_at timestamptz, updated_at timestamptz,
    goals json, tools json, event_count bigint, extra jsonb);
COMMENT ON TYPE muster.agent_row IS 'an agent with its goals, tools and number of events';

CREATE FUNCTION muster.agents(
    status text DEFAULT NULL, row_limit int DEFAULT 100, row_offset int DEFAULT 0, after text DEFAULT NULL,
    include text DEFAULT 'goals,tools,event_count')
RETURNS SETOF muster.agent_row
LANGUAGE c STABLE PARALLEL SAFE COST 1300000 ROWS 100 SUPPORT muster.read_support
AS 'MODULE_PATHNAME', 'muster_agents';
COMMENT ON FUNCTION muster.agents(text, int, int, text, text) IS
    'a page of agents with their goals, tools and numbers of events, newest first';

CREATE FUNCTION muster.agent(id uuid, include text DEFAULT 'goals,tools,event_count')
RETURNS SETOF muster.agent_row
LANGUAGE c STABLE PARALLEL SAFE COST 40000 ROWS 1 AS 'MODULE_PATHNAME', 'muster_agent';
COMMENT ON FUNCTION muster.agent(uuid, text) IS 'an agent with its goals, tools and number of events';

CREATE FUNCTION muster.project(doc jsonb, fields text) RETURNS json
LANGUAGE c IMMUTABLE PARALLEL SAFE COST 10 AS 'MODULE_PATHNAME', 'muster_project';
COMMENT ON FUNCTION muster.project(jsonb, text) IS
    'what of a JSON document the comma-separated paths ask for, such as id,configuration.model';

REVOKE ALL ON FUNCTION
    muster.agents_json(text, int, int, text, text, text),
    muster.agent_json(uuid, text, text),
    muster.goals_json(uuid, text, text, int, int, text, text, text),
    muster.goal_json(text, text, text),
    muster.tools_json(bool, int, int, text, text, text),
    muster.tool_json(uuid, text, text),
    muster.tool_executions_json(uuid, text, text, text, text, int, int, text, text),
    muster.tool_execution_json(uuid, text),
    muster.tool_execution_by_invocation_json(uuid, text),
    muster.events_json(uuid, text, text, int, int, text, text),
    muster.event_json(uuid, text),
    muster.agents(text, int, int, text, text),
    muster.agent(uuid, text),
    muster.project(jsonb, text)
FROM PUBLIC;
