// The world of a fault test.
#include "relay/ledger/world.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <map>
#include <stdexcept>

#include <boost/test/unit_test.hpp>

#include "relay/ledger/summary.hpp"

namespace muster::test::ledger {

namespace {

constexpr const char* channel = "l01:events";
constexpr const char* stream = "l01:events:stream";
constexpr int writer_of_the_world = 0;  // writers have numbers from 1

int environment_number(const char* name) {
    const char* text = std::getenv(name);
    const int number = text == nullptr ? 1 : std::atoi(text);
    return std::clamp(number, 1, 1'000'000);
}

bool can_relay_alone() {
    static const bool can = [] {
        const Sandbox sandbox;
        const auto log = sandbox.path() / "help";
        Process({MUSTER_PROXY_PROGRAM, "--help"}, log, SIGKILL, false).wait();
        return read_file(log).find("--relay-only") != std::string::npos;
    }();
    return can;
}

std::string last_lines(const std::string& text, std::size_t bytes) {
    return text.size() <= bytes ? text : "…" + text.substr(text.size() - bytes);
}

}  // namespace

int times(int count) {
    return count * environment_number("MUSTER_ROUNDS");
}

unsigned seed() {
    return static_cast<unsigned>(environment_number("MUSTER_SEED"));
}

RelayProgram::RelayProgram(const std::filesystem::path& directory, const std::string& name,
                           const std::string& configuration)
    : configuration_(directory / (name + ".toml")), log_(directory / (name + ".log")) {
    std::ofstream(configuration_) << configuration;
}

void RelayProgram::start() {
    std::vector<std::string> command{MUSTER_PROXY_PROGRAM, "--config", configuration_.string()};
    if (can_relay_alone())
        command.push_back("--relay-only");
    process_ = std::make_unique<Process>(command, log_, SIGKILL, false);
}

void RelayProgram::check() {
    if (process_ != nullptr && !process_->running())
        throw std::runtime_error("the relay ended by itself");
}

void RelayProgram::kill() {
    process_->signal(SIGKILL);
    process_->wait();
    process_.reset();
}

World::World(Setup setup) : setup_(std::move(setup)) {
    postgres_ = std::make_unique<PostgresServer>(
        PostgresServer::WithMuster{.settings = setup_.postgres_settings});
    redis_ = std::make_unique<RedisServer>(setup_.redis_options);
    make_database();
    if (setup_.standby) {
        standby_ = std::make_unique<PostgresServer>(PostgresServer::Standby{}, *postgres_);
        standby_->start();
    }
    for (int i = 0; i < setup_.relays; ++i)
        relays_.push_back(std::make_unique<RelayProgram>(
            sandbox_.path(), "relay" + std::to_string(i), relay_configuration(i)));
    // Redis' default user takes any password.
    subscriber_ = std::make_unique<Subscriber>(
        RedisAddress{"127.0.0.1", redis_->tcp().address.port, "default", "any"}, channel, stream);
    hold_transactions();
    start_writers();
}

World::~World() = default;

void World::start_writers() {
    Writers::Manner manner;
    manner.conninfo = postgres_->socket_conninfo("ledger");
    manner.count = setup_.writers;
    manner.first = writers_started_ + 1;
    manner.durable = setup_.durable;
    manner.seed = seed();
    writers_ = std::make_unique<Writers>(manner);
    writers_started_ += setup_.writers;
}

std::string World::relay_conninfo(int relay) const {
    if (relay == 1)
        return postgres_->socket_conninfo("ledger") + " user=relay";
    const std::string primary = postgres_->tcp_conninfo("relay") + " dbname=ledger";
    if (!standby_)
        return primary;
    // Whichever takes writes.
    return primary + " host=127.0.0.1,127.0.0.1 port=" + std::to_string(postgres_->port()) + "," +
           std::to_string(standby_->port()) + " target_session_attrs=read-write";
}

void World::make_database() {
    postgres_->psql("CREATE DATABASE ledger");
    postgres_->psql("CREATE DATABASE other");
    postgres_->psql("CREATE TABLE something (n int)", "other");
    asking_ = pg_connect(postgres_->socket_conninfo("ledger"));
    pg_exec(asking_, "SET client_min_messages = warning; CREATE EXTENSION muster");
    pg_exec(asking_, ledger_schema);
    pg_exec(asking_, "CREATE ROLE relay LOGIN IN ROLE muster_relay");
    for (int i = 0; i < 3; ++i)
        add_to_ledger(Told::acknowledged,
                      {"shared" + std::to_string(i), "created 0." + std::to_string(i)});
}

std::string World::relay_configuration(int relay) const {
    const auto quoted = [](const std::string& text) { return "\"" + text + "\""; };
    return "threads = 1\n[http]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n"
           "[wire]\nlisten = \"127.0.0.1:0\"\n"
           "[database]\nconninfo = " +
           quoted(postgres_->socket_conninfo("ledger")) +
           "\n[relay]\nconninfo = " + quoted(relay_conninfo(relay)) +
           "\nstream_length = " + std::to_string(setup_.stream_length) + "\n" +
           setup_.relay_settings + "[redis]\naddress = " +
           quoted("127.0.0.1:" + std::to_string(redis_->tcp().address.port)) + "\n";
}

void World::add_to_ledger(Told told, Change change) {
    ledger_.push_back({told, true, {std::move(change)}});
}

// Opens those that are not open. A crash ends them but for the prepared one.
void World::hold_transactions() {
    const std::string n = std::to_string(100 + ++markers_);
    held_ = pg_connect(postgres_->socket_conninfo("ledger"));
    pg_exec(held_, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM thing");
    held_other_ = pg_connect(postgres_->socket_conninfo("other"));
    pg_exec(held_other_, "BEGIN; INSERT INTO something VALUES (1)");
    if (!setup_.hold)
        return;
    held_change_ = {"held" + n, "created 0." + n};
    pg_exec(held_, "INSERT INTO thing VALUES ('held" + n + "', 1, 0, " + n + ")");
    if (forgotten_change_.aggregate.empty()) {
        forgotten_change_ = {"forgotten", "created 0.100"};
        pg_exec(asking_, "BEGIN; INSERT INTO thing VALUES ('forgotten', 1, 0, 100)");
        pg_exec(asking_, "PREPARE TRANSACTION 'forgotten'");
    }
}

// Ends them, one after the other, each of which is then heard of.
void World::release_transactions() {
    pg_exec(held_, "COMMIT");
    if (setup_.hold) {
        BOOST_TEST(!subscriber_->heard(forgotten_change_));
        add_to_ledger(Told::acknowledged, held_change_);
        let_hear(held_change_);
        pg_exec(asking_, "COMMIT PREPARED 'forgotten'");
        add_to_ledger(Told::acknowledged, forgotten_change_);
        let_hear(forgotten_change_);
    }
    pg_exec(held_other_, "COMMIT");
}

void World::let_write(std::uint64_t count) {
    const std::uint64_t until = writers_->acknowledged() + count;
    wait_until("writers", [&] { return writers_->acknowledged() >= until; });
}

void World::wait_for_relay(const std::string& what, const std::function<bool()>& condition) {
    try {
        wait_until(what, [&] {
            for (const auto& relay : relays_)
                relay->check();
            return condition();
        });
    } catch (const std::runtime_error& error) {
        std::string said = error.what();
        for (const auto& relay : relays_)
            said += "\na relay: " + last_lines(relay->log(), 1000);
        throw std::runtime_error(said);
    }
}

void World::let_hear(std::size_t count) {
    const std::size_t until = subscriber_->count() + count;
    wait_for_relay("the subscriber to hear something",
                   [&] { return subscriber_->count() >= until; });
}

void World::let_hear(const Change& change) {
    wait_for_relay("the subscriber to hear of " + change.aggregate,
                   [&] { return subscriber_->heard(change); });
}

std::string World::ask(const std::string& sql) {
    return pg_value(asking_, sql);
}

// What tells the relays' sessions from each other.
constexpr const char* relay_of_session = "CASE WHEN a.client_addr IS NULL THEN 1 ELSE 0 END";

std::optional<std::size_t> World::leader() {
    const std::string relay =
        ask(std::string("SELECT min(") + relay_of_session +
            ") FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE l.locktype = 'advisory' AND l.granted AND a.usename = 'relay'");
    if (relay.empty())
        return std::nullopt;
    return std::stoul(relay);
}

bool World::has_session(std::size_t relay) {
    return ask(std::string(
                   "SELECT count(*) FROM pg_stat_activity a WHERE a.usename = 'relay' AND ") +
               relay_of_session + " = " + std::to_string(relay)) != "0";
}

void World::remember_stream() {
    const auto entries =
        StreamReader({"127.0.0.1", redis_->tcp().address.port, "", ""}, stream).all();
    sightings_.insert(sightings_.end(), entries.begin(), entries.end());
}

void World::crash_postgres() {
    count_fault();
    crashed_ = true;
    postgres_->crash_and_restart();
    asking_ = pg_connect(postgres_->socket_conninfo("ledger"));
    if (setup_.hold)
        add_to_ledger(Told::rolled_back, held_change_);
    hold_transactions();
}

void World::fail_over() {
    let_write(50);
    wait_until("the standby to follow", [&] {
        return ask("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "1";
    });
    standby_->stop();
    let_hear(50);
    writers_->stop();
    // What was acknowledged there need not have reached the standby.
    for (Transaction transaction : writers_->ledger()) {
        transaction.durable = false;
        ledger_.push_back(std::move(transaction));
    }
    if (setup_.hold)
        add_to_ledger(Told::rolled_back, held_change_);
    postgres_->kill();
    count_fault();
    crashed_ = true;
    standby_->start();
    standby_->promote();
    postgres_ = std::move(standby_);
    asking_ = pg_connect(postgres_->socket_conninfo("ledger"));
    // The standby may have learnt of a writer's prepared transaction, and not of its end.
    const auto left = pg_exec(asking_, "SELECT gid FROM pg_prepared_xacts WHERE gid LIKE 'w%'");
    for (int row = 0; row < PQntuples(left.get()); ++row)
        pg_exec(asking_, std::string("ROLLBACK PREPARED '") + PQgetvalue(left.get(), row, 0) + "'");
    hold_transactions();
    start_writers();
}

// Commits one change more. What committed before it is published before it, or with it.
Change World::write_marker() {
    const int n = 1000 + ++markers_;
    const Change change{"marker" + std::to_string(n), "created 0." + std::to_string(n)};
    ask("INSERT INTO thing VALUES ('" + change.aggregate + "', 1, 0, " + std::to_string(n) +
        ") RETURNING id");
    add_to_ledger(Told::acknowledged, change);
    return change;
}

void World::write_many(int count) {
    const int first = many_;
    many_ += count;
    ask("WITH made AS (INSERT INTO thing SELECT 'many' || n, 1, 0, n FROM generate_series(" +
        std::to_string(first) + ", " + std::to_string(many_ - 1) +
        ") n RETURNING 1) SELECT count(*) FROM made");
    for (int n = first; n < many_; ++n)
        add_to_ledger(Told::acknowledged,
                      {"many" + std::to_string(n), "created 0." + std::to_string(n)});
}

Verdict World::finish() {
    Evidence evidence;
    try {
        writers_->stop();
        // The held transactions are as old as the run, and everybody else's changes are there.
        BOOST_TEST(ask("SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
                       " AND usename = 'postgres' AND datname IN ('ledger', 'other')") == "2");
        BOOST_TEST(ask("SELECT count(*) FROM pg_prepared_xacts") == (setup_.hold ? "1" : "0"));
        let_hear(write_marker());
        BOOST_TEST(!subscriber_->heard(held_change_));
        release_transactions();
        let_hear(write_marker());
    } catch (const std::runtime_error& error) {  // the verdict says what is missing
        BOOST_ERROR(setup_.scenario << ": " << error.what());
    }
    evidence.ledger = writers_->ledger();
    evidence.ledger.insert(evidence.ledger.end(), ledger_.begin(), ledger_.end());
    evidence.table = committed_changes(postgres_->socket_conninfo("ledger"));
    evidence.crashed = crashed_;
    evidence.stream = StreamReader({"127.0.0.1", redis_->tcp().address.port, "", ""}, stream).all();
    evidence.sightings = subscriber_->sightings();
    evidence.sightings.insert(evidence.sightings.end(), sightings_.begin(), sightings_.end());
    evidence.subscriber = subscriber_->heard();
    for (const auto& [last, previous] : evidence.subscriber.gaps)
        BOOST_TEST_MESSAGE("a gap: behind " << last.text() << " comes what follows "
                                            << previous.text());

    Verdict verdict = judge(evidence);
    add_to_summary(setup_.scenario, faults_, verdict);
    // All that was dropped for want of room was counted. What is more in the count was published
    // without the relay's learning of it.
    const std::size_t dropped = std::stoul(ask("SELECT dropped FROM muster.rotation"));
    BOOST_TEST(verdict.lost <= dropped);
    if (verdict.lost <= dropped)
        verdict.lost = 0;
    if (!verdict.good())
        for (const std::string& finding : verdict.findings)
            BOOST_ERROR(setup_.scenario << ": " << finding);
    BOOST_TEST(verdict.good());
    BOOST_TEST(verdict.in_stream > 0u);
    for (const auto& relay : relays_)
        if (!verdict.good() || verdict.resets > 1)
            BOOST_TEST_MESSAGE("a relay:\n" << last_lines(relay->log(), 3000));
    return verdict;
}

}  // namespace muster::test::ledger
