-- Publishing: triggers that carry a table's changes into the outbox. Their configuration is in their
-- arguments, so that pg_dump takes it along with the table.
--
-- DROP EXTENSION muster is refused while a table is published ("cannot drop extension muster because other
-- objects depend on it", with each trigger in the detail). DROP EXTENSION muster CASCADE takes the triggers,
-- and nothing else of the users': their tables and rows stay.
--
-- The triggers do not fire for rows that logical replication brings: those were published where they were
-- written.

-- Only who may execute this can make it a trigger; once made, it fires for everyone who writes the table.
CREATE FUNCTION muster.publish_change() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'muster_publish_change';

-- The statement that makes one publishing trigger. The relation's name must be quoted already.
-- A change of the ignored columns alone is no change; "naive" is utc where timestamps without time zone are
-- shown as UTC.
CREATE FUNCTION muster.publish_statement(
    relation text, operation text, event_type text, aggregate_type text, payload text,
    key text[], columns text[], ignored text[], naive text)
RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
SELECT format('CREATE OR REPLACE TRIGGER muster_publish_%s AFTER %s ON %s FOR EACH ROW'
              ' EXECUTE FUNCTION muster.publish_change(%L, %L, %L, %L, %L, %L, %L)',
              operation, upper(operation), relation, event_type, aggregate_type, payload,
              coalesce(key::text, ''), coalesce(columns::text, ''), coalesce(ignored::text, ''),
              coalesce(naive, ''))
$$;

-- publish puts triggers on the table, which from then on announces its changes. Calling it again replaces
-- what was said before.
--   payload   'changes': the columns' values and, for an update, "updates" with the new values of what
--             changed (a deletion says nothing but columns named here); 'row': the columns' values;
--             'key': the key
--   key       what identifies a row in aggregate_id and tags; the primary key if not given
--   columns   the columns whose values are shown; all if not given
--   names     event types other than <aggregate type>.created, .updated and .deleted, by the operation:
--             {"insert": "order.placed", "delete": null}; null publishes no such operation
-- An update that changes nothing sends nothing; one that changes anything is announced whatever columns are
-- shown, since caches live by these messages.
CREATE FUNCTION muster.publish(
    "table" regclass, aggregate_type text DEFAULT NULL, payload text DEFAULT 'changes', key text[] DEFAULT NULL,
    columns text[] DEFAULT NULL, names jsonb DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $$
#variable_conflict use_variable
DECLARE
    relation pg_class := (SELECT c FROM pg_class c WHERE c.oid = "table");
    operation text;
    wrong text;
BEGIN
    aggregate_type := coalesce(aggregate_type, relation.relname);
    payload := coalesce(payload, 'changes');
    names := coalesce(names, '{}');

    IF relation.relkind IS NULL OR relation.relkind NOT IN ('r', 'p')
       OR relation.relnamespace IN ('pg_catalog'::regnamespace, 'muster'::regnamespace) THEN
        RAISE EXCEPTION 'cannot publish "%"', coalesce(relation.relname, "table"::text)
            USING ERRCODE = 'wrong_object_type',
                  DETAIL = 'Only tables and partitioned tables of users can be published.';
    END IF;
    IF payload NOT IN ('changes', 'row', 'key') THEN
        RAISE EXCEPTION 'invalid value for "payload": "%"', payload USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Allowed are changes, row and key.';
    END IF;
    SELECT u.name INTO wrong FROM unnest(key || columns) u(name)
     WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = "table" AND a.attname = u.name
                                                    AND a.attnum > 0 AND NOT a.attisdropped)
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'column "%" of table "%" does not exist', wrong, relation.relname
            USING ERRCODE = 'undefined_column';
    END IF;
    IF cardinality(key) = 0 OR key IS NULL AND NOT EXISTS (
            SELECT FROM pg_index i WHERE i.indrelid = "table" AND i.indisprimary) THEN
        RAISE EXCEPTION 'table "%" has no primary key', relation.relname
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Say what identifies its rows: key => ''{column, ...}''.';
    END IF;
    IF jsonb_typeof(names) <> 'object' THEN
        RAISE EXCEPTION 'invalid value for "names": %', names USING ERRCODE = 'invalid_parameter_value',
            HINT = 'An object is expected, such as {"insert": "order.placed"}.';
    END IF;
    SELECT format('"%s": %s', e.key, e.value) INTO wrong FROM jsonb_each(names) e
     WHERE e.key NOT IN ('insert', 'update', 'delete') OR jsonb_typeof(e.value) NOT IN ('string', 'null')
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'invalid member of "names": %', wrong USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Allowed are insert, update and delete, each with an event type or null.';
    END IF;

    FOREACH operation IN ARRAY '{insert,update,delete}'::text[] LOOP
        IF jsonb_typeof(names -> operation) = 'null' THEN
            IF EXISTS (SELECT FROM pg_trigger t
                        WHERE t.tgrelid = "table" AND t.tgname = 'muster_publish_' || operation) THEN
                EXECUTE format('DROP TRIGGER %I ON %s', 'muster_publish_' || operation, "table");
            END IF;
        ELSE
            EXECUTE muster.publish_statement("table"::text, operation,
                coalesce(names ->> operation,
                         aggregate_type || '.' || CASE operation WHEN 'insert' THEN 'created'
                                                  WHEN 'update' THEN 'updated' ELSE 'deleted' END),
                aggregate_type, payload, key, columns, NULL, NULL);
        END IF;
    END LOOP;
END
$$;

-- unpublish takes the triggers off; false says that there were none.
CREATE FUNCTION muster.unpublish("table" regclass) RETURNS bool
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '2s'
AS $$
#variable_conflict use_variable
DECLARE
    found_any bool := false;
    trigger_name name;
BEGIN
    FOR trigger_name IN
        SELECT t.tgname FROM pg_trigger t
         WHERE t.tgrelid = "table" AND t.tgfoid = 'muster.publish_change'::regproc
         ORDER BY t.tgname
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', trigger_name, "table");
        found_any := true;
    END LOOP;
    RETURN found_any;
END
$$;

-- What create_tables() publishes. Deletions of events are not: the table is append-only, and what goes is
-- old. Executions are known by their invocation.
CREATE FUNCTION muster.data_publications(
    OUT pos int, OUT table_name text, OUT operation text, OUT event_type text, OUT aggregate_type text,
    OUT payload text, OUT key text[], OUT columns text[])
RETURNS SETOF record
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
SELECT row_number() OVER ()::int, v.table_name, v.operation, v.event_type, v.aggregate_type, v.payload,
       v.key::text[], v.columns::text[] FROM (VALUES
    ('agents', 'insert', 'agent.created', 'agent', 'changes', '{id}', '{name,agent_type,did}'),
    ('agents', 'update', 'agent.updated', 'agent', 'changes', '{id}', NULL),
    ('agents', 'delete', 'agent.deleted', 'agent', 'changes', '{id}', NULL),
    ('goals', 'insert', 'goal.created', 'goal', 'changes', '{id}', '{goal_id,status}'),
    ('goals', 'update', 'goal.updated', 'goal', 'changes', '{id}', '{goal_id,status}'),
    ('goals', 'delete', 'goal.deleted', 'goal', 'changes', '{id}', '{goal_id}'),
    ('tools', 'insert', 'tool.registered', 'tool', 'changes', '{id}', '{name,tool_type}'),
    ('tools', 'update', 'tool.updated', 'tool', 'changes', '{id}', NULL),
    ('tools', 'delete', 'tool.deleted', 'tool', 'changes', '{id}', NULL),
    ('agent_tools', 'insert', 'agent_tool.created', 'agent_tool', 'key', '{agent_id,tool_id}', NULL),
    ('agent_tools', 'update', 'agent_tool.updated', 'agent_tool', 'key', '{agent_id,tool_id}', NULL),
    ('agent_tools', 'delete', 'agent_tool.deleted', 'agent_tool', 'key', '{agent_id,tool_id}', NULL),
    ('tool_executions', 'insert', 'tool.execution.recorded', 'tool_execution', 'row', '{invocation_id}',
        '{tool_name,status,duration_ms}'),
    ('tool_executions', 'update', 'tool.execution.updated', 'tool_execution', 'row', '{invocation_id}',
        '{tool_name,status,duration_ms}'),
    ('tool_executions', 'delete', 'tool.execution.deleted', 'tool_execution', 'row', '{invocation_id}',
        '{tool_name,status,duration_ms}'),
    ('events', 'insert', '', '', 'event', '{id}', NULL)
) v(table_name, operation, event_type, aggregate_type, payload, key, columns)
$$;

-- The statements for the publishing triggers that the schema's tables lack.
CREATE FUNCTION muster.data_publish_statements(schema_name name) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
SELECT muster.publish_statement(format('%I.%I', schema_name, p.table_name), p.operation, p.event_type,
                                p.aggregate_type, p.payload, p.key, p.columns, '{updated_at}', 'utc')
  FROM muster.data_publications() p
 WHERE NOT EXISTS (
    SELECT FROM pg_trigger t
      JOIN pg_class c ON c.oid = t.tgrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = schema_name AND c.relname = p.table_name AND t.tgname = 'muster_publish_' || p.operation)
 ORDER BY p.pos
$$;
