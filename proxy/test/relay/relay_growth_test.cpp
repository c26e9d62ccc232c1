// The outbox stays within its bounds: its tables rotate while everybody writes, and with Redis away
// the oldest changes go, which everybody is told.
#include "relay/relay.hpp"

#include <algorithm>

#include <boost/test/unit_test.hpp>

#include "relay/stream_id.hpp"
#include "support.hpp"

using namespace muster;
using namespace std::chrono_literals;
using test::Message;
using test::RelayThread;
using test::Session;

namespace {

// An outbox of few rows.
struct Fixture : test::RelayFixture {
    Fixture() { relay.outbox_rows = 2000; }
};

// Changes `count` things, each in a transaction of its own or `together` in one.
void change(Session& session, int from, int count, int together = 1) {
    for (int i = from; i < from + count; i += together)
        session.run(
            "INSERT INTO things (aggregate, key) SELECT 'a' || g % 7, g::text FROM"
            " generate_series(" +
            std::to_string(i) + ", " + std::to_string(i + together - 1) + ") g");
}

std::uint64_t number(Session& session, const std::string& sql) {
    return std::stoull(session.value(sql));
}

constexpr const char* kept_rows = "SELECT count(*) FROM muster.outbox";

}  // namespace

BOOST_FIXTURE_TEST_CASE(tables_rotate_under_load_and_nothing_is_lost, Fixture) {
    test::postgres().psql("CREATE DATABASE other_" + database);
    Session elsewhere("other_" + database);
    elsewhere.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
    elsewhere.run("CREATE TABLE held ()");  // a transaction id that stays open, and a snapshot
    RelayThread thread(relay, redis);
    Session watcher(database);
    std::uint64_t locked = 0;
    {
        test::Writers writers(database, 6);
        test::wait_until("rotations", [&] {
            // Nobody but the relay ever holds the lock that NOTIFY takes.
            locked += number(watcher,
                             "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
                             " WHERE l.locktype = 'object' AND l.database = 0 AND l.objid = 0"
                             " AND a.application_name NOT LIKE 'muster relay%'");
            return thread.stats().rotations >= 6u;
        });
    }
    BOOST_TEST(locked == 0u);
    const auto all = test::check_stream(database, relay, redis);
    BOOST_TEST(all.size() > 2000u);
    BOOST_TEST(std::count_if(all.begin(), all.end(), [](const Message& message) {
                   return message.event_type == "reset";
               }) == 1);
    BOOST_TEST(thread.stats().dropped == 0u);
    BOOST_TEST(number(watcher, kept_rows) <= 2500u);
    BOOST_TEST(number(watcher, "SELECT count(*) FROM muster.tick") <= 2500u);
}

BOOST_FIXTURE_TEST_CASE(nothing_dies_row_by_row, Fixture) {
    Session elsewhere(database);
    elsewhere.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
    elsewhere.value("SELECT count(*) FROM things");
    RelayThread thread(relay, redis);
    Session session(database);
    change(session, 0, 6000);
    test::wait_until("rotations", [&] {
        change(session, 6000, 100);
        return thread.stats().rotations >= 4u;
    });
    test::check_stream(database, relay, redis);
    test::wait_until("the statistics", [&] {
        return number(session,
                      "SELECT sum(n_tup_ins) FROM pg_stat_user_tables"
                      " WHERE relname LIKE 'outbox%'") >= 6000;
    });
    BOOST_TEST(number(session,
                      "SELECT sum(n_dead_tup) FROM pg_stat_user_tables"
                      " WHERE relname ~ '^(outbox|tick)_'") == 0u);
    // One row's versions, two for each rotation.
    BOOST_TEST(
        number(session, "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'rotation'") <=
        2 * thread.stats().rotations + 2);
}

BOOST_FIXTURE_TEST_CASE(with_redis_away_the_outbox_grows_to_its_bound_and_says_what_is_gone,
                        Fixture) {
    test::Subscriber channel(redis, relay.channel);
    RelayThread thread(relay, redis);
    Session session(database);
    change(session, 0, 100, 10);
    const auto before = test::check_stream(database, relay, redis);
    server.kill();
    int made = 100;
    test::wait_until("changes to be dropped", [&] {
        change(session, made, 500, 50);
        made += 500;
        return thread.stats().dropped > 0u;
    });
    // It goes on like this for as long as one likes.
    const std::uint64_t dropped = thread.stats().dropped;
    test::wait_until("more to be dropped", [&] {
        change(session, made, 500, 50);
        made += 500;
        return thread.stats().dropped > dropped;
    });
    BOOST_TEST(!thread.stats().redis_up);
    test::wait_until("a backlog", [&] { return thread.stats().backlog_rows > 500u; });
    BOOST_TEST(number(session, "SELECT backlog_rows FROM muster.relay_status()") > 500u);
    BOOST_TEST(number(session, "SELECT dropped FROM muster.relay_status()") ==
               thread.stats().dropped);
    server.start();
    const std::string last = std::to_string(made - 1);
    BOOST_REQUIRE(test::appears(relay, redis, last));
    const auto after = test::stream_entries(redis, relay.stream);
    // (Redis came back empty: without persistence it lost what it had.)
    BOOST_REQUIRE(after.front().event_type == "reset");
    BOOST_TEST(after.front().json.find("changes were dropped unpublished") != std::string::npos);
    BOOST_TEST(relay::StreamId::parse(after.front().id)->generation() >= 2u);
    // What is kept is all there, in order, up to the last.
    BOOST_TEST(after.size() - 1 + thread.stats().dropped + before.size() - 1 ==
               static_cast<std::size_t>(made));
    for (std::size_t i = 1; i < after.size(); ++i)
        BOOST_REQUIRE_EQUAL(after[i].key,
                            std::to_string(made - static_cast<int>(after.size() - i)));
    test::wait_until("the backlog to be gone", [&] { return thread.stats().backlog_rows == 0u; });
    BOOST_TEST(thread.stats().redis_up);
}

BOOST_FIXTURE_TEST_CASE(a_redis_that_refuses_to_write_bounds_nothing_else, Fixture) {
    RelayThread thread(relay, redis);
    Session session(database);
    change(session, 0, 100, 10);
    const auto before = test::check_stream(database, relay, redis);
    server.cli({"CONFIG", "SET", "maxmemory", "1"});
    int made = 100;
    // At a rate at which a second, after which it looks again, makes no great difference.
    test::wait_until("changes to be dropped", [&] {
        change(session, made, 10, 10);
        made += 10;
        return thread.stats().dropped > 0u;
    });
    BOOST_TEST(number(session, kept_rows) <= 4000u);
    server.cli({"CONFIG", "SET", "maxmemory", "0"});
    BOOST_REQUIRE(test::appears(relay, redis, std::to_string(made - 1)));
    const auto after = test::stream_entries(redis, relay.stream);
    BOOST_REQUIRE(after.size() > before.size());
    for (std::size_t i = 0; i < before.size(); ++i)
        BOOST_REQUIRE_EQUAL(after[i].id, before[i].id);
    BOOST_TEST(after[before.size()].event_type == "reset");
    BOOST_TEST(after[before.size()].prev_id == before.back().id);
    BOOST_TEST(after.size() - before.size() - 1 + thread.stats().dropped ==
               static_cast<std::size_t>(made - 100));
}

BOOST_FIXTURE_TEST_CASE(old_changes_go_though_few, Fixture) {
    relay.outbox_rows = 1'000'000;
    relay.outbox_age = 4s;
    RelayThread thread(relay, redis);
    Session session(database);
    int made = 0;
    test::wait_until("rotations", [&] {
        change(session, made++, 1);
        std::this_thread::sleep_for(100ms);
        return thread.stats().rotations >= 4u;
    });
    test::check_stream(database, relay, redis);
    BOOST_TEST(thread.stats().dropped == 0u);
    BOOST_TEST(number(session, kept_rows) < static_cast<std::uint64_t>(made));
}

// A transaction that wrote and stays open keeps its table, and is named.
BOOST_FIXTURE_TEST_CASE(an_open_transaction_keeps_its_table_and_nobody_waits, Fixture) {
    RelayThread thread(relay, redis);
    Session held(database);
    held.run("BEGIN");
    BOOST_REQUIRE(held.insert("held", "held"));
    const std::string pid = held.value("SELECT pg_backend_pid()");
    Session session(database);
    session.run("SET lock_timeout = '1s'");
    change(session, 0, 6000, 100);
    test::wait_until("two rotations", [&] {
        change(session, 6000, 1);
        return thread.stats().rotations >= 2u;
    });
    change(session, 7000, 2000, 100);
    test::wait_until("a reason", [&] {
        return session.value("SELECT coalesce(blocked_by, '') FROM muster.relay_status()") ==
               "process " + pid;
    });
    BOOST_TEST(number(session, kept_rows) >= 8000u);
    held.run("COMMIT");
    test::wait_until("further rotations", [&] {
        change(session, 9000, 100, 100);
        return thread.stats().rotations >= 5u;
    });
    test::check_stream(database, relay, redis);
    BOOST_TEST(thread.stats().dropped == 0u);
    BOOST_TEST(number(session, kept_rows) < 9000u);
}

// The relay starts anew while its outbox has rotated past its beginning: ids and links go on.
BOOST_FIXTURE_TEST_CASE(a_relay_that_starts_anew_goes_on_behind_what_was_taken_away, Fixture) {
    Session session(database);
    for (int round = 0; round < 4; ++round) {
        RelayThread thread(relay, redis);
        change(session, round * 1000, 1000, 5);
        test::wait_until("a rotation", [&] { return thread.stats().rotations >= 1u; });
    }
    RelayThread thread(relay, redis);
    const auto all = test::check_stream(database, relay, redis);
    BOOST_TEST(all.size() == 4001u);
    BOOST_TEST(thread.stats().resets == 0u);
    BOOST_TEST(session.value("SELECT oldest_tick > 1 FROM muster.rotation") == "t");
}
