// The relay in other places than the usual: beside other relays and LISTENers, without preload, on
// copies of a database, beside a subscriber, after a failover with Redis away.
#include "relay/relay.hpp"

#include <algorithm>
#include <csignal>

#include <boost/test/unit_test.hpp>

#include "relay/stream_id.hpp"
#include "support.hpp"

using namespace muster;
using namespace std::chrono_literals;
using test::Message;
using test::PostgresServer;
using test::RelayThread;
using test::Session;

namespace {

struct Fixture : test::RelayFixture {
    std::unique_ptr<test::Process> process() const {
        return std::make_unique<test::Process>(
            std::vector<std::string>{MUSTER_RELAY_PROCESS, relay.conninfo, redis.address.host,
                                     std::to_string(redis.address.port)},
            server.directory() / "relay.log", SIGKILL, false);
    }
};

}  // namespace

BOOST_FIXTURE_TEST_CASE(listeners_are_notified_once_for_many_commits, Fixture) {
    RelayThread thread(relay, redis);
    Session listener(database);
    listener.run("LISTEN muster_events");
    Session session(database);
    for (int i = 0; i < 200; ++i)
        BOOST_REQUIRE(session.insert("a", std::to_string(i)));
    const auto all = test::check_stream(database, relay, redis);
    std::vector<std::string> payloads;
    test::wait_until("the last notification", [&] {
        for (auto& payload : listener.notifications())
            payloads.push_back(std::move(payload));
        return !payloads.empty() && payloads.back() == all.back().id;
    });
    BOOST_TEST(payloads.size() < 200u);
    for (std::size_t i = 1; i < payloads.size(); ++i)
        BOOST_TEST((relay::StreamId::parse(payloads[i - 1]) < relay::StreamId::parse(payloads[i])));

    relay.notify = false;
    const std::string silent = test::make_database();
    Session deaf(silent);
    deaf.run("LISTEN muster_events");
    config::Relay quiet = test::relay_config(silent);
    quiet.notify = false;
    quiet.stream = "l01:quiet";
    RelayThread other(quiet, redis);
    BOOST_REQUIRE(Session(silent).insert("a", "unheard"));
    BOOST_TEST(test::appears(quiet, redis, "unheard"));
    BOOST_TEST(deaf.notifications().empty());
}

// Asleep, the leader is woken by a commit, and not by the end of its wait.
BOOST_FIXTURE_TEST_CASE(a_commit_wakes_the_leader_and_its_lease_survives_sleep, Fixture) {
    RelayThread thread(relay, redis);
    test::wait_until("a leader", [&] { return thread.stats().wakes.load(); });
    Session session(database);
    const std::string leader = session.value("SELECT leader_pid FROM muster.relay_status()");
    BOOST_TEST(session.value("SELECT wakes FROM muster.relay_status()") == "t");
    std::this_thread::sleep_for(6s);  // more than any timeout of its session
    BOOST_REQUIRE(session.insert("a", "1"));
    BOOST_TEST(test::appears(relay, redis, "1"));
    BOOST_TEST(session.value("SELECT leader_pid FROM muster.relay_status()") == leader);
    // Switched off, it polls.
    session.run("ALTER SYSTEM SET muster.wake = off");
    session.run("SELECT pg_reload_conf()");
    test::wait_until("polling", [&] { return !thread.stats().wakes.load(); });
    BOOST_REQUIRE(session.insert("a", "2"));
    BOOST_TEST(test::appears(relay, redis, "2"));
    session.run("ALTER SYSTEM RESET muster.wake");
    session.run("SELECT pg_reload_conf()");
    test::wait_until("waking", [&] { return thread.stats().wakes.load(); });
    test::check_stream(database, relay, redis);
}

BOOST_AUTO_TEST_CASE(without_preload_it_polls) {
    PostgresServer server(PostgresServer::WithMuster{.preloaded = false});
    test::load_muster(server, "postgres");
    test::RedisServer redis_server;
    const config::Redis redis = redis_server.tcp();
    config::Relay relay;
    relay.conninfo = server.socket_conninfo() + " user=relay_login";
    RelayThread thread(relay, redis);
    Session session("postgres", server);
    for (int i = 0; i < 20; ++i) {
        BOOST_REQUIRE(session.insert("a", std::to_string(i)));
        BOOST_REQUIRE(test::appears(relay, redis, std::to_string(i)));
    }
    BOOST_TEST(!thread.stats().wakes);
    BOOST_TEST(thread.stats().errors == 0u);
    BOOST_TEST(session.value("SELECT wakes FROM muster.relay_status()") == "f");
}

BOOST_FIXTURE_TEST_CASE(a_leader_that_is_stopped_is_replaced_and_repeats_nothing, Fixture) {
    test::Subscriber channel(redis, relay.channel);
    Session session(database);
    auto first = process();
    BOOST_REQUIRE(session.insert("a", "before"));
    BOOST_REQUIRE(test::appears(relay, redis, "before"));
    first->signal(SIGSTOP);
    RelayThread second(relay, redis);
    BOOST_REQUIRE(session.insert("a", "meanwhile"));
    BOOST_REQUIRE(test::appears(relay, redis, "meanwhile"));
    BOOST_TEST(second.stats().leader);
    first->signal(SIGCONT);
    for (int i = 0; i < 50; ++i)
        BOOST_REQUIRE(session.insert("a", std::to_string(i)));
    const auto all = test::check_stream(database, relay, redis);
    BOOST_TEST(all.size() == 53u);
    test::wait_until("the channel", [&] { return channel.messages().size() >= all.size(); });
    BOOST_TEST(channel.messages().size() == all.size());
    BOOST_TEST(second.stats().leader);
}

// The server is in the middle of sending it a result: no timeout of the session's own ends that.
BOOST_FIXTURE_TEST_CASE(a_leader_that_stops_in_the_middle_of_reading_is_replaced, Fixture) {
    test::Subscriber channel(redis, relay.channel);
    Session session(database);
    auto first = process();
    BOOST_REQUIRE(session.insert("a", "before"));
    BOOST_REQUIRE(test::appears(relay, redis, "before"));
    session.run(
        "INSERT INTO things (aggregate, key, fill)"
        " SELECT 'a', g::text, repeat('x', 2000) FROM generate_series(1, 20000) g");
    test::wait_until("the relay to publish",
                     [&] { return test::stream_length(redis, relay.stream) > 300; });
    first->signal(SIGSTOP);
    const std::size_t there = test::stream_length(redis, relay.stream);
    BOOST_TEST(there < 20000u);
    RelayThread second(relay, redis);
    const auto all = test::check_stream(database, relay, redis);
    BOOST_TEST(all.size() == 20002u);
    first->signal(SIGCONT);
    BOOST_REQUIRE(session.insert("a", "after"));
    BOOST_REQUIRE(test::appears(relay, redis, "after"));
    const auto more = test::check_stream(database, relay, redis);
    test::wait_until("the channel", [&] { return channel.messages().size() >= more.size(); });
    BOOST_TEST(channel.messages().size() == more.size());
}

BOOST_FIXTURE_TEST_CASE(a_copy_of_the_database_begins_a_history_of_its_own, Fixture) {
    const auto publish_one = [&](const std::string& key) {
        RelayThread thread(relay, redis);
        Session session(database);
        BOOST_REQUIRE(session.insert("a", key));
        BOOST_REQUIRE(test::appears(relay, redis, key));
    };
    publish_one("original");
    const std::string original = database;
    Session others("postgres");
    test::wait_until("the template to be free", [&] {
        return others.value("SELECT count(*) FROM pg_stat_activity WHERE datname = '" + original +
                            "'") == "0";
    });
    database = "copy_" + original;
    test::postgres().psql("CREATE DATABASE " + database + " TEMPLATE " + original);
    relay.conninfo = test::relay_config(database).conninfo;
    publish_one("copied");
    auto all = test::stream_entries(redis, relay.stream);
    BOOST_REQUIRE(all.size() == 4u);
    BOOST_TEST(all[2].event_type == "reset");
    BOOST_TEST(relay::StreamId::parse(all[2].id)->generation() == 2u);
    BOOST_TEST(all[3].key == "copied");

    // A dump has neither changes nor ticks, and the restored database begins with the first.
    const std::string copied = database;
    database = "restored_" + original;
    test::postgres().psql("CREATE DATABASE " + database);
    test::postgres().dump_and_restore(copied, test::postgres(), database);
    Session restored(database);
    BOOST_TEST(restored.value("SELECT count(*) FROM muster.outbox") == "0");
    BOOST_TEST(restored.value("SELECT count(*) FROM muster.tick") == "1");
    BOOST_TEST(restored.value("SELECT count(*) FROM things") == "2");
    relay.conninfo = test::relay_config(database).conninfo;
    publish_one("restored");
    all = test::stream_entries(redis, relay.stream);
    BOOST_REQUIRE(all.size() == 6u);
    BOOST_TEST(all[4].event_type == "reset");
    BOOST_TEST(all[5].key == "restored");
}

// A publication of everything takes Muster's tables along. Neither rows nor their being taken away
// as a whole may touch those of the subscriber, which has changes of its own.
BOOST_FIXTURE_TEST_CASE(a_subscriber_of_all_tables_keeps_its_own_outbox, Fixture) {
    PostgresServer subscriber(PostgresServer::WithMuster{});
    test::load_muster(subscriber, "postgres");
    Session there("postgres", subscriber);
    there.run("CREATE TABLE local (id int PRIMARY KEY)");
    there.run("SELECT muster.publish('local', 'local', 'key')");
    there.run("INSERT INTO local VALUES (1), (2), (3)");
    Session here(database);
    here.run("CREATE TABLE local (id int PRIMARY KEY)");
    BOOST_REQUIRE(here.insert("a", "copied"));
    here.run("CREATE PUBLICATION everything FOR ALL TABLES");
    there.run("CREATE SUBSCRIPTION everything CONNECTION '" +
              test::postgres().socket_conninfo(database) + "' PUBLICATION everything");
    const auto arrives = [&](const std::string& key) {
        test::wait_until(key, [&] {
            return there.value("SELECT count(*) FROM things WHERE key = '" + key + "'") == "1";
        });
    };
    arrives("copied");
    relay.outbox_rows = 200;
    RelayThread thread(relay, redis);
    for (int i = 0; thread.stats().rotations < 4u; ++i) {
        BOOST_REQUIRE(here.insert("a", std::to_string(i)));
        std::this_thread::sleep_for(10ms);
    }
    BOOST_REQUIRE(here.insert("a", "last"));
    arrives("last");
    BOOST_TEST(there.value("SELECT count(*) FROM muster.outbox") == "3");
    BOOST_TEST(there.value("SELECT count(*) FROM muster.tick") == "1");
    BOOST_TEST(there.value("SELECT current FROM muster.rotation") == "0");
    BOOST_TEST(there.value("SELECT count(*) FROM muster.generation") == "0");
    BOOST_TEST(there.value("SELECT sum(apply_error_count + sync_error_count)"
                           " FROM pg_stat_subscription_stats") == "0");
    here.run("DROP PUBLICATION everything");
    there.run("ALTER SUBSCRIPTION everything DISABLE");
    there.run("ALTER SUBSCRIPTION everything SET (slot_name = NONE)");
    there.run("DROP SUBSCRIPTION everything");
    test::wait_until("the slot to be free",
                     [&] { return here.try_run("SELECT pg_drop_replication_slot('everything')"); });
    // The subscriber's own changes are published from there.
    config::Relay its = relay;
    its.conninfo = subscriber.socket_conninfo() + " user=relay_login";
    its.stream = "l01:its";
    RelayThread other(its, redis);
    test::wait_until("its changes", [&] { return test::stream_length(redis, its.stream) == 4u; });
}

// A standby is promoted while Redis is away: what is ticked meanwhile is of a new history.
BOOST_AUTO_TEST_CASE(a_failover_without_redis_begins_a_generation_before_it_ticks) {
    test::RedisServer server({"--appendonly", "yes", "--appendfsync", "always"});
    PostgresServer primary(PostgresServer::WithMuster{});
    test::load_muster(primary, "postgres");
    PostgresServer standby(PostgresServer::Standby{}, primary);
    standby.start();
    config::Redis redis = server.tcp();
    const config::Relay relay = test::relay_config(primary, standby);
    RelayThread thread(relay, redis);
    const auto change = [](const PostgresServer& on, const std::string& key) {
        on.psql("INSERT INTO things (aggregate, key) VALUES ('a', '" + key + "')");
    };
    for (const char* key : {"1", "2", "3"}) {
        change(primary, key);
        BOOST_REQUIRE(test::appears(relay, redis, key));
    }
    test::wait_until("the standby to follow", [&] {
        return standby.psql("SELECT count(*) FROM things") == "3\n" &&
               standby.psql("SELECT count(*) FROM muster.tick") == "4\n";
    });
    standby.stop();
    change(primary, "lost");
    BOOST_REQUIRE(test::appears(relay, redis, "lost"));
    server.kill();
    primary.kill();
    standby.start();
    standby.promote();
    // Many more ticks than the old history had.
    for (int i = 0; i < 4; ++i) {
        change(standby, "new" + std::to_string(i));
        test::wait_until("a tick", [&] {
            return standby.psql("SELECT backlog_rows FROM muster.relay_status()") != "0\n" &&
                   standby.psql("SELECT max(tick_id) >= " + std::to_string(6 + i) +
                                " FROM muster.tick") == "t\n";
        });
    }
    server.start();
    BOOST_REQUIRE(test::appears(relay, redis, "new3"));
    const auto all = test::stream_entries(redis, relay.stream);
    const auto reset = std::find_if(all.begin() + 1, all.end(), [](const Message& message) {
        return message.event_type == "reset";
    });
    BOOST_REQUIRE((reset != all.end()));
    BOOST_TEST((reset - all.begin()) == 5);
    BOOST_TEST((reset - 1)->key == "lost");
    BOOST_TEST(reset->prev_id == (reset - 1)->id);
    BOOST_TEST(relay::StreamId::parse(reset->id)->generation() > 1u);
    // What it repeats comes behind it.
    std::vector<std::string> behind;
    for (auto entry = reset + 1; entry != all.end(); ++entry)
        behind.push_back(entry->key);
    const std::vector<std::string> wanted{"1", "2", "3", "new0", "new1", "new2", "new3"};
    BOOST_TEST(behind == wanted, boost::test_tools::per_element());
}
