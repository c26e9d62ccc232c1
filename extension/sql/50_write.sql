-- Writing: what the API's POST, PATCH, PUT and DELETE call. Bodies are JSON objects; a member that is not
-- known is ignored, one of the wrong type is refused by name (22023). Each returns the item as the reading
-- functions show it, or NULL where the id is unknown.
--
-- They are written in C++ to keep their plans: the tables' schema is known only when they run, so that
-- plpgsql would plan an EXECUTE at every call. TimeZone is UTC inside, for times without an offset and for
-- adopted columns without a time zone.

CREATE FUNCTION muster.create_agent(body json) RETURNS json
LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS 'MODULE_PATHNAME', 'muster_create_agent';

CREATE FUNCTION muster.update_agent(id uuid, body json) RETURNS json
LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS 'MODULE_PATHNAME', 'muster_update_agent';

-- Its goals and tool links go with it; an adopted foreign key that forbids this is a 23503.
CREATE FUNCTION muster.delete_agent(id uuid) RETURNS json
LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS 'MODULE_PATHNAME', 'muster_delete_agent';

-- Also returns a link that was there already.
CREATE FUNCTION muster.add_agent_tool(agent_id uuid, tool_id uuid) RETURNS json
LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS 'MODULE_PATHNAME', 'muster_add_agent_tool';

CREATE FUNCTION muster.remove_agent_tool(agent_id uuid, tool_id uuid) RETURNS json
LANGUAGE c VOLATILE STRICT SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS 'MODULE_PATHNAME', 'muster_remove_agent_tool';

-- An agent that does not exist is a 23503.
CREATE FUNCTION muster.create_goal(body json) RETURNS json
LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS 'MODULE_PATHNAME', 'muster_create_goal';

-- id is the goal_id, or else the goal's uuid.
CREATE FUNCTION muster.update_goal(id text, body json) RETURNS json
LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS 'MODULE_PATHNAME', 'muster_update_goal';

CREATE FUNCTION muster.create_tool(body json) RETURNS json
LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS 'MODULE_PATHNAME', 'muster_create_tool';

CREATE FUNCTION muster.update_tool(id uuid, body json) RETURNS json
LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS 'MODULE_PATHNAME', 'muster_update_tool';

CREATE FUNCTION muster.create_tool_execution(body json) RETURNS json
LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS 'MODULE_PATHNAME', 'muster_create_tool_execution';

CREATE FUNCTION muster.update_tool_execution(invocation_id uuid, body json) RETURNS json
LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS 'MODULE_PATHNAME', 'muster_update_tool_execution';

CREATE FUNCTION muster.create_event(body json) RETURNS json
LANGUAGE c VOLATILE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC'
AS 'MODULE_PATHNAME', 'muster_create_event';
