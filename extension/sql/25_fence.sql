-- The fence: what became visible between two snapshots, which is what one batch of messages holds. Neither the order of
-- seq, which is not that of commits, nor the oldest running transaction, which may be anybody's for hours, has a part in
-- it. Rows of transactions that were running at the first snapshot ("late") are found by their ids, all others by range.
-- It is taken into the statement that calls it; OFFSET makes the late branch ask the indexes, however small the tables
-- were when that was planned.
CREATE FUNCTION muster.fence(since pg_snapshot, until pg_snapshot) RETURNS SETOF muster.outbox
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT o.* FROM muster.outbox o
     WHERE o.xid >= pg_catalog.pg_snapshot_xmax(since) AND o.xid < pg_catalog.pg_snapshot_xmax(until)
       AND pg_catalog.pg_visible_in_snapshot(o.xid, until)
    UNION ALL
    SELECT o.* FROM pg_catalog.pg_snapshot_xip(since) late(xid),
           LATERAL (SELECT * FROM muster.outbox b WHERE b.xid = late.xid OFFSET 0) o
     WHERE pg_catalog.pg_visible_in_snapshot(late.xid, until);
END;
