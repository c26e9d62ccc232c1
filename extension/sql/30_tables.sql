-- What the users' six tables look like. create_tables() makes or adopts tables from these lists, so that
-- a column, a default or an index is written down once. Nothing in the tables refers to schema muster
-- except the publishing triggers: the tables stay ordinary, and stay when the extension goes.

-- Columns in their order. "type" is what a table made here has; adopting accepts its relatives.
-- "rule" is the column's CHECK and "refers_to" the table whose rows it goes with, both only in tables
-- made here: an adopted table keeps the constraints it has.
CREATE FUNCTION muster.data_columns(
    OUT pos int, OUT table_name text, OUT column_name text, OUT type text,
    OUT not_null bool, OUT default_value text, OUT rule text, OUT refers_to text)
RETURNS SETOF record
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
SELECT row_number() OVER ()::int, v.* FROM (VALUES
    ('agents', 'id', 'uuid', true, 'gen_random_uuid()', NULL, NULL),
    ('agents', 'did', 'text', true, NULL, NULL, NULL),
    ('agents', 'name', 'text', true, NULL, NULL, NULL),
    ('agents', 'agent_type', 'text', true, '''general''', NULL, NULL),
    ('agents', 'status', 'text', true, '''created''',
        'status IN (''created'', ''active'', ''idle'', ''busy'', ''suspended'', ''terminated'', ''error'')', NULL),
    ('agents', 'configuration', 'jsonb', true, '''{}''', 'jsonb_typeof(configuration) = ''object''', NULL),
    ('agents', 'metadata', 'jsonb', true, '''{}''', 'jsonb_typeof(metadata) = ''object''', NULL),
    ('agents', 'resource_limits', 'jsonb', true, '''{}''', 'jsonb_typeof(resource_limits) = ''object''', NULL),
    ('agents', 'created_at', 'timestamptz', true, 'now()', NULL, NULL),
    ('agents', 'updated_at', 'timestamptz', true, 'now()', NULL, NULL),

    ('goals', 'id', 'uuid', true, 'gen_random_uuid()', NULL, NULL),
    ('goals', 'goal_id', 'text', true, '''goal-'' || gen_random_uuid()', NULL, NULL),
    ('goals', 'agent_id', 'uuid', true, NULL, NULL, 'agents'),
    ('goals', 'agent_did', 'text', false, NULL, NULL, NULL),
    ('goals', 'goal_text', 'text', true, NULL, NULL, NULL),
    ('goals', 'goal_type', 'text', true, '''compound''', NULL, NULL),
    ('goals', 'status', 'text', true, '''pending''', NULL, NULL),
    ('goals', 'constraints_max_token_budget', 'integer', false, NULL, NULL, NULL),
    ('goals', 'constraints_max_execution_time_sec', 'integer', false, NULL, NULL, NULL),
    ('goals', 'constraints_max_parallelism', 'integer', true, '10', NULL, NULL),
    ('goals', 'constraints_deadline_unix_ms', 'bigint', false, NULL, NULL, NULL),
    ('goals', 'constraints_priority', 'integer', true, '5', 'constraints_priority BETWEEN 1 AND 10', NULL),
    ('goals', 'constraints_require_approval', 'boolean', true, 'false', NULL, NULL),
    ('goals', 'constraints_allowed_agent_types', 'text[]', false, NULL, NULL, NULL),
    ('goals', 'constraints_forbidden_tools', 'text[]', false, NULL, NULL, NULL),
    ('goals', 'constraints_cost_limit_usd', 'numeric(10,2)', false, NULL, NULL, NULL),
    ('goals', 'success_criteria', 'jsonb', true, '''[]''', 'jsonb_typeof(success_criteria) = ''array''', NULL),
    ('goals', 'metadata', 'jsonb', true, '''{}''', 'jsonb_typeof(metadata) = ''object''', NULL),
    ('goals', 'parent_goal_id', 'text', false, NULL, NULL, NULL),
    ('goals', 'decomposition_strategy', 'text', false, NULL, NULL, NULL),
    ('goals', 'created_at', 'timestamptz', true, 'now()', NULL, NULL),
    ('goals', 'updated_at', 'timestamptz', true, 'now()', NULL, NULL),
    ('goals', 'completed_at', 'timestamptz', false, NULL, NULL, NULL),

    ('tools', 'id', 'uuid', true, 'gen_random_uuid()', NULL, NULL),
    ('tools', 'name', 'text', true, NULL, NULL, NULL),
    ('tools', 'description', 'text', false, NULL, NULL, NULL),
    ('tools', 'tool_type', 'text', true, '''function''', 'tool_type IN (''function'', ''api'', ''external'')', NULL),
    ('tools', 'schema_def', 'jsonb', true, NULL, 'jsonb_typeof(schema_def) = ''object''', NULL),
    ('tools', 'permissions', 'jsonb', true, '''{}''', 'jsonb_typeof(permissions) = ''object''', NULL),
    ('tools', 'enabled', 'boolean', true, 'true', NULL, NULL),
    ('tools', 'created_at', 'timestamptz', true, 'now()', NULL, NULL),
    ('tools', 'updated_at', 'timestamptz', true, 'now()', NULL, NULL),

    ('agent_tools', 'agent_id', 'uuid', true, NULL, NULL, 'agents'),
    ('agent_tools', 'tool_id', 'uuid', true, NULL, NULL, 'tools'),
    ('agent_tools', 'created_at', 'timestamptz', true, 'now()', NULL, NULL),

    -- A record of what happened: it refers to agents and tools without depending on them, and outlives both.
    ('tool_executions', 'id', 'uuid', true, 'gen_random_uuid()', NULL, NULL),
    ('tool_executions', 'invocation_id', 'uuid', true, NULL, NULL, NULL),
    ('tool_executions', 'tool_id', 'uuid', false, NULL, NULL, NULL),
    ('tool_executions', 'tool_name', 'text', true, NULL, NULL, NULL),
    ('tool_executions', 'tool_version', 'text', false, NULL, NULL, NULL),
    ('tool_executions', 'agent_id', 'uuid', false, NULL, NULL, NULL),
    ('tool_executions', 'agent_did', 'text', false, NULL, NULL, NULL),
    ('tool_executions', 'tenant_id', 'text', false, NULL, NULL, NULL),
    ('tool_executions', 'session_id', 'text', false, NULL, NULL, NULL),
    ('tool_executions', 'parent_sandbox_id', 'text', false, NULL, NULL, NULL),
    ('tool_executions', 'input_params', 'jsonb', true, '''{}''', 'jsonb_typeof(input_params) = ''object''', NULL),
    ('tool_executions', 'output_result', 'jsonb', false, NULL, NULL, NULL),
    ('tool_executions', 'status', 'text', true, '''pending''',
        'status IN (''pending'', ''running'', ''success'', ''error'', ''failed'', ''timeout'', ''cancelled'','
        ' ''permission_denied'', ''pending_approval'')', NULL),
    ('tool_executions', 'error_code', 'text', false, NULL, NULL, NULL),
    ('tool_executions', 'error_message', 'text', false, NULL, NULL, NULL),
    ('tool_executions', 'error_details', 'jsonb', false, NULL, NULL, NULL),
    ('tool_executions', 'retryable', 'boolean', true, 'false', NULL, NULL),
    ('tool_executions', 'duration_ms', 'bigint', false, NULL, NULL, NULL),
    ('tool_executions', 'cpu_used_millicore_seconds', 'bigint', false, NULL, NULL, NULL),
    ('tool_executions', 'memory_peak_mb', 'integer', false, NULL, NULL, NULL),
    ('tool_executions', 'network_bytes_sent', 'bigint', false, NULL, NULL, NULL),
    ('tool_executions', 'network_bytes_received', 'bigint', false, NULL, NULL, NULL),
    ('tool_executions', 'documents_accessed', 'jsonb', true, '''[]''',
        'jsonb_typeof(documents_accessed) = ''array''', NULL),
    ('tool_executions', 'checkpoints_created', 'jsonb', true, '''[]''',
        'jsonb_typeof(checkpoints_created) = ''array''', NULL),
    ('tool_executions', 'checkpoint_ref', 'text', false, NULL, NULL, NULL),
    ('tool_executions', 'async_mode', 'boolean', true, 'false', NULL, NULL),
    ('tool_executions', 'priority', 'integer', true, '5', 'priority BETWEEN 1 AND 10', NULL),
    ('tool_executions', 'idempotency_key', 'text', false, NULL, NULL, NULL),
    ('tool_executions', 'require_approval', 'boolean', true, 'false', NULL, NULL),
    ('tool_executions', 'cpu_millicore_limit', 'integer', false, NULL, NULL, NULL),
    ('tool_executions', 'memory_mb_limit', 'integer', false, NULL, NULL, NULL),
    ('tool_executions', 'timeout_seconds', 'integer', false, NULL, NULL, NULL),
    ('tool_executions', 'created_at', 'timestamptz', true, 'now()', NULL, NULL),
    ('tool_executions', 'started_at', 'timestamptz', false, NULL, NULL, NULL),
    ('tool_executions', 'completed_at', 'timestamptz', false, NULL, NULL, NULL),

    ('events', 'id', 'uuid', true, 'gen_random_uuid()', NULL, NULL),
    ('events', 'event_type', 'text', true, NULL, NULL, NULL),
    ('events', 'aggregate_type', 'text', true, NULL, NULL, NULL),
    ('events', 'aggregate_id', 'uuid', true, NULL, NULL, NULL),
    ('events', 'payload', 'jsonb', true, '''{}''', 'jsonb_typeof(payload) = ''object''', NULL),
    ('events', 'metadata', 'jsonb', true, '''{}''', 'jsonb_typeof(metadata) = ''object''', NULL),
    ('events', 'created_at', 'timestamptz', true, 'now()', NULL, NULL),
    ('events', 'version', 'integer', true, '1', NULL, NULL)
) v(table_name, column_name, type, not_null, default_value, rule, refers_to)
$$;

-- Indexes: plain columns, then, where "newest_first", the order of every list. A list that filters by a
-- column finds its page in one index, whatever the table's size. Tools are few: one order is enough.
CREATE FUNCTION muster.data_indexes(
    OUT pos int, OUT table_name text, OUT is_unique bool, OUT columns text[], OUT newest_first bool)
RETURNS SETOF record
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
SELECT row_number() OVER ()::int, v.table_name, v.is_unique, v.columns::text[], v.newest_first FROM (VALUES
    ('agents', true, '{did}', false),
    ('agents', false, '{}', true),
    ('agents', false, '{status}', true),
    ('goals', true, '{goal_id}', false),
    ('goals', false, '{}', true),
    ('goals', false, '{agent_id}', true),
    ('goals', false, '{agent_did}', true),
    ('goals', false, '{status}', true),
    ('tools', true, '{name}', false),
    ('tools', false, '{name,id}', false),
    ('agent_tools', true, '{agent_id,tool_id}', false),
    ('agent_tools', false, '{tool_id,agent_id}', false),
    ('tool_executions', true, '{invocation_id}', false),
    ('tool_executions', false, '{}', true),
    ('tool_executions', false, '{agent_id}', true),
    ('tool_executions', false, '{tool_name}', true),
    ('tool_executions', false, '{session_id}', true),
    ('tool_executions', false, '{tenant_id}', true),
    ('tool_executions', false, '{status}', true),
    ('events', false, '{}', true),
    ('events', false, '{aggregate_id}', true),
    ('events', false, '{aggregate_type}', true),
    ('events', false, '{event_type}', true)
) v(table_name, is_unique, columns, newest_first)
$$;
