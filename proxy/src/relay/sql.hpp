// What the relay asks PostgreSQL. The statements of every day are prepared, the rare ones are not.
#pragma once

#include <array>

namespace muster::relay::sql {

// A statement that a session prepares when it first needs it.
struct Prepared {
    const char* name;
    const char* text;
};

// The planner's choices are fixed: after one huge transaction and ANALYZE it would read the whole
// outbox for the late branch.
inline constexpr const char* settings =
    "select set_config('application_name', 'muster relay', false),"
    " set_config('search_path', 'pg_catalog', false),"
    " set_config('TimeZone', 'UTC', false),"
    " set_config('synchronous_commit', 'on', false),"
    " set_config('default_transaction_isolation', 'read committed', false),"
    " set_config('default_transaction_read_only', 'off', false),"
    " set_config('enable_seqscan', 'off', false),"
    " set_config('enable_bitmapscan', 'off', false),"
    " set_config('enable_hashjoin', 'off', false),"
    " set_config('enable_mergejoin', 'off', false),"
    " set_config('enable_material', 'off', false),"
    " set_config('enable_memoize', 'off', false),"
    " set_config('plan_cache_mode', 'force_generic_plan', false),"
    " set_config('jit', 'off', false),"
    " set_config('lock_timeout', '5s', false),"
    " set_config('idle_session_timeout', '5s', false),"
    " set_config('idle_in_transaction_session_timeout', '5s', false),"
    " set_config('tcp_keepalives_idle', '2', false),"
    " set_config('tcp_keepalives_interval', '1', false),"
    " set_config('tcp_keepalives_count', '3', false),"
    " set_config('tcp_user_timeout', '5000', false)";

// 0x6d757374 is "must"; advisory locks are per database. muster.relay_leader() knows it, too.
inline constexpr const char* lead =
    "select case when pg_is_in_recovery() then false else pg_try_advisory_lock(1836413812, 1) end";
inline constexpr const char* yield = "select pg_advisory_unlock(1836413812, 1)";

// Ends the leader's session if its relay has not shown itself for `lease`: the session is idle, or
// in the middle of a result that nobody takes. A relay that works asks for something much more
// often, and its session's own timeouts end most of those that do not, but none of a session that
// is sending. Only sessions of the same role, or of one that we are a member of, can be ended.
inline constexpr const char* unseat =
    "select pg_terminate_backend(a.pid) from muster.relay_leader() l"
    " join pg_stat_activity a on a.pid = l.pid"
    " where pg_has_role(a.usesysid, 'USAGE') and (a.state like 'idle%' or a.wait_event_type = "
    "'Client') and clock_timestamp() - greatest(a.query_start, a.state_change) > $1::interval";

inline constexpr const char* newest_generation =
    "select g.number, g.first_tick,"
    " g.system_identifier = (select c.system_identifier from pg_control_system() c)"
    " and g.timeline = left(pg_walfile_name(pg_current_wal_lsn()), 8)"
    " and g.database = (select d.oid from pg_database d where d.datname = current_database()),"
    " g.announced_at is not null"
    " from muster.generation g order by g.number desc limit 1";

inline constexpr const char* announced =
    "update muster.generation set announced_at = clock_timestamp()"
    " where number = $1::bigint and announced_at is null";

inline constexpr const char* facts =
    "select (select min(t.tick_id) from muster.tick t), (select max(t.tick_id) from muster.tick t),"
    " exists (select from muster.tick t where t.tick_id = $1::bigint),"
    " (select max(t.tick_id) from muster.tick t where t.tick_id < $1::bigint),"
    " (select r.dropped_tick from muster.rotation r)";

// The newest tick in which none of the stream_length newest changes is visible.
inline constexpr const char* refill =
    "select t.tick_id from muster.tick t"
    " where pg_snapshot_xmax(t.snap) <= (select o.xid from muster.outbox o"
    " order by o.xid desc offset $1::bigint limit 1) order by t.tick_id desc limit 1";

inline constexpr const char* record =
    "insert into muster.generation (number, system_identifier, timeline, database, first_tick,"
    " reason) select $1::bigint, c.system_identifier,"
    " left(pg_walfile_name(pg_current_wal_lsn()), 8), d.oid, $2::bigint, $3"
    " from pg_control_system() c, pg_database d where d.datname = current_database()";

inline constexpr const char* generation =
    "select g.first_tick, '{\"xid\":\"0\",\"tags\":[],\"event_type\":\"reset\","
    "\"aggregate_type\":\"muster\",\"aggregate_id\":\"' || g.number || '\","
    "\"payload\":{\"generation\":' || g.number || ',\"reason\":' || to_json(g.reason)"
    " || '},\"metadata\":{},\"timestamp\":' || to_json(g.started_at) || '}'"
    " from muster.generation g where g.number = $1::bigint";

inline constexpr const char* tick =
    "select t.tick_id, t.snap from muster.tick t where t.tick_id = $1::bigint";
inline constexpr const char* tick_before =
    "select t.tick_id, t.snap from muster.tick t where t.tick_id < $1::bigint"
    " order by t.tick_id desc limit 1";
inline constexpr const char* first_tick_from =
    "select t.tick_id, t.snap from muster.tick t where t.tick_id >= $1::bigint"
    " order by t.tick_id limit 1";
inline constexpr const char* ticks_after =
    "select t.tick_id, t.snap from muster.tick t where t.tick_id > $1::bigint"
    " order by t.tick_id limit 1000";
inline constexpr const char* newest_tick =
    "select t.tick_id, t.snap from muster.tick t order by t.tick_id desc limit 1";

// One statement, so that the snapshot that is asked about is the one that is recorded. The tick
// goes into the table that belongs to the current outbox.
// clang-format off
#define MUSTER_PROBE(table)                                                                  \
    "with at (snap) as materialized (select pg_current_snapshot()),"                         \
    " made as (insert into muster." table " (snap) select at.snap from at"                   \
    " where exists (select from muster.fence($1::pg_snapshot, pg_current_snapshot()))"       \
    " returning tick_id)"                                                                    \
    " select (select made.tick_id from made), at.snap from at"
// clang-format on
inline constexpr std::array<Prepared, 3> probe{{{"probe_0", MUSTER_PROBE("tick_0")},
                                                {"probe_1", MUSTER_PROBE("tick_1")},
                                                {"probe_2", MUSTER_PROBE("tick_2")}}};

// OFFSET and LIMIT keep the outer select list, which builds the texts, out of the sort. What is too
// large to be a message goes without its payload, and says so; the sizes are looked up without
// reading the values.
// clang-format off
#define MUSTER_READ(offset)                                                                      \
    "select '{\"xid\":\"' || q.xid || '\",\"tags\":' || case"                                    \
    " when pg_column_size(q.tags) > 1048576"                                                     \
    " then array_to_json(q.tags[1:1]) else array_to_json(q.tags) end"                            \
    " || ',\"event_type\":' || to_json(q.event_type)"                                            \
    " || ',\"aggregate_type\":' || to_json(q.aggregate_type)"                                    \
    " || ',\"aggregate_id\":' || to_json(left(q.aggregate_id, 65536)) || case"                   \
    " when octet_length(q.payload::text) > 8388608 or octet_length(q.metadata::text) > 8388608"  \
    " then ',\"payload\":{},\"metadata\":{\"omitted_bytes\":'"                                   \
    " || octet_length(q.payload::text)::bigint + octet_length(q.metadata::text) || '}'"          \
    " else ',\"payload\":' || q.payload || ',\"metadata\":' || q.metadata end"                   \
    " || ',\"timestamp\":' || to_json(q.ts) || '}'"                                              \
    " from (select f.* from muster.fence($1::pg_snapshot, $2::pg_snapshot) f"                     \
    " order by f.seq " offset ") q"
// clang-format on
inline constexpr Prepared read{"read", MUSTER_READ("offset $3::bigint limit $4::bigint")};
// For ticks too large for one statement, of which each has to end within the lease.
inline constexpr const char* begin = "begin";
inline constexpr const char* declare =
    "declare rest no scroll cursor for " MUSTER_READ("offset $3::bigint");
inline constexpr const char* fetch = "fetch 4096 from rest";
inline constexpr const char* commit = "commit";

inline constexpr const char* count =
    "select count(*) from muster.fence($1::pg_snapshot, $2::pg_snapshot)";

// What is committed but was not by the snapshot $1: how much (a million at most are counted), and
// how old in microseconds.
inline constexpr Prepared backlog{
    "backlog",
    "select count(*), coalesce((extract(epoch from clock_timestamp() - min(f.ts)) * "
    "1000000)::bigint, 0) from (select b.ts from muster.fence($1::pg_snapshot,"
    " pg_current_snapshot()) b limit 1000000) f"};

inline constexpr Prepared rotate{
    "rotate",
    "select r.step, r.current, r.dropped from muster.rotate($1::bigint, $2::bigint,"
    " make_interval(secs => $3::bigint / 1000.0)) r"};
inline constexpr const char* rotation = "select r.current, r.published from muster.rotation r";

inline constexpr const char* arm = "select muster.wake_arm()";
inline constexpr Prepared wait{"wait", "select muster.wake_wait($1::int)"};

// Nothing durable is lost with a notification, so that nobody waits for its flush.
inline constexpr Prepared notify{
    "notify",
    "select set_config('synchronous_commit', 'off', true), pg_notify('muster_events', $1)"};

// For muster.relay_status().
inline constexpr Prepared tell{
    "tell",
    "select set_config('application_name', 'muster relay: published to tick ' || $1, false)"};

}  // namespace muster::relay::sql
