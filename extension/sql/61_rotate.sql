-- Rotation: the outbox is kept bounded by emptying one of its three tables as a whole. No row is ever deleted, so
-- there is nothing to clean up, however long some transaction keeps vacuum from cleaning.
--
-- The tables are written to in turn. At the bounds' quarter the next one is begun, which has to be empty: so
-- between two and three quarters of the bounds are kept, published or not, for filling a Redis again that lost
-- its tail. A table is emptied only when
--   - nobody writes to it: its lock is taken against everybody, and never waited for, since a waiting lock would
--     have all that come after it wait, too;
--   - there is a tick whose snapshot sees everything in it. That tick is recorded as the oldest: what the ones
--     before it saw cannot be read again. (That each xid lies below the snapshot's xmin would do as well, but a
--     transaction held open anywhere in the cluster would stall it.)
--   - that tick was published to its end; or the bounds themselves are reached, as when Redis is away: then what
--     that tick saw and was not published is dropped, counted in muster.rotation, and the relay announces a reset (a
--     new generation that begins at that tick).
-- A transaction that wrote to the table and stays open, or is prepared and forgotten, keeps it from being emptied.
-- Then the current table goes on growing; muster.relay_status() says who it is.

CREATE FUNCTION muster.try_lock("table" regclass) RETURNS bool
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'muster_try_lock';
CREATE FUNCTION muster.empty("table" regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'muster_empty';
CREATE FUNCTION muster.announce_rotation("table" regclass) RETURNS void
LANGUAGE c STRICT AS 'MODULE_PATHNAME', 'muster_announce_rotation';

-- The first tick that sees every committed row of an outbox table that nobody writes to; null if there is none.
-- Transactions that the tick's snapshot has seen running are few, so each is looked up in the table.
CREATE FUNCTION muster.first_tick_that_sees(outbox regclass) RETURNS bigint
LANGUAGE plpgsql VOLATILE STRICT
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
DECLARE
    newest xid8;
    found_tick bigint;
BEGIN
    EXECUTE format('SELECT o.xid FROM %s o ORDER BY o.xid DESC LIMIT 1', outbox) INTO newest;
    EXECUTE format(
        'SELECT t.tick_id FROM muster.tick t'
        ' WHERE ($1 IS NULL OR pg_snapshot_xmax(t.snap) > $1)'
        '   AND NOT EXISTS (SELECT FROM pg_snapshot_xip(t.snap) x'
        '                    WHERE EXISTS (SELECT FROM %s o WHERE o.xid = x OFFSET 0))'
        ' ORDER BY t.tick_id LIMIT 1', outbox) INTO found_tick USING newest;
    RETURN found_tick;
END
$$;

-- rotate takes the next step, if one is due. The relay calls it about every second; it is quick when nothing is due.
--   published  all up to this tick has been published, as far as the caller knows
--   most_rows, most_age  the bounds
-- Returns what was done ('begun': the next table is written to from now on; 'emptied': the next call can begin it;
-- 'dropped': the same, with changes that were not published), or why nothing was ('in use': the next table's lock was
-- not to be had; 'unseen', 'unpublished': there are changes in it that no tick has seen, or that are not published
-- yet), or null if nothing is due; with the table that is written to, and how many changes were dropped.
CREATE FUNCTION muster.rotate(
    published bigint, most_rows bigint, most_age interval, OUT step text, OUT current int, OUT dropped bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    state muster.rotation;
    newest_seq bigint := (SELECT s.last_value FROM muster.outbox_seq s);
    next int;
    next_outbox regclass;
    next_tick regclass;
    seen_by bigint;
    published_snap pg_snapshot;
    oldest timestamptz;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'muster.rotate() must be called in a read committed transaction'
            USING ERRCODE = 'active_sql_transaction';
    END IF;
    SELECT r.* INTO STRICT state FROM muster.rotation r;
    current := state.current;
    dropped := 0;
    IF newest_seq - state.first_seq[current + 1] < most_rows / 4
       AND (clock_timestamp() - state.begun_at[current + 1] < most_age / 4
            OR pg_relation_size(format('muster.outbox_%s', current)) = 0) THEN
        RETURN;
    END IF;
    -- One at a time.
    SELECT r.* INTO state FROM muster.rotation r FOR UPDATE SKIP LOCKED;
    IF NOT FOUND OR state.current <> current THEN
        RETURN;
    END IF;
    -- A caller that knows is right even where less is published than once was: a Redis that lost its stream is
    -- filled again from what is kept, and until then that is needed. 0 is a caller that does not know.
    -- What was dropped is gone for both.
    published := greatest(coalesce(nullif(published, 0), state.published), state.dropped_tick);
    next := (current + 1) % 3;
    next_outbox := format('muster.outbox_%s', next);
    next_tick := format('muster.tick_%s', next);

    IF pg_relation_size(next_outbox) = 0 AND pg_relation_size(next_tick) = 0 THEN
        state.begun_at[next + 1] := clock_timestamp();
        state.first_seq[next + 1] := newest_seq + 1;
        UPDATE muster.rotation r
           SET current = next, begun_at = state.begun_at, first_seq = state.first_seq, published = rotate.published;
        PERFORM muster.announce_rotation('muster.rotation');
        step := 'begun';
        current := next;
        RETURN;
    END IF;

    IF NOT muster.try_lock(next_outbox) OR NOT muster.try_lock(next_tick) THEN
        step := 'in use';
        RETURN;
    END IF;
    -- Each statement from here on has a snapshot taken under the lock, so it sees all that was ever committed there.
    seen_by := muster.first_tick_that_sees(next_outbox);
    IF seen_by IS NULL THEN
        step := 'unseen';
        RETURN;
    END IF;
    step := 'emptied';
    IF seen_by > published THEN
        SELECT t.snap INTO published_snap FROM muster.tick t WHERE t.tick_id <= published ORDER BY t.tick_id DESC LIMIT 1;
        published_snap := coalesce(published_snap, '3:3:');
        IF newest_seq - state.first_seq[next + 1] < most_rows THEN
            EXECUTE format('SELECT o.ts FROM %s o WHERE o.xid >= pg_snapshot_xmax($1) ORDER BY o.xid LIMIT 1', next_outbox)
               INTO oldest USING published_snap;
            IF clock_timestamp() - coalesce(oldest, state.begun_at[next + 1]) < most_age THEN
                step := 'unpublished';
                RETURN;
            END IF;
        END IF;
        -- Publishing goes on behind that tick: what else it saw is gone as well.
        SELECT count(*) INTO dropped
          FROM muster.tick t, LATERAL muster.fence(published_snap, t.snap) WHERE t.tick_id = seen_by;
        step := 'dropped';
        published := seen_by;
    END IF;

    -- Ticks that are good still move on.
    EXECUTE format('INSERT INTO muster.tick_%s SELECT * FROM %s t WHERE t.tick_id >= $1', current, next_tick)
      USING seen_by;
    PERFORM muster.empty(next_outbox), muster.empty(next_tick);
    UPDATE muster.rotation r
       SET oldest_tick = seen_by, published = rotate.published, dropped = r.dropped + rotate.dropped,
           dropped_tick = CASE WHEN step = 'dropped' THEN seen_by ELSE r.dropped_tick END,
           dropped_at = CASE WHEN step = 'dropped' THEN clock_timestamp() ELSE r.dropped_at END;
END
$$;
