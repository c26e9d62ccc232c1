-- Counting events as they are written: event_count is a sum over muster.event_counts, which is exact under
-- MVCC, costs the same for ten events and for a million, and makes no writer wait.
--
-- A row says that its aggregate gained (or lost) n events. The counting triggers add one per statement and
-- aggregate, and writers fold rows into their sum now and then.
CREATE TABLE muster.event_counts (
    aggregate_id uuid NOT NULL,
    n            bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
        -- giving the end of the file back takes a lock that writers would wait for
        vacuum_truncate = off);
-- Nobody is granted a right on the table: the functions that read it look at the caller's rights on events.
CREATE INDEX event_counts_aggregate_id ON muster.event_counts (aggregate_id);

-- Dumped as it is, by the same snapshot as the events. pg_restore loads data before it makes triggers, so
-- that nothing is counted twice. That is not so when data alone are restored into tables that have their
-- triggers: run recount() then.
SELECT pg_catalog.pg_extension_config_dump('muster.event_counts', '');

-- Counts do not replicate: a subscriber counts the events that it has, as its own triggers see them come.
-- So rows of a publication FOR ALL TABLES are let go by there, and deletions, which come from folding
-- alone, are not even sent: without an identity nothing says which row is meant. With REPLICA IDENTITY
-- FULL each would make a subscriber of 14 or 15 search the whole table, for nothing. They are not made by
-- a DELETE, which the server would refuse in such a publication, but through the access method.
ALTER TABLE muster.event_counts REPLICA IDENTITY NOTHING;
CREATE TRIGGER muster_discard_replicated BEFORE INSERT OR UPDATE OR DELETE ON muster.event_counts
    FOR EACH ROW EXECUTE FUNCTION muster.discard_replicated();
ALTER TABLE muster.event_counts ENABLE REPLICA TRIGGER muster_discard_replicated;

CREATE FUNCTION muster.count_event() RETURNS trigger
LANGUAGE c AS 'MODULE_PATHNAME', 'muster_count_event';

-- Who truncates the events need have no right on the counts. Like the events they are empty at once for
-- older snapshots, too.
CREATE FUNCTION muster.clear_event_counts() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    TRUNCATE muster.event_counts;
    RETURN NULL;
END
$$;

-- Adds a row, with no right on the table: who may execute this may set an aggregate's number.
CREATE FUNCTION muster.add_event_count(aggregate_id uuid, n bigint) RETURNS void
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'muster_add_event_count';

-- What the rows say, under the snapshot of the query that calls it. It is a definer's so that delegates who
-- make the tables need no right on this one.
CREATE FUNCTION muster.event_count_sums(OUT aggregate_id uuid, OUT n numeric, OUT row_count bigint)
RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$ SELECT c.aggregate_id, sum(c.n), count(*) FROM muster.event_counts c GROUP BY c.aggregate_id $$;

-- Folds the rows of one aggregate, however many they are, and returns how many are gone.
CREATE FUNCTION muster.fold_event_count(aggregate_id uuid) RETURNS bigint
LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'muster_fold_event_count';

-- The statements that put the counting triggers on the schema's events and count what is there already.
-- They fire ALWAYS: replication and a session that has turned ordinary triggers off bring events as well,
-- and reading falls back to count(*) when they do not. The ones around the statement are what makes it
-- leave one row per aggregate; they are not there for a statement that names a partition.
CREATE FUNCTION muster.data_count_statements(schema_name name) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
WITH wanted(pos, name, fires, each, function) AS (VALUES
    (1, 'muster_count_begin', 'BEFORE INSERT OR UPDATE OR DELETE', 'STATEMENT', 'muster.count_event'),
    (2, 'muster_count_row', 'AFTER INSERT OR UPDATE OR DELETE', 'ROW', 'muster.count_event'),
    (3, 'muster_count_end', 'AFTER INSERT OR UPDATE OR DELETE', 'STATEMENT', 'muster.count_event'),
    (4, 'muster_count_truncate', 'AFTER TRUNCATE', 'STATEMENT', 'muster.clear_event_counts')
), events AS (
    SELECT format('%I.events', schema_name) AS name,
           (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = schema_name AND c.relname = 'events') AS id
), missing AS (
    SELECT FROM wanted w, events e
     WHERE NOT EXISTS (SELECT FROM pg_trigger t
                        WHERE t.tgrelid = e.id AND t.tgname = w.name AND t.tgenabled = 'A')
     LIMIT 1
)
SELECT s.statement FROM (
    SELECT w.pos, format('CREATE OR REPLACE TRIGGER %s %s ON %s FOR EACH %s EXECUTE FUNCTION %s()',
                         w.name, w.fires, e.name, w.each, w.function) AS statement
      FROM missing, wanted w, events e
    UNION ALL
    SELECT 5, format('ALTER TABLE %s %s', e.name,
                     string_agg('ENABLE ALWAYS TRIGGER ' || w.name, ', ' ORDER BY w.pos))
      FROM missing, wanted w, events e GROUP BY e.name
    UNION ALL
    -- A table that is made now has no events, but one that is gone may have left its counts. One that was
    -- restored without Muster's tables has its triggers, but not its counts.
    SELECT 6, 'SELECT muster.recount()'
      FROM events e
     WHERE (EXISTS (SELECT FROM missing)
            OR NOT EXISTS (SELECT FROM muster.data_schema d WHERE d.schema_name = data_count_statements.schema_name))
       AND (e.id IS NOT NULL OR EXISTS (SELECT FROM muster.event_count_sums()))
) s ORDER BY s.pos
$$;

-- recount sets the counts right: after a partition was dropped, detached, attached or truncated, after a
-- load with the triggers off, after restoring data alone. It returns for how many aggregates they were
-- wrong, and folds all rows. Writers go on meanwhile, and no lock on the events is asked for.
--
-- Why nothing is lost or counted twice: the error of an aggregate is count(*) - sum(n), both under the one
-- snapshot of one statement, and a row that makes up for it is added; nothing is overwritten. A concurrent
-- writer changes both terms by the same number, in one transaction that this snapshot sees or does not,
-- and so leaves the error as it is. Two recounts at once would both make up for it: the lock keeps the
-- second one waiting, and the snapshot of its statement, which READ COMMITTED takes after the lock is
-- granted, has the first one's rows. A snapshot of the whole transaction may be older than that.
--
-- create_tables() calls it when it has put the triggers on: CREATE TRIGGER waits for every transaction that
-- has written to the events or their partitions, prepared ones too, and lets none begin to write before
-- the triggers are committed. So whoever writes without them has ended before this statement's snapshot is
-- taken, and is in count(*); whoever is not in it will write with them.
CREATE FUNCTION muster.recount() RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
SET row_security = off
SET lock_timeout = '2s'
AS $$
DECLARE
    schema_name name;
    corrected bigint;
BEGIN
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'cannot count events in a transaction that is %',
                        upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'invalid_transaction_state',
                  DETAIL = 'Its snapshot may be older than what others have counted since.',
                  HINT = 'Use READ COMMITTED.';
    END IF;
    LOCK TABLE muster.data_schema IN SHARE UPDATE EXCLUSIVE MODE;
    SELECT s.schema_name INTO schema_name FROM muster.data_schema s;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Muster has no tables in this database'
            USING ERRCODE = 'object_not_in_prerequisite_state', DETAIL = 'No schema is recorded.',
                  HINT = 'Run SELECT muster.create_tables().';
    END IF;

    -- Taken before the counts are, like everywhere: a TRUNCATE of the events asks in that order.
    EXECUTE format('LOCK TABLE %I.events IN ACCESS SHARE MODE', schema_name);
    EXECUTE format($recount$
        SELECT count(*) FROM (
            SELECT d.aggregate_id, muster.add_event_count(d.aggregate_id, sum(d.n)::bigint)
              FROM (SELECT e.aggregate_id, count(*) AS n FROM %I.events e
                     WHERE e.aggregate_id IS NOT NULL GROUP BY e.aggregate_id
                    UNION ALL
                    SELECT s.aggregate_id, -s.n FROM muster.event_count_sums() s) d
             GROUP BY d.aggregate_id HAVING sum(d.n) <> 0
            OFFSET 0) added
        $recount$, schema_name) INTO corrected;
    PERFORM muster.fold_event_count(s.aggregate_id) FROM muster.event_count_sums() s WHERE s.row_count > 1;
    RETURN corrected;
END
$$;
COMMENT ON FUNCTION muster.recount() IS
    'sets the numbers of events right after changes that no trigger saw, and returns how many were wrong';
