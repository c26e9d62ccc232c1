// PostgreSQL's side of the relay.
#include "relay/outbox.hpp"

#include <charconv>

#include <spdlog/spdlog.h>

namespace muster::relay {

namespace {

using postgres::Parameter;

// Of every statement but the reading of a tick.
constexpr std::chrono::seconds statement_deadline{10};

// A leader that has shown nothing for so long is taken for dead.
constexpr const char* lease = "8 s";
// Rows that one statement reads of a tick: see sql::unseat.
constexpr std::size_t page_rows = 4096;

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
    auto set = co_await connection.value()->query(sql::settings, {}, deadline);
    if (!set)
        co_return std::move(set).error();
    co_return std::unique_ptr<Outbox>(new Outbox(std::move(connection).value()));
}

Task<Outbox::Outcome<postgres::Rows>> Outbox::ask(const char* sql,
                                                  std::vector<std::string> parameters) {
    const auto bound = texts(std::move(parameters));
    co_return co_await connection_->query(sql, bound, Clock::now() + statement_deadline);
}

Task<Outbox::Failure> Outbox::prepare(const sql::Prepared& statement) {
    if (prepared_.contains(&statement))
        co_return std::nullopt;
    auto error = co_await connection_->prepare(statement.name, statement.text,
                                               Clock::now() + statement_deadline);
    if (!error)
        prepared_.insert(&statement);
    co_return error;
}

Task<Outbox::Outcome<postgres::Rows>> Outbox::ask(const sql::Prepared& statement,
                                                  std::vector<std::string> parameters) {
    if (auto error = co_await prepare(statement))
        co_return std::move(*error);
    const auto bound = texts(std::move(parameters));
    co_return co_await connection_->query(postgres::Statement::prepared(statement.name), bound,
                                          Clock::now() + statement_deadline);
}

Task<Outbox::Outcome<bool>> Outbox::lead() {
    auto rows = co_await ask(sql::lead, {});
    if (!rows)
        co_return std::move(rows).error();
    current_.reset();  // another one may have rotated the tables
    if (rows.value().get(0, 0) == "t")
        co_return true;
    std::vector<std::string> parameters;
    parameters.emplace_back(lease);
    auto ended = co_await ask(sql::unseat, std::move(parameters));
    if (!ended)
        co_return std::move(ended).error();
    if (ended.value().size() > 0)
        spdlog::warn("relay: the leader has shown nothing for {}: its session is ended", lease);
    co_return false;
}

Task<Outbox::Failure> Outbox::yield_lead() {
    auto rows = co_await ask(sql::yield, {});
    if (!rows)
        co_return std::move(rows).error();
    co_return std::nullopt;
}

Task<Outbox::Outcome<std::optional<Recorded>>> Outbox::newest_generation() {
    auto rows = co_await ask(sql::newest_generation, {});
    if (!rows)
        co_return std::move(rows).error();
    std::optional<Recorded> recorded;
    if (rows.value().size() > 0)
        recorded = Recorded{.number = number(rows.value(), 0, 0),
                            .first_tick = number(rows.value(), 0, 1),
                            .same_history = rows.value().get(0, 2) == "t",
                            .announced = rows.value().get(0, 3) == "t"};
    co_return recorded;
}

Task<Outbox::Outcome<Facts>> Outbox::facts(std::optional<Recorded> recorded, StreamId last,
                                           StreamId ours, std::uint64_t stream_length) {
    std::vector<std::string> parameters;
    parameters.push_back(std::to_string(ours.tick()));
    auto rows = co_await ask(sql::facts, std::move(parameters));
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
    facts.dropped_tick = number(rows.value(), 0, 4);
    if (facts.newest_tick == 0)
        co_return missing("there are no ticks",
                          "Run INSERT INTO muster.tick_0 (snap) VALUES ('3:3:').");
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
    auto refill = co_await ask(sql::refill, std::move(parameters));
    if (!refill)
        co_return std::move(refill).error();
    if (refill.value().size() > 0)
        facts.refill_after = number(refill.value(), 0, 0);
    co_return facts;
}

Task<Outbox::Failure> Outbox::record(const Plan& plan) {
    std::vector<std::string> parameters;
    parameters.push_back(std::to_string(plan.generation));
    parameters.push_back(std::to_string(plan.base));
    parameters.push_back(plan.reason);
    auto rows = co_await ask(sql::record, std::move(parameters));
    if (!rows)
        co_return std::move(rows).error();
    co_return std::nullopt;
}

Task<Outbox::Outcome<Generation>> Outbox::generation(std::uint64_t wanted) {
    std::vector<std::string> parameters;
    parameters.push_back(std::to_string(wanted));
    auto rows = co_await ask(sql::generation, std::move(parameters));
    if (!rows)
        co_return std::move(rows).error();
    if (rows.value().size() == 0)
        co_return missing("generation " + std::to_string(wanted) + " is not recorded", {});
    co_return Generation{.number = wanted,
                         .first_tick = number(rows.value(), 0, 0),
                         .reset = std::string(rows.value().get(0, 1))};
}

Task<Outbox::Failure> Outbox::announced(std::uint64_t number) {
    std::vector<std::string> parameters;
    parameters.push_back(std::to_string(number));
    auto rows = co_await ask(sql::announced, std::move(parameters));
    if (!rows)
        co_return std::move(rows).error();
    co_return std::nullopt;
}

Task<Outbox::Outcome<Tick>> Outbox::one_tick(const char* sql, std::vector<std::string> parameters) {
    const std::string wanted = parameters.empty() ? "any" : parameters.front();
    auto rows = co_await ask(sql, std::move(parameters));
    if (!rows)
        co_return std::move(rows).error();
    if (rows.value().size() == 0)
        co_return missing("tick " + wanted + " or the one before is not kept", {});
    co_return Tick{number(rows.value(), 0, 0), std::string(rows.value().get(0, 1))};
}

Task<Outbox::Outcome<Tick>> Outbox::tick(std::uint64_t id) {
    std::vector<std::string> parameters;
    parameters.push_back(std::to_string(id));
    return one_tick(sql::tick, std::move(parameters));
}

Task<Outbox::Outcome<Tick>> Outbox::tick_before(std::uint64_t id) {
    std::vector<std::string> parameters;
    parameters.push_back(std::to_string(id));
    return one_tick(sql::tick_before, std::move(parameters));
}

Task<Outbox::Outcome<Tick>> Outbox::first_tick_from(std::uint64_t id) {
    std::vector<std::string> parameters;
    parameters.push_back(std::to_string(id));
    return one_tick(sql::first_tick_from, std::move(parameters));
}

Task<Outbox::Outcome<Tick>> Outbox::newest_tick() {
    return one_tick(sql::newest_tick, {});
}

Task<Outbox::Outcome<std::vector<Tick>>> Outbox::ticks_after(std::uint64_t id) {
    std::vector<std::string> parameters;
    parameters.push_back(std::to_string(id));
    auto rows = co_await ask(sql::ticks_after, std::move(parameters));
    if (!rows)
        co_return std::move(rows).error();
    std::vector<Tick> ticks;
    for (int row = 0; row < rows.value().size(); ++row)
        ticks.push_back({number(rows.value(), row, 0), std::string(rows.value().get(row, 1))});
    co_return ticks;
}

Task<Outbox::Failure> Outbox::learn_rotation() {
    if (current_)
        co_return std::nullopt;
    auto rows = co_await ask(sql::rotation, {});
    if (!rows)
        co_return std::move(rows).error();
    if (rows.value().size() == 0)
        co_return missing("table muster.rotation is empty", {});
    current_ = static_cast<unsigned>(number(rows.value(), 0, 0) % sql::probe.size());
    published_at_rotation_ = number(rows.value(), 0, 1);
    co_return std::nullopt;
}

Task<Outbox::Outcome<std::uint64_t>> Outbox::published_at_rotation() {
    if (auto error = co_await learn_rotation())
        co_return std::move(*error);
    co_return published_at_rotation_;
}

Task<Outbox::Outcome<Outbox::Probe>> Outbox::probe(const Tick& base) {
    if (auto error = co_await learn_rotation())
        co_return std::move(*error);
    std::vector<std::string> parameters;
    parameters.push_back(base.snapshot);
    auto rows = co_await ask(sql::probe[*current_], std::move(parameters));
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
    if (auto error = co_await prepare(sql::read))
        co_return std::move(*error);
    std::vector<std::string> values;
    values.push_back(from.snapshot);
    values.push_back(to.snapshot);
    values.push_back(std::to_string(skip));
    values.push_back(std::to_string(page_rows));
    auto parameters = texts(std::move(values));
    auto rows = co_await connection_->query_rows(postgres::Statement::prepared(sql::read.name),
                                                 parameters, deadline, sink);
    if (!rows || rows.value() < page_rows)
        co_return rows;
    parameters.pop_back();
    parameters[2].value = std::to_string(skip + page_rows);
    auto rest = co_await read_rest(parameters, sink, deadline);
    if (!rest)
        co_return rest;
    co_return page_rows + rest.value();
}

Task<Outbox::Outcome<std::size_t>> Outbox::read_rest(
    const std::vector<postgres::Parameter>& parameters, postgres::RowSink& sink,
    TimePoint deadline) {
    auto done = co_await connection_->query(sql::begin, {}, deadline);
    if (done)
        done = co_await connection_->query(sql::declare, parameters, deadline);
    if (!done)
        co_return std::move(done).error();
    for (std::size_t total = 0;;) {
        auto rows = co_await connection_->query_rows(sql::fetch, {}, deadline, sink);
        if (!rows)
            co_return rows;
        total += rows.value();
        if (rows.value() < page_rows) {
            done = co_await connection_->query(sql::commit, {}, deadline);
            if (!done)
                co_return std::move(done).error();
            co_return total;
        }
    }
}

Task<Outbox::Outcome<std::uint64_t>> Outbox::count(const Tick& from, const Tick& to) {
    std::vector<std::string> parameters;
    parameters.push_back(from.snapshot);
    parameters.push_back(to.snapshot);
    auto rows = co_await ask(sql::count, std::move(parameters));
    if (!rows)
        co_return std::move(rows).error();
    co_return number(rows.value(), 0, 0);
}

Task<Outbox::Outcome<Outbox::Backlog>> Outbox::backlog(const Tick& published) {
    std::vector<std::string> parameters;
    parameters.push_back(published.snapshot);
    auto rows = co_await ask(sql::backlog, std::move(parameters));
    if (!rows)
        co_return std::move(rows).error();
    co_return Backlog{.rows = number(rows.value(), 0, 0),
                      .age = std::chrono::microseconds(number(rows.value(), 0, 1))};
}

Task<Outbox::Outcome<Outbox::Rotation>> Outbox::rotate(std::uint64_t published,
                                                       std::uint64_t most_rows,
                                                       std::chrono::milliseconds most_age) {
    std::vector<std::string> parameters;
    parameters.push_back(std::to_string(published));
    parameters.push_back(std::to_string(most_rows));
    parameters.push_back(std::to_string(most_age.count()));
    auto rows = co_await ask(sql::rotate, std::move(parameters));
    if (!rows)
        co_return std::move(rows).error();
    Rotation rotation{.step = std::string(rows.value().get(0, 0)),
                      .dropped = number(rows.value(), 0, 2)};
    if (!rotation.step.empty())
        current_.reset();
    co_return rotation;
}

Task<Outbox::Outcome<bool>> Outbox::arm() {
    auto rows = co_await ask(sql::arm, {});
    if (!rows)
        co_return std::move(rows).error();
    co_return rows.value().get(0, 0) == "t";
}

Task<Outbox::Outcome<bool>> Outbox::wait(std::chrono::milliseconds timeout) {
    std::vector<std::string> parameters;
    parameters.push_back(std::to_string(timeout.count()));
    auto rows = co_await ask(sql::wait, std::move(parameters));
    if (!rows)
        co_return std::move(rows).error();
    co_return !rows.value().is_null(0, 0);
}

Task<Outbox::Failure> Outbox::notify(const std::string& payload) {
    std::vector<std::string> parameters;
    parameters.push_back(payload);
    auto rows = co_await ask(sql::notify, std::move(parameters));
    if (!rows)
        co_return std::move(rows).error();
    co_return std::nullopt;
}

Task<Outbox::Failure> Outbox::tell(std::uint64_t published) {
    std::vector<std::string> parameters;
    parameters.push_back(std::to_string(published));
    auto rows = co_await ask(sql::tell, std::move(parameters));
    if (!rows)
        co_return std::move(rows).error();
    co_return std::nullopt;
}

}  // namespace muster::relay
