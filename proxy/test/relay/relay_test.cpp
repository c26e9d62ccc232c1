// The relay in its everyday life: real PostgreSQL, real Redis, writers that behave as writers do.
#include "relay/relay.hpp"

#include <set>

#include <boost/test/unit_test.hpp>

#include "support.hpp"

using namespace muster;
using namespace std::chrono_literals;
using test::Message;
using test::RelayThread;
using test::Session;

namespace {

test::RedisServer& redis_server() {
    static test::RedisServer server;
    return server;
}

// A database and a stream of its own.
struct Fixture {
    Fixture() { redis_server().cli({"FLUSHALL"}); }
    std::string database = test::make_database();
    config::Redis redis = redis_server().tcp();
    config::Relay relay = test::relay_config(database);
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(a_change_becomes_a_message, Fixture) {
    test::Subscriber channel(redis, relay.channel);
    RelayThread thread(relay, redis);
    Session session(database);
    session.run("SET DateStyle = 'SQL, DMY'");
    session.run("SET TimeZone = 'Asia/Tokyo'");
    session.run(
        "INSERT INTO muster.outbox_0 (event_type, aggregate_type, aggregate_id, tags, payload, "
        "metadata,"
        " ts) VALUES ('agent.\"created\"', 'agent', E'\\u00e9\\t\\\\', '{agents,\"agents:1\"}',"
        " '{\"key\": \"first\", \"deep\": {\"list\": [1, null, \"x\"]}}', '{\"by\": \"me\"}',"
        " '2026-01-15 21:00:00.123456+00')");
    BOOST_REQUIRE(test::appears(relay, redis, "first"));
    const std::string xid = session.value("SELECT xid FROM muster.outbox");
    const auto entries = test::stream_entries(redis, relay.stream);
    BOOST_REQUIRE(entries.size() == 2u);
    BOOST_TEST(entries[0].event_type == "reset");
    BOOST_TEST(entries[0].id == std::to_string((std::uint64_t{1} << 40) + 1) + "-0");
    BOOST_TEST(entries[0].prev_id == "0-0");
    BOOST_TEST(entries[1].id == std::to_string((std::uint64_t{1} << 40) + 2) + "-1");
    BOOST_TEST(entries[1].epoch.size() == 16u);
    BOOST_TEST(entries[1].json ==
               "{\"id\":\"" + entries[1].id + "\",\"prev_id\":\"" + entries[0].id +
                   "\",\"epoch\":\"" + entries[1].epoch + "\",\"xid\":\"" + xid +
                   "\",\"tags\":[\"agents\",\"agents:1\"],\"event_type\":\"agent.\\\"created\\\"\","
                   "\"aggregate_type\":\"agent\",\"aggregate_id\":\"\u00e9\\t\\\\\","
                   "\"payload\":{\"key\": \"first\", \"deep\": {\"list\": [1, null, \"x\"]}},"
                   "\"metadata\":{\"by\": \"me\"},"
                   "\"timestamp\":\"2026-01-15T21:00:00.123456+00:00\"}");
    test::wait_until("the channel", [&] { return channel.messages().size() >= 2; });
    const auto said = channel.messages();
    BOOST_TEST(said.size() == 2u);
    BOOST_TEST(said[0] == entries[0].json);
    BOOST_TEST(said[1] == entries[1].json);
    BOOST_TEST(thread.stats().published == 2u);
    BOOST_TEST(thread.stats().ticks == 1u);
    BOOST_TEST(thread.stats().resets == 1u);
    BOOST_TEST(thread.stats().errors == 0u);
    BOOST_TEST(thread.stats().leader);
    BOOST_TEST(thread.stats().redis_up);
    BOOST_TEST(thread.stats().postgres_up);
}

BOOST_FIXTURE_TEST_CASE(every_committed_change_is_published_once_and_in_order, Fixture) {
    test::Subscriber channel(redis, relay.channel);
    // Committed before any relay ran, in transactions of its own and with savepoints.
    Session before(database);
    BOOST_REQUIRE(before.insert("early", "early1"));
    RelayThread thread(relay, redis);
    Session held(database);
    held.run("BEGIN");
    BOOST_REQUIRE(held.insert("held", "held1"));
    Session late(database);
    late.run("BEGIN");
    BOOST_REQUIRE(late.insert("late", "late1"));
    {
        test::Writers writers(database, 8);
        test::wait_until("writers", [&] { return writers.transactions() > 500; });
        late.run("COMMIT");
        // A held-open transaction delays its own changes and no others.
        Session probe(database);
        BOOST_REQUIRE(probe.insert("probe", "probe1"));
        BOOST_TEST(test::appears(relay, redis, "probe1"));
        BOOST_TEST(test::appears(relay, redis, "late1"));
        test::wait_until("writers", [&] { return writers.transactions() > 1500; });
    }
    for (const Message& entry : test::stream_entries(redis, relay.stream))
        BOOST_REQUIRE(entry.key != "held1");
    held.run("SAVEPOINT a");
    BOOST_REQUIRE(held.insert("held", "undone"));
    held.run("ROLLBACK TO a");
    BOOST_REQUIRE(held.insert("held", "held2"));
    held.run("COMMIT");
    const auto entries = test::check_stream(database, relay, redis);
    BOOST_TEST(entries.size() > 1000u);
    test::wait_until("the channel", [&] { return channel.messages().size() >= entries.size(); });
    const auto said = channel.messages();
    BOOST_REQUIRE(said.size() == entries.size());
    for (std::size_t i = 0; i < said.size(); ++i)
        BOOST_REQUIRE(said[i] == entries[i].json);
}

BOOST_FIXTURE_TEST_CASE(two_phase_commits_and_copies_are_changes_too, Fixture) {
    RelayThread thread(relay, redis);
    Session session(database);
    session.run("BEGIN");
    BOOST_REQUIRE(session.insert("prepared", "prepared1"));
    session.run("PREPARE TRANSACTION 'two'");
    BOOST_REQUIRE(session.insert("between", "between1"));
    BOOST_TEST(test::appears(relay, redis, "between1"));
    session.run("COMMIT PREPARED 'two'");
    BOOST_TEST(test::appears(relay, redis, "prepared1"));
    test::check_stream(database, relay, redis);
}

BOOST_FIXTURE_TEST_CASE(a_huge_transaction_is_published_in_chunks, Fixture) {
    RelayThread thread(relay, redis);
    Session session(database);
    session.run(
        "INSERT INTO things (aggregate, key, fill)"
        " SELECT 'a' || g % 10, g::text, repeat('x', 500) FROM generate_series(1, 30000) g");
    const auto entries = test::check_stream(database, relay, redis);
    BOOST_TEST(entries.size() == 30001u);
    BOOST_TEST(thread.stats().ticks == 1u);
}

BOOST_FIXTURE_TEST_CASE(what_is_too_large_for_a_message_says_so, Fixture) {
    RelayThread thread(relay, redis);
    Session session(database);
    session.run(
        "INSERT INTO muster.outbox_0 (event_type, aggregate_type, aggregate_id, tags, payload, "
        "metadata)"
        " SELECT 'thing.changed', 'thing', 'a' || g, '{things}',"
        " json_build_object('key', 'k' || g, 'fill', repeat('x', g * 1024 * 1024)), '{}'"
        " FROM (VALUES (1), (7), (20)) v (g)");
    BOOST_REQUIRE(session.insert("after", "after"));
    BOOST_REQUIRE(test::appears(relay, redis, "after"));
    const auto entries = test::stream_entries(redis, relay.stream);
    BOOST_REQUIRE(entries.size() == 5u);
    BOOST_TEST(entries[1].key == "k1");
    BOOST_TEST(entries[2].key == "k7");
    BOOST_TEST(entries[3].key == "");
    BOOST_TEST(entries[3].aggregate_id == "a20");
    BOOST_TEST(entries[3].json.find("\"payload\":{},\"metadata\":{\"omitted_bytes\":209715") !=
               std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(heartbeats_tell_how_far_everything_is_published, Fixture) {
    test::Subscriber heartbeats(redis, relay.heartbeat_channel);
    test::Subscriber channel(redis, relay.channel);
    RelayThread thread(relay, redis);
    test::wait_until("heartbeats", [&] { return heartbeats.messages().size() >= 2; });
    Session session(database);
    BOOST_REQUIRE(session.insert("a", "1"));
    const std::string xid = session.value("SELECT xid FROM muster.outbox");
    const auto visible_in_last = [&] {
        const std::string last = heartbeats.messages().back();
        const std::string mark = "\"snapshot\":\"";
        const std::size_t at = last.find(mark) + mark.size();
        const std::string snapshot = last.substr(at, last.find('"', at) - at);
        return session.value("SELECT pg_visible_in_snapshot('" + xid + "', '" + snapshot + "')");
    };
    test::wait_until("a heartbeat behind the change", [&] { return visible_in_last() == "t"; });
    // A heartbeat in which the change is visible comes after the change itself.
    BOOST_TEST(channel.messages().size() == 2u);
    // Transactions that publish nothing move the snapshot, too.
    const std::string mine = session.value("SELECT pg_current_xact_id()");
    const std::size_t seen = heartbeats.messages().size();
    test::wait_until("more heartbeats", [&] { return heartbeats.messages().size() > seen + 2; });
    BOOST_TEST(std::stoull(session.value("SELECT pg_snapshot_xmax('" + [&] {
                   const std::string last = heartbeats.messages().back();
                   const std::size_t at = last.find("snapshot\":\"") + 11;
                   return last.substr(at, last.find('"', at) - at);
               }() + "')")) > std::stoull(mine));
    BOOST_TEST(session.value("SELECT count(*) FROM muster.tick") == "2");  // none while idle
    const auto first = heartbeats.messages().front();
    BOOST_TEST(first.find("\"epoch\":\"" + test::parse(channel.messages()[0]).epoch) !=
               std::string::npos);
}

BOOST_FIXTURE_TEST_CASE(only_one_relay_leads, Fixture) {
    auto first = std::make_unique<RelayThread>(relay, redis);
    test::wait_until("a leader", [&] { return first->stats().leader.load(); });
    RelayThread second(relay, redis);
    Session session(database);
    for (int i = 0; i < 20; ++i)
        BOOST_REQUIRE(session.insert("a", "first" + std::to_string(i)));
    test::check_stream(database, relay, redis);
    BOOST_TEST(second.stats().ticks == 0u);
    BOOST_TEST(!second.stats().leader);
    first.reset();
    test::wait_until("the second to lead", [&] { return second.stats().leader.load(); });
    for (int i = 0; i < 20; ++i)
        BOOST_REQUIRE(session.insert("a", "second" + std::to_string(i)));
    const auto entries = test::check_stream(database, relay, redis);
    BOOST_TEST(second.stats().ticks > 0u);
    BOOST_TEST(entries.front().epoch != entries.back().epoch);
}

BOOST_FIXTURE_TEST_CASE(a_relay_waits_for_its_tables, Fixture) {
    test::postgres().psql("CREATE DATABASE bare_" + database);
    relay.conninfo = test::relay_config("bare_" + database).conninfo;
    RelayThread thread(relay, redis);  // its role exists since the fixture's database was made
    test::wait_until("errors", [&] { return thread.stats().errors > 1u; });
    BOOST_TEST(test::stream_entries(redis, relay.stream).empty());
    test::load_muster(test::postgres(), "bare_" + database);
    Session session("bare_" + database);
    BOOST_REQUIRE(session.insert("a", "1"));
    test::check_stream("bare_" + database, relay, redis);
}

BOOST_FIXTURE_TEST_CASE(stopping_closes_the_session, Fixture) {
    net::io_context context(1);
    relay::Relay instance(context, relay, redis);
    instance.start();
    std::thread thread([&] { context.run(); });
    test::wait_until("a leader", [&] { return instance.stats().leader.load(); });
    instance.stop();
    thread.join();  // run() ends when there is nothing left to do
    Session session(database);
    test::wait_until("the session to end", [&] {
        return session.value(
                   "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE"
                   " 'muster relay%' AND datname = current_database()") == "0";
    });
}
