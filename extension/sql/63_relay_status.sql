-- How the relay is doing, as far as this database knows. The relay says in its session's application_name up to which
-- tick it has published ("muster relay: published to tick 17"): a row of a table would be updated so often that a
-- transaction held open would leave thousands of its versions behind.

-- The session that leads: it holds the advisory lock of the relays, 0x6d757374 ("must").
CREATE FUNCTION muster.relay_leader(OUT pid int) RETURNS SETOF int
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
SELECT l.pid FROM pg_locks l
  JOIN pg_database d ON d.oid = l.database
 WHERE l.locktype = 'advisory' AND l.classid = 1836413812 AND l.objid = 1 AND l.objsubid = 2 AND l.granted
   AND d.datname = current_database()
$$;

-- relay_status gives one row:
--   generation       the newest history of ticks; last_tick, last_tick_at, oldest_tick: the ticks that are kept
--   published_tick   all up to this one is in Redis, as told by a relay within the last second or so
--   backlog_rows, backlog_age  committed changes that are not published, and the age of their oldest
--   current_table    the outbox written to; table_rows (estimated), table_bytes: of each of the three
--   dropped, dropped_at  changes ever dropped unpublished since the bounds were reached, and when last
--   leader_pid, leader_address, leader_since  its session; null if no relay leads (address and since are shown to those
--                    who may see the session in pg_stat_activity)
--   wakes            commits wake the leader; otherwise it polls
--   blocked_by       who keeps the table that is to be emptied next from being so, and the outbox growing
CREATE FUNCTION muster.relay_status(
    OUT generation bigint, OUT last_tick bigint, OUT last_tick_at timestamptz, OUT oldest_tick bigint,
    OUT published_tick bigint, OUT backlog_rows bigint, OUT backlog_age interval,
    OUT current_table text, OUT table_rows bigint[], OUT table_bytes bigint[],
    OUT dropped bigint, OUT dropped_at timestamptz,
    OUT leader_pid int, OUT leader_address inet, OUT leader_since timestamptz, OUT wakes bool, OUT blocked_by text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
AS $$
WITH state AS MATERIALIZED (
    SELECT * FROM muster.rotation
), newest AS MATERIALIZED (
    SELECT t.tick_id, t.ts FROM muster.tick t ORDER BY t.tick_id DESC LIMIT 1
), told AS MATERIALIZED (
    SELECT count(*) AS relays, max(substring(a.application_name FROM '^muster relay: published to tick ([0-9]{1,13})$')::bigint) AS tick
      FROM pg_stat_activity a
     WHERE a.datname = current_database() AND a.application_name LIKE 'muster relay%'
       AND pg_has_role(a.usesysid, 'muster_relay', 'MEMBER')
), published AS MATERIALIZED (
    -- With no relay there, nobody has made ticks without publishing them.
    SELECT p.tick, coalesce((SELECT t.snap FROM muster.tick t WHERE t.tick_id <= p.tick ORDER BY t.tick_id DESC LIMIT 1), '3:3:') AS snap
      FROM state, newest, told,
           LATERAL (SELECT CASE WHEN told.relays = 0 THEN newest.tick_id ELSE greatest(told.tick, state.published) END AS tick) p
), backlog AS MATERIALIZED (
    SELECT count(*) AS n, min(b.ts) AS since
      FROM published, LATERAL muster.fence(published.snap, pg_current_snapshot()) b
), tables AS MATERIALIZED (
    SELECT array_agg(pg_stat_get_live_tuples(c.oid) ORDER BY c.relname) AS live,
           array_agg(pg_total_relation_size(c.oid) ORDER BY c.relname) AS bytes
      FROM pg_class c
     WHERE c.relnamespace = 'muster'::regnamespace AND c.relname IN ('outbox_0', 'outbox_1', 'outbox_2')
), leader AS MATERIALIZED (
    SELECT l.pid, a.client_addr, a.backend_start FROM muster.relay_leader() l LEFT JOIN pg_stat_activity a ON a.pid = l.pid LIMIT 1
), holders AS MATERIALIZED (
    SELECT string_agg(CASE WHEN l.pid IS NULL THEN format('prepared transaction "%s"', p.gid) ELSE format('process %s', l.pid) END,
                      ', ' ORDER BY l.pid, p.gid) AS names
      FROM state, pg_locks l
      LEFT JOIN pg_locks x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid'
                          AND x.virtualtransaction = l.virtualtransaction
      LEFT JOIN pg_prepared_xacts p ON p.transaction = x.transactionid
     WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
       AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
       AND l.relation = format('muster.outbox_%s', (state.current + 1) % 3)::regclass
       AND NOT EXISTS (SELECT FROM leader WHERE leader.pid = l.pid)
)
SELECT (SELECT max(g.number) FROM muster.generation g), newest.tick_id, newest.ts,
       (SELECT min(t.tick_id) FROM muster.tick t), published.tick, backlog.n,
       coalesce(greatest(clock_timestamp() - backlog.since, '0'), '0'),
       format('outbox_%s', state.current), tables.live, tables.bytes, state.dropped, state.dropped_at,
       leader.pid, leader.client_addr, leader.backend_start,
       leader.pid IS NOT NULL AND leader.pid IS NOT DISTINCT FROM muster.wake_owner(), holders.names
  FROM state CROSS JOIN newest CROSS JOIN published CROSS JOIN backlog CROSS JOIN tables CROSS JOIN holders
  LEFT JOIN leader ON true
$$;
