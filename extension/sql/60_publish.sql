-- Publishing: triggers that carry a table's changes into the outbox. Their configuration is in their
-- arguments, so that pg_dump takes it along with the table.
--
-- DROP EXTENSION muster is refused while a table is published ("cannot drop extension muster because other
-- objects depend on it", with each trigger in the detail). DROP EXTENSION muster CASCADE takes the triggers,
-- and nothing else of the users': their tables and rows stay.
--
-- The triggers do not fire for rows that logical replication brings: those were published where they were
-- written. The same goes for a session whose session_replication_role is replica.

-- Only who may execute this can make it a trigger; once made, it fires for everyone who writes the table.
CREATE FUNCTION muster.publish_change() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'muster_publish_change';

-- The statement that makes one publishing trigger. The relation's name must be quoted already.
--   columns   whose values may be told, and whose changes are announced; null for all
--   shown     those of them that are in every payload but that of the mode key, whether they changed or not;
--             null for those that the mode says
--   ignored   columns that are neither told as changed nor announced
--   naive     utc where timestamps without time zone are shown as UTC
-- Empty arguments at the end are left out, for every statement that writes the table copies all of its
-- triggers' arguments.
-- Triggers fire in the order of their names, and a change should be announced before what the table's own
-- triggers make of it: an underscore comes before every letter that an unquoted name can begin with.
CREATE FUNCTION muster.publish_statement(
    relation text, operation text, event_type text, aggregate_type text, payload text,
    key text[], columns text[], shown text[], ignored text[], naive text)
RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
WITH given AS (
    SELECT * FROM unnest(ARRAY[event_type, aggregate_type, payload, coalesce(naive, ''), coalesce(ignored::text, ''),
                               coalesce(key::text, ''), coalesce(shown::text, ''), coalesce(columns::text, '')])
                  WITH ORDINALITY g(argument, n))
SELECT format('CREATE OR REPLACE TRIGGER _muster_publish_%s AFTER %s ON %s FOR EACH %s'
              ' EXECUTE FUNCTION muster.publish_change(%s)',
              operation, upper(operation), relation, CASE operation WHEN 'truncate' THEN 'STATEMENT' ELSE 'ROW' END,
              (SELECT string_agg(quote_literal(g.argument), ', ' ORDER BY g.n) FROM given g
                WHERE g.n <= (SELECT max(l.n) FROM given l WHERE l.argument <> '')))
$$;

-- publish puts triggers on the table, which from then on announces its changes. Calling it again replaces
-- what was said before.
--   payload   'changes': the columns' values of a new row; "updates" with the new values of those that an
--             update changed; {} for a deletion. 'row': the columns' values as they are now, or were when the
--             row was deleted. 'key': the key
--   key       what identifies a row in aggregate_id and tags; the primary key if not given
--   columns   the columns that are published; all if not given. Of others nothing is told, and a change of
--             them alone is not announced. With 'changes' the values of those named here are in every payload
--   names     event types other than <aggregate type>.created, .updated, .deleted and .truncated, by the
--             operation: {"insert": "order.placed", "truncate": null}; null publishes no such operation
--
-- An update is announced when it changes the value of a published column, or of the key, or agent_id, which
-- are in the tags; otherwise nothing is sent. Caches live by these messages: where a route shows a column of
-- this table that is not named in `columns`, its answers may be as old as its ttl. payload => 'key' without
-- columns announces every change and tells nothing but the key.
--
-- The aggregate_id of a key of several columns joins their values by commas: a,b. A comma or a backslash
-- within a value is preceded by a backslash, and \N stands for a null, so that no two keys read the same.
-- A value over 8192 bytes is cut there and ends in a hash of the whole. TRUNCATE sends one message, with an
-- empty aggregate_id, the payload {} and the table's name as its only tag, for it concerns every row.
--
-- A partitioned table is published with all its partitions, those attached later too, and a row that an
-- update moves to another partition is deleted there and created here. What is done to a partition as a
-- whole (TRUNCATE of it alone, ATTACH, DETACH, DROP) is not announced. Tables that inherit from the table in
-- the old way are tables of their own. Unlogged tables are published like others; that a crash empties them is
-- not announced. Temporary tables are refused: nobody else can see their rows.
--
-- A renamed or dropped column stops nobody's writing. Until publish is called again, a key that has lost a
-- column falls back to the primary key, and `columns` that has lost one announces every update, without the
-- values of columns that it does not name. Row security of the table does not hide rows from its messages.
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
    IF relation.relpersistence = 't' THEN
        RAISE EXCEPTION 'cannot publish temporary table "%"', relation.relname
            USING ERRCODE = 'wrong_object_type', DETAIL = 'Nobody else can see its rows.';
    END IF;
    IF EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = "table" AND t.tgparentid <> 0
                                          AND t.tgfoid = 'muster.publish_change'::regproc) THEN
        RAISE EXCEPTION 'table "%" is published with the table that it is a partition of', relation.relname
            USING ERRCODE = 'object_not_in_prerequisite_state';
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
     WHERE e.key NOT IN ('insert', 'update', 'delete', 'truncate') OR jsonb_typeof(e.value) NOT IN ('string', 'null')
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'invalid member of "names": %', wrong USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Allowed are insert, update, delete and truncate, each with an event type or null.';
    END IF;
    IF relation.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = "table") THEN
        RAISE WARNING 'tables that inherit from "%" are not published with it', relation.relname
            USING HINT = 'Publish each of them.';
    END IF;

    FOREACH operation IN ARRAY '{insert,update,delete,truncate}'::text[] LOOP
        IF jsonb_typeof(names -> operation) = 'null' THEN
            IF EXISTS (SELECT FROM pg_trigger t
                        WHERE t.tgrelid = "table" AND t.tgname = '_muster_publish_' || operation) THEN
                EXECUTE format('DROP TRIGGER %I ON %s', '_muster_publish_' || operation, "table");
            END IF;
        ELSE
            EXECUTE muster.publish_statement("table"::text, operation,
                coalesce(names ->> operation,
                         aggregate_type || '.' || CASE operation WHEN 'insert' THEN 'created'
                                                                 WHEN 'update' THEN 'updated'
                                                                 WHEN 'delete' THEN 'deleted'
                                                                 ELSE 'truncated' END),
                aggregate_type, payload, key, columns, columns, NULL, NULL);
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

-- What create_tables() publishes: every change but that of updated_at alone, since caches hold whole rows;
-- `shown` is what clients expect in the payload whatever changed. Deletions of events are not published: the
-- table is append-only, and what goes is old. Executions are known by their invocation.
CREATE FUNCTION muster.data_publications(
    OUT pos int, OUT table_name text, OUT operation text, OUT event_type text, OUT aggregate_type text,
    OUT payload text, OUT key text[], OUT shown text[])
RETURNS SETOF record
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$
SELECT row_number() OVER ()::int, v.table_name, v.operation, v.event_type, v.aggregate_type, v.payload,
       v.key::text[], v.shown::text[] FROM (VALUES
    ('agents', 'insert', 'agent.created', 'agent', 'changes', '{id}', '{name,agent_type,did}'),
    ('agents', 'update', 'agent.updated', 'agent', 'changes', '{id}', NULL),
    ('agents', 'delete', 'agent.deleted', 'agent', 'changes', '{id}', NULL),
    ('agents', 'truncate', 'agent.truncated', 'agent', 'key', NULL, NULL),
    ('goals', 'insert', 'goal.created', 'goal', 'changes', '{id}', '{goal_id,status}'),
    ('goals', 'update', 'goal.updated', 'goal', 'changes', '{id}', '{goal_id,status}'),
    ('goals', 'delete', 'goal.deleted', 'goal', 'changes', '{id}', '{goal_id}'),
    ('goals', 'truncate', 'goal.truncated', 'goal', 'key', NULL, NULL),
    ('tools', 'insert', 'tool.registered', 'tool', 'changes', '{id}', '{name,tool_type}'),
    ('tools', 'update', 'tool.updated', 'tool', 'changes', '{id}', NULL),
    ('tools', 'delete', 'tool.deleted', 'tool', 'changes', '{id}', NULL),
    ('tools', 'truncate', 'tool.truncated', 'tool', 'key', NULL, NULL),
    ('agent_tools', 'insert', 'agent_tool.created', 'agent_tool', 'key', '{agent_id,tool_id}', NULL),
    ('agent_tools', 'update', 'agent_tool.updated', 'agent_tool', 'key', '{agent_id,tool_id}', NULL),
    ('agent_tools', 'delete', 'agent_tool.deleted', 'agent_tool', 'key', '{agent_id,tool_id}', NULL),
    ('agent_tools', 'truncate', 'agent_tool.truncated', 'agent_tool', 'key', NULL, NULL),
    ('tool_executions', 'insert', 'tool.execution.recorded', 'tool_execution', 'row', '{invocation_id}',
        '{tool_name,status,duration_ms}'),
    ('tool_executions', 'update', 'tool.execution.updated', 'tool_execution', 'row', '{invocation_id}',
        '{tool_name,status,duration_ms}'),
    ('tool_executions', 'delete', 'tool.execution.deleted', 'tool_execution', 'row', '{invocation_id}',
        '{tool_name,status,duration_ms}'),
    ('tool_executions', 'truncate', 'tool.execution.truncated', 'tool_execution', 'key', NULL, NULL),
    ('events', 'insert', '', '', 'event', '{id}', NULL),
    ('events', 'truncate', 'event.truncated', 'event', 'key', NULL, NULL)
) v(table_name, operation, event_type, aggregate_type, payload, key, shown)
$$;

-- The statements for the publishing triggers that the schema's tables lack.
CREATE FUNCTION muster.data_publish_statements(schema_name name) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
SELECT muster.publish_statement(format('%I.%I', schema_name, p.table_name), p.operation, p.event_type,
                                p.aggregate_type, p.payload, p.key, NULL, p.shown, '{updated_at}', 'utc')
  FROM muster.data_publications() p
 WHERE NOT EXISTS (
    SELECT FROM pg_trigger t
      JOIN pg_class c ON c.oid = t.tgrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = schema_name AND c.relname = p.table_name AND t.tgname = '_muster_publish_' || p.operation)
 ORDER BY p.pos
$$;
