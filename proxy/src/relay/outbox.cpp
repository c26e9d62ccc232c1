// PostgreSQL's side of the relay.
#include "relay/outbox.hpp"

#include <charconv>

namespace muster::relay {

namespace {

using postgres::Parameter;

// Of every statement but the reading of a tick.
constexpr std::chrono::seconds statement_deadline{10};

// The fence, $1 being the snapshot of the previous tick: what is visible in `to` and was not then.
// Rows of transactions that were running then ("late") are found by their ids, all others by range.
// clang-format off
#define FENCE(to)                                                                            \
    "select o.* from muster.outbox o"                                                        \
    " where o.xid >= pg_snapshot_xmax($1::pg_snapshot) and o.xid < pg_snapshot_xmax(" to ")" \
    " and pg_visible_in_snapshot(o.xid, " to ")"                                             \
    " union all"                                                                             \
    " select o.* from (select x from pg_snapshot_xip($1::pg_snapshot) x"                     \
    " where pg_visible_in_snapshot(x, " to ")) late"                                         \
    " join muster.outbox o on o.xid = late.x"
// clang-format on

// The planner's choices are fixed: after one huge transaction and ANALYZE it would read the whole
// outbox for the late branch.
constexpr const char* settings_sql =
    "select set_config('application_name', 'muster relay', false),"
    " set_config('search_path', 'pg_catalog', false),"
    " set_config('TimeZone', 'UTC', false),"
    " set_config('synchronous_commit', 'on', false),"
    " set_config('default_transaction_isolation', 'read committed', false),"
    " set_config('default_transaction_read_only', 'off', false),"
    " set_config('enable_seqscan', 'off', false),"
    " set_config('enable_hashjoin', 'off', false),"
    " set_config('enable_mergejoin', 'off', false),"
    " set_config('jit', 'off', false),"
    " set_config('lock_timeout', '5s', false),"
    " set_config('idle_session_timeout', '5s', false),"
    " set_config('idle_in_transaction_session_timeout', '5s', false),"
    " set_config('tcp_keepalives_idle', '2', false),"
    " set_config('tcp_keepalives_interval', '1', false),"
    " set_config('tcp_keepalives_count', '3', false),"
    " set_config('tcp_user_timeout', '5000', false)";

// 0x6d757374 is "must"; advisory locks are per database.
constexpr const char* lead_sql =
    "select case when pg_is_in_recovery() then false else pg_try_advisory_lock(1836413812, 1) end";

constexpr const char* newest_generation_sql =
    "select g.number, g.first_tick,"
    " g.system_identifier = (select c.system_identifier from pg_control_system() c)"
    " and g.timeline = left(pg_walfile_name(pg_current_wal_lsn()), 8)"
    " and g.database = (select d.oid from pg_database d where d.datname = current_database())"
    " from muster.generation g order by g.number desc limit 1";

constexpr const char* facts_sql =
    "select (select min(t.tick_id) from muster.tick t), (select max(t.tick_id) from muster.tick t),"
    " exists (select from muster.tick t where t.tick_id = $1::bigint),"
    " (select max(t.tick_id) from muster.tick t where t.tick_id < $1::bigint)";

// The newest tick in which none of the stream_length newest changes is visible.
constexpr const char* refill_sql =
    "select t.tick_id from muster.tick t"
    " where pg_snapshot_xmax(t.snap) <= (select o.xid from muster.outbox o"
    " order by o.xid desc offset $1::bigint limit 1) order by t.tick_id desc limit 1";

constexpr const char* record_sql =
    "insert into muster.generation (number, system_identifier, timeline, database, first_tick,"
    " reason) select $1::bigint, c.system_identifier,"
    " left(pg_walfile_name(pg_current_wal_lsn()), 8), d.oid, $2::bigint, $3"
    " from pg_control_system() c, pg_database d where d.datname = current_database()";

constexpr const char* generation_sql =
    "select g.first_tick, '{\"xid\":\"0\",\"tags\":[],\"event_type\":\"reset\","
    "\"aggregate_type\":\"muster\",\"aggregate_id\":\"' || g.number || '\","
    "\"payload\":{\"generation\":' || g.number || ',\"reason\":' || to_json(g.reason)"
    " || '},\"metadata\":{},\"timestamp\":' || to_json(g.started_at) || '}'"
    " from muster.generation g where g.number = $1::bigint";

// One statement, so that the snapshot that is asked about is the one that is recorded.
constexpr const char* probe_sql =
    "with at (snap) as materialized (select pg_current_snapshot()),"
    " made as (insert into muster.tick (snap) select at.snap from at"
    " where exists (" FENCE("pg_current_snapshot()") ") returning tick_id)"
    " select (select made.tick_id from made), at.snap from at";

// OFFSET keeps the outer select list, which builds the texts, out of the sort. What is too large to
// be a message goes without its payload, and says so; the sizes are looked up without reading the
// values.
constexpr const char* read_sql =
    "select '{\"xid\":\"' || q.xid || '\",\"tags\":' || case when pg_column_size(q.tags) > 1048576"
    " then array_to_json(q.tags[1:1]) else array_to_json(q.tags) end"
    " || ',\"event_type\":' || to_json(q.event_type)"
    " || ',\"aggregate_type\":' || to_json(q.aggregate_type)"
    " || ',\"aggregate_id\":' || to_json(left(q.aggregate_id, 65536)) || case"
    " when octet_length(q.payload::text) > 8388608 or octet_length(q.metadata::text) > 8388608"
    " then ',\"payload\":{},\"metadata\":{\"omitted_bytes\":'"
    " || octet_length(q.payload::text)::bigint + octet_length(q.metadata::text) || '}'"
    " else ',\"payload\":' || q.payload || ',\"metadata\":' || q.metadata end"
    " || ',\"timestamp\":' || to_json(q.ts) || '}'"
    " from (select * from (" FENCE("$2::pg_snapshot") ") f order by f.seq"
    " offset $3::bigint) q";

constexpr const char* count_sql = "select count(*) from (" FENCE("$2::pg_snapshot") ") f";

// Numbers that the server printed; NULL is 0.
std::uint64_t number(const postgres::Rows& rows, int row, int column) {
    const std::string_view text = rows.get(row, column);
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

std::vector<Parameter> texts(std::vector<std::string> values) {
    std::vector<Parameter> parameters;
    for (std::string& value : values)
        parameters.push_back({.value = std::move(value)});
    return parameters;
}

postgres::Error missing(std::string message, std::string hint) {
    return {.sqlstate = Outbox::not_kept,
            .message = std::move(message),
            .detail = {},
            .hint = std::move(hint)};
}

}  // namespace

Task<Outbox::Outcome<std::unique_ptr<Outbox>>> Outbox::open(net::io_context& context,
                                                            const std::string& conninfo,
                                                            TimePoint deadline) {
    auto connection = co_await postgres::Connection::connect(context, conninfo, deadline);
    if (!connection)
        co_return std::move(connection).error();
    auto set = co_await connection.value()->query(settings_sql, {}, deadline);
    if (!set)
        co_return std::move(set).error();
    co_return std::unique_ptr<Outbox>(new Outbox(std::move(connection).value()));
}

Task<Outbox::Outcome<postgres::Rows>> Outbox::ask(const char* sql,
                                                  std::vector<std::string> parameters) {
    const auto bound = texts(std::move(parameters));
    co_return co_await connection_->query(sql, bound, Clock::now() + statement_deadline);
}

Task<Outbox::Outcome<bool>> Outbox::lead() {
    auto rows = co_await ask(lead_sql, {});
    if (!rows)
        co_return std::move(rows).error();
    co_return rows.value().get(0, 0) == "t";
}

Task<Outbox::Outcome<std::optional<Recorded>>> Outbox::newest_generation() {
    auto rows = co_await ask(newest_generation_sql, {});
    if (!rows)
        co_return std::move(rows).error();
    std::optional<Recorded> recorded;
    if (rows.value().size() > 0)
        recorded = Recorded{.number = number(rows.value(), 0, 0),
                            .first_tick = number(rows.value(), 0, 1),
                            .same_history = rows.value().get(0, 2) == "t"};
    co_return recorded;
}

Task<Outbox::Outcome<Facts>> Outbox::facts(std::optional<Recorded> recorded, StreamId last,
                                           StreamId ours, std::uint64_t stream_length) {
    std::vector<std::string> parameters;
    parameters.push_back(std::to_string(ours.tick()));
    auto rows = co_await ask(facts_sql, std::move(parameters));
    if (!rows)
        co_return std::move(rows).error();
    Facts facts;
    facts.recorded = recorded;
    facts.last = last;
    facts.ours = ours;
    facts.oldest_tick = number(rows.value(), 0, 0);
    facts.newest_tick = number(rows.value(), 0, 1);
    facts.our_tick_kept = rows.value().get(0, 2) == "t";
    facts.tick_before_ours = number(rows.value(), 0, 3);
    if (facts.newest_tick == 0)
        co_return missing("table muster.tick is empty",
                          "Run INSERT INTO muster.tick (snap) VALUES ('3:3:').");
    if (facts.newest_tick > StreamId::most_tick)
        co_return missing("tick numbers are used up", {});
    if (facts.our_tick_kept && facts.tick_before_ours != 0) {
        const auto to = co_await tick(ours.tick());
        if (!to)
            co_return to.error();
        const auto from = co_await tick(facts.tick_before_ours);
        if (!from)
            co_return from.error();
        const auto rows_of_tick = co_await count(from.value(), to.value());
        if (!rows_of_tick)
            co_return rows_of_tick.error();
        facts.our_tick_complete = ours.n >= rows_of_tick.value();
    }
    parameters.assign(1, std::to_string(stream_length));
    auto refill = co_await ask(refill_sql, std::move(parameters));
    if (!refill)
        co_return std::move(refill).error();
    if (refill.value().size() > 0)
        facts.refill_after = number(refill.value(), 0, 0);
    co_return facts;
}

Task<std::optional<postgres::Error>> Outbox::record(const Plan& plan) {
    std::vector<std::string> parameters;
    parameters.push_back(std::to_string(plan.generation));
    parameters.push_back(std::to_string(plan.base));
    parameters.push_back(plan.reason);
    auto rows = co_await ask(record_sql, std::move(parameters));
    if (!rows)
        co_return std::move(rows).error();
    co_return std::nullopt;
}

Task<Outbox::Outcome<Generation>> Outbox::generation(std::uint64_t wanted) {
    std::vector<std::string> parameters;
    parameters.push_back(std::to_string(wanted));
    auto rows = co_await ask(generation_sql, std::move(parameters));
    if (!rows)
        co_return std::move(rows).error();
    if (rows.value().size() == 0)
        co_return missing("generation " + std::to_string(wanted) + " is not recorded", {});
    co_return Generation{.number = wanted,
                         .first_tick = number(rows.value(), 0, 0),
                         .reset = std::string(rows.value().get(0, 1))};
}

Task<Outbox::Outcome<Tick>> Outbox::one_tick(const char* sql, std::uint64_t id) {
    std::vector<std::string> parameters;
    parameters.push_back(std::to_string(id));
    auto rows = co_await ask(sql, std::move(parameters));
    if (!rows)
        co_return std::move(rows).error();
    if (rows.value().size() == 0)
        co_return missing("tick " + std::to_string(id) + " or the one before is not kept", {});
    co_return Tick{number(rows.value(), 0, 0), std::string(rows.value().get(0, 1))};
}

Task<Outbox::Outcome<Tick>> Outbox::tick(std::uint64_t id) {
    return one_tick("select t.tick_id, t.snap from muster.tick t where t.tick_id = $1::bigint", id);
}

Task<Outbox::Outcome<Tick>> Outbox::tick_before(std::uint64_t id) {
    return one_tick(
        "select t.tick_id, t.snap from muster.tick t where t.tick_id < $1::bigint"
        " order by t.tick_id desc limit 1",
        id);
}

Task<Outbox::Outcome<std::vector<Tick>>> Outbox::ticks_after(std::uint64_t id) {
    std::vector<std::string> parameters;
    parameters.push_back(std::to_string(id));
    auto rows = co_await ask(
        "select t.tick_id, t.snap from muster.tick t where t.tick_id > $1::bigint"
        " order by t.tick_id limit 1000",
        std::move(parameters));
    if (!rows)
        co_return std::move(rows).error();
    std::vector<Tick> ticks;
    for (int row = 0; row < rows.value().size(); ++row)
        ticks.push_back({number(rows.value(), row, 0), std::string(rows.value().get(row, 1))});
    co_return ticks;
}

Task<Outbox::Outcome<Outbox::Probe>> Outbox::probe(const Tick& base) {
    std::vector<std::string> parameters;
    parameters.push_back(base.snapshot);
    auto rows = co_await ask(probe_sql, std::move(parameters));
    if (!rows)
        co_return std::move(rows).error();
    Probe probe{.made = std::nullopt, .snapshot = std::string(rows.value().get(0, 1))};
    if (!rows.value().is_null(0, 0))
        probe.made = number(rows.value(), 0, 0);
    co_return probe;
}

Task<Outbox::Outcome<std::size_t>> Outbox::read(const Tick& from, const Tick& to,
                                                std::uint64_t skip, postgres::RowSink& sink,
                                                TimePoint deadline) {
    std::vector<std::string> values;
    values.push_back(from.snapshot);
    values.push_back(to.snapshot);
    values.push_back(std::to_string(skip));
    const auto parameters = texts(std::move(values));
    co_return co_await connection_->query_rows(read_sql, parameters, deadline, sink);
}

Task<Outbox::Outcome<std::uint64_t>> Outbox::count(const Tick& from, const Tick& to) {
    std::vector<std::string> parameters;
    parameters.push_back(from.snapshot);
    parameters.push_back(to.snapshot);
    auto rows = co_await ask(count_sql, std::move(parameters));
    if (!rows)
        co_return std::move(rows).error();
    co_return number(rows.value(), 0, 0);
}

}  // namespace muster::relay
