// The relay when things break: it is killed, Redis forgets, connections are cut, servers crash.
#include "relay/relay.hpp"

#include <algorithm>
#include <csignal>
#include <set>

#include <boost/test/unit_test.hpp>

#include "relay/stream_id.hpp"
#include "support.hpp"

using namespace muster;
using namespace std::chrono_literals;
using test::Message;
using test::RelayThread;
using test::Session;

namespace {

// A database, a Redis and a stream of their own.
struct Fixture : test::RelayFixture {
    using test::RelayFixture::RelayFixture;

    std::vector<Message> entries() const { return test::stream_entries(redis, relay.stream); }
    bool appears(const std::string& key) const { return test::appears(relay, redis, key); }
};

// Each message of the channel once and in the stream's order.
void check_channel(test::Subscriber& channel, const std::vector<Message>& entries) {
    test::wait_until("the channel", [&] { return channel.messages().size() >= entries.size(); });
    const auto said = channel.messages();
    BOOST_TEST(said.size() == entries.size());
    for (std::size_t i = 0; i < std::min(said.size(), entries.size()); ++i)
        BOOST_REQUIRE_EQUAL(test::parse(said[i]).id, entries[i].id);
}

std::size_t resets_in(const std::vector<Message>& entries) {
    return static_cast<std::size_t>(
        std::count_if(entries.begin(), entries.end(),
                      [](const Message& message) { return message.event_type == "reset"; }));
}

// Lets the writers commit `count` more transactions.
void let_write(const test::Writers& writers, std::uint64_t count) {
    const std::uint64_t until = writers.transactions() + count;
    test::wait_until("writers", [&] { return writers.transactions() >= until; });
}

}  // namespace

BOOST_FIXTURE_TEST_CASE(killed_and_started_ten_times_it_loses_and_repeats_nothing, Fixture) {
    test::Subscriber channel(redis, relay.channel);
    const auto start = [&] {
        return std::make_unique<test::Process>(
            std::vector<std::string>{MUSTER_RELAY_PROCESS, relay.conninfo, redis.address.host,
                                     std::to_string(redis.address.port)},
            server.directory() / "relay.log", SIGKILL, false);
    };
    {
        test::Writers writers(database, 6);
        for (int i = 0; i < 10; ++i) {
            auto process = start();
            const std::size_t before = test::stream_length(redis, relay.stream);
            test::wait_until("the relay to publish", [&] {
                return test::stream_length(redis, relay.stream) > before + 20;
            });
            process->signal(SIGKILL);
            process->wait();
            let_write(writers, 20);
        }
    }
    auto process = start();
    const auto all = test::check_stream(database, relay, redis);
    BOOST_TEST(resets_in(all) == 1u);
    check_channel(channel, all);
    std::set<std::string> epochs;
    for (const Message& entry : all)
        epochs.insert(entry.epoch);
    BOOST_TEST(epochs.size() >= 10u);
}

BOOST_FIXTURE_TEST_CASE(destroyed_in_the_middle_ten_times_it_loses_and_repeats_nothing, Fixture) {
    test::Subscriber channel(redis, relay.channel);
    {
        test::Writers writers(database, 6);
        for (int i = 0; i < 10; ++i) {
            RelayThread thread(relay, redis);
            test::wait_until("a leader", [&] { return thread.stats().leader.load(); });
            let_write(writers, 40);
        }
    }
    RelayThread thread(relay, redis);
    const auto all = test::check_stream(database, relay, redis);
    BOOST_TEST(resets_in(all) == 1u);
    check_channel(channel, all);
}

// Chunks are all or nothing, ticks are not: what is left of one is published by the next relay.
BOOST_FIXTURE_TEST_CASE(a_tick_cut_off_in_the_middle_is_resumed_behind_its_last_entry, Fixture) {
    test::Subscriber channel(redis, relay.channel);
    Session session(database);
    session.run(
        "INSERT INTO things (aggregate, key)"
        " SELECT 'a' || g % 10, g::text FROM generate_series(1, 20000) g");
    int cut = 0;
    for (int i = 0; i < 5; ++i) {
        RelayThread thread(relay, redis);
        const std::size_t before = test::stream_length(redis, relay.stream);
        test::wait_until("the relay to publish", [&] {
            const std::size_t length = test::stream_length(redis, relay.stream);
            return length > before + 300 || length > 20000;
        });
        if (i % 2 == 0)  // cuts the connection to Redis only, and the relay resumes by itself
            server.cli({"CLIENT", "KILL", "TYPE", "normal"});
        const std::size_t length = test::stream_length(redis, relay.stream);
        cut += length > 1 && length < 20001 ? 1 : 0;
    }
    BOOST_TEST(cut > 0);
    RelayThread thread(relay, redis);
    const auto all = test::check_stream(database, relay, redis);
    BOOST_TEST(all.size() == 20001u);
    BOOST_TEST(session.value("SELECT count(*) FROM muster.tick") == "2");
    check_channel(channel, all);
}

BOOST_FIXTURE_TEST_CASE(a_flushed_redis_is_filled_again_without_telling_anybody_twice, Fixture) {
    test::Subscriber channel(redis, relay.channel);
    RelayThread thread(relay, redis);
    std::vector<Message> before;
    {
        test::Writers writers(database, 6);
        for (int i = 0; i < 5; ++i) {
            let_write(writers, 60);
            server.cli({"FLUSHALL"});
        }
        let_write(writers, 60);
    }
    before = test::check_stream(database, relay, redis);
    BOOST_TEST(resets_in(before) == 1u);
    check_channel(channel, before);
    // With nothing to publish it is noticed by the next heartbeat, and the ids are the same.
    server.cli({"FLUSHALL"});
    const auto after = test::check_stream(database, relay, redis);
    BOOST_REQUIRE(after.size() == before.size());
    for (std::size_t i = 0; i < after.size(); ++i) {
        BOOST_REQUIRE_EQUAL(after[i].id, before[i].id);
        BOOST_REQUIRE_EQUAL(after[i].key, before[i].key);
    }
    BOOST_TEST(thread.stats().resets == 1u);
    BOOST_TEST(channel.messages().size() == before.size());
}

BOOST_AUTO_TEST_CASE(a_redis_that_is_killed_and_comes_back_gets_what_it_lacks) {
    const std::vector<std::vector<std::string>> persistences{
        {},
        {"--appendonly", "yes", "--appendfsync", "everysec"},
        {"--appendonly", "yes", "--appendfsync", "always"}};
    for (const auto& options : persistences) {
        Fixture fixture(options);
        RelayThread thread(fixture.relay, fixture.redis);
        {
            test::Writers writers(fixture.database, 4);
            for (int i = 0; i < 3; ++i) {
                let_write(writers, 60);
                fixture.server.kill();
                let_write(writers, 30);
                fixture.server.start();
            }
        }
        const auto all = test::check_stream(fixture.database, fixture.relay, fixture.redis);
        BOOST_TEST(resets_in(all) == 1u);
        BOOST_TEST(thread.stats().resets == 1u);
    }
}

BOOST_FIXTURE_TEST_CASE(a_redis_that_is_away_for_long_gives_the_lead_to_others, Fixture) {
    RelayThread thread(relay, redis);
    Session session(database);
    BOOST_REQUIRE(session.insert("a", "1"));
    BOOST_TEST(appears("1"));
    server.kill();
    test::wait_until("the lead to be given up", [&] { return !thread.stats().leader.load(); });
    BOOST_TEST(!thread.stats().redis_up);
    BOOST_REQUIRE(session.insert("a", "2"));
    server.start();
    test::check_stream(database, relay, redis);
    BOOST_TEST(thread.stats().leader);
}

// The reply of a command that was cut off is unknown: it may have run or not.
BOOST_FIXTURE_TEST_CASE(connections_to_redis_cut_while_publishing_cost_nothing, Fixture) {
    test::Subscriber channel(redis, relay.channel);
    RelayThread thread(relay, redis);
    int kills = 0;
    {
        test::Writers writers(database, 6);
        while (thread.stats().resyncs < 10 && kills < 200) {
            let_write(writers, 10);
            const std::string list = server.cli({"CLIENT", "LIST"});
            const std::size_t name = list.find("name=muster-relay");
            if (name == std::string::npos)
                continue;
            const std::size_t end_of_last = list.rfind('\n', name);
            const std::size_t line = end_of_last == std::string::npos ? 0 : end_of_last + 1;
            const std::string id =
                list.substr(line + 3, list.find(' ', line) - line - 3);  // "id=7 "
            server.cli({"CLIENT", "KILL", "ID", id});
            ++kills;
        }
    }
    BOOST_TEST(thread.stats().resyncs >= 10u);
    const auto all = test::check_stream(database, relay, redis);
    BOOST_TEST(resets_in(all) == 1u);
    check_channel(channel, all);
}

// A reply that does not come in time: the script runs later, when the relay has long gone on.
BOOST_FIXTURE_TEST_CASE(a_redis_that_stalls_runs_late_commands_without_harm, Fixture) {
    redis.command_timeout = 100ms;
    redis.connect_timeout = 100ms;
    test::Subscriber channel(redis, relay.channel);
    RelayThread thread(relay, redis);
    {
        test::Writers writers(database, 6);
        for (int i = 0; i < 8; ++i) {
            let_write(writers, 40);
            server.signal(SIGSTOP);
            std::this_thread::sleep_for(250ms);
            server.signal(SIGCONT);
        }
    }
    const auto all = test::check_stream(database, relay, redis);
    BOOST_TEST(thread.stats().resyncs > 0u);
    check_channel(channel, all);
}

BOOST_FIXTURE_TEST_CASE(a_redis_that_refuses_to_write_is_tried_again, Fixture) {
    RelayThread thread(relay, redis);
    Session session(database);
    BOOST_REQUIRE(session.insert("a", "1"));
    BOOST_TEST(appears("1"));
    const auto refuse_and_recover = [&](const std::vector<std::string>& refuse,
                                        const std::vector<std::string>& recover,
                                        const std::string& key) {
        server.cli(refuse);
        BOOST_REQUIRE(session.insert("a", key));
        const std::uint64_t errors = thread.stats().errors;
        test::wait_until("a refusal", [&] { return thread.stats().errors > errors + 1; });
        server.cli(recover);
        BOOST_TEST(appears(key));
    };
    refuse_and_recover({"CONFIG", "SET", "maxmemory", "1"}, {"CONFIG", "SET", "maxmemory", "0"},
                       "oom");
    refuse_and_recover({"REPLICAOF", "127.0.0.1", "1"}, {"REPLICAOF", "NO", "ONE"}, "readonly");
    server.cli({"SCRIPT", "FLUSH"});
    BOOST_REQUIRE(session.insert("a", "noscript"));
    BOOST_TEST(appears("noscript"));
    test::check_stream(database, relay, redis);
}

BOOST_FIXTURE_TEST_CASE(sessions_to_postgres_cut_while_publishing_cost_nothing, Fixture) {
    test::Subscriber channel(redis, relay.channel);
    RelayThread thread(relay, redis);
    {
        test::Writers writers(database, 6);
        Session killer(database);
        for (int i = 0; i < 10; ++i) {
            const std::uint64_t published = thread.stats().published;
            test::wait_until("the relay to publish",
                             [&] { return thread.stats().published > published + 20; });
            test::wait_until("a relay to cut off", [&] {
                return killer.value(
                           "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                           " WHERE application_name LIKE 'muster relay%'"
                           " AND datname = current_database()") != "0";
            });
        }
    }
    const auto all = test::check_stream(database, relay, redis);
    BOOST_TEST(resets_in(all) == 1u);
    check_channel(channel, all);
}

// Writers with synchronous_commit = off lose commits in a crash: none of those may have been
// published.
BOOST_FIXTURE_TEST_CASE(nothing_is_published_that_a_crash_takes_back, Fixture) {
    RelayThread thread(relay, redis);
    {
        test::Writers writers(database, 6);
        for (int i = 0; i < 3; ++i) {
            let_write(writers, 150);
            test::postgres().crash_and_restart();
        }
        let_write(writers, 50);
    }
    const auto all = test::check_stream(database, relay, redis);
    BOOST_TEST(resets_in(all) == 1u);
}

BOOST_FIXTURE_TEST_CASE(a_stream_filled_again_from_the_middle_keeps_ids_and_links, Fixture) {
    relay.stream_length = 1000;
    Session session(database);
    std::vector<Message> before;
    {
        config::Relay unbounded = relay;
        unbounded.stream_length = 10'000'000;
        RelayThread thread(unbounded, redis);
        for (int i = 0; i < 400; ++i) {
            session.run("BEGIN");
            for (int n = 0; n < 5; ++n)
                BOOST_REQUIRE(session.insert("a", std::to_string(i) + "." + std::to_string(n)));
            session.run("COMMIT");
        }
        before = test::check_stream(database, unbounded, redis);
    }
    server.cli({"FLUSHALL"});
    RelayThread thread(relay, redis);
    BOOST_TEST(appears("399.4"));
    const auto after = entries();
    BOOST_TEST(after.size() >= 1000u);
    BOOST_TEST(after.size() < before.size());
    const std::size_t skipped = before.size() - after.size();
    for (std::size_t i = 0; i < after.size(); ++i) {
        BOOST_REQUIRE_EQUAL(after[i].id, before[skipped + i].id);
        BOOST_REQUIRE_EQUAL(after[i].prev_id, before[skipped + i].prev_id);
        BOOST_REQUIRE_EQUAL(after[i].key, before[skipped + i].key);
    }
}

// A rotation may leave no tick but the last one published: how many entries that had cannot be
// counted any more.
BOOST_FIXTURE_TEST_CASE(a_stream_filled_again_from_its_end_stays_linked, Fixture) {
    test::Subscriber channel(redis, relay.channel);
    RelayThread thread(relay, redis);
    Session session(database);
    BOOST_REQUIRE(session.insert("a", "first"));
    BOOST_REQUIRE(appears("first"));
    session.run("BEGIN");
    BOOST_REQUIRE(session.insert("a", "second"));
    BOOST_REQUIRE(session.insert("a", "third"));
    session.run("COMMIT");
    BOOST_REQUIRE(appears("third"));
    const auto before = entries();
    session.run("DELETE FROM muster.tick_0 WHERE tick_id < (SELECT max(tick_id) FROM muster.tick)");
    server.cli({"FLUSHALL"});
    BOOST_REQUIRE(session.insert("a", "fourth"));
    BOOST_REQUIRE(appears("fourth"));
    BOOST_TEST(entries().back().prev_id == before.back().id);
    check_channel(channel, [&] {
        auto all = before;
        all.push_back(entries().back());
        return all;
    }());
    BOOST_TEST(thread.stats().resets == 1u);
}

BOOST_FIXTURE_TEST_CASE(what_another_database_published_is_taken_back, Fixture) {
    Session session(database);
    server.cli({"XADD", relay.stream, relay::StreamId::of(6, 99, 1).text(), "message",
                R"({"id":"6597069766755-1","prev_id":"0-0","aggregate_id":"x"})"});
    RelayThread thread(relay, redis);
    BOOST_REQUIRE(session.insert("a", "1"));
    BOOST_TEST(appears("1"));
    auto all = entries();
    BOOST_REQUIRE(all.size() == 3u);
    BOOST_TEST(all[1].event_type == "reset");
    BOOST_TEST(all[1].id == relay::StreamId::of(7, 1, 0).text());
    BOOST_TEST(all[1].prev_id == relay::StreamId::of(6, 99, 1).text());
    BOOST_TEST(all[1].json.find("\"payload\":{\"generation\":7,\"reason\":\"first generation\"}") !=
               std::string::npos);
    // The stream runs ahead while the relay leads.
    server.cli({"XADD", relay.stream, relay::StreamId::of(9, 1, 1).text(), "message",
                R"({"id":"9895604649985-1"})"});
    BOOST_REQUIRE(session.insert("a", "2"));
    BOOST_TEST(appears("2"));
    all = entries();
    BOOST_REQUIRE(all.size() >= 6u);
    BOOST_TEST(all[4].event_type == "reset");
    BOOST_TEST(relay::StreamId::parse(all[4].id)->generation() == 10u);
    BOOST_TEST(all.back().key == "2");
    BOOST_TEST(session.value("SELECT string_agg(number::text, ',' ORDER BY number)"
                             " FROM muster.generation") == "7,10");
}

// Redis and the database are made anew while the relay runs: subscribers that stayed hear what
// comes, behind all that they have heard.
BOOST_FIXTURE_TEST_CASE(what_both_servers_have_forgotten_is_gone_on_from, Fixture) {
    test::Subscriber channel(redis, relay.channel);
    RelayThread thread(relay, redis);
    {
        Session session(database);
        for (int i = 0; i < 10; ++i)
            BOOST_REQUIRE(session.insert("a", std::to_string(i)));
    }
    BOOST_REQUIRE(appears("9"));
    const auto before = entries();
    test::postgres().psql("DROP DATABASE " + database + " WITH (FORCE)");
    server.cli({"FLUSHALL"});
    test::postgres().psql("CREATE DATABASE " + database);
    test::load_muster(test::postgres(), database);
    BOOST_REQUIRE(Session(database).insert("a", "anew"));
    BOOST_TEST(appears("anew"));
    const auto after = entries();
    BOOST_TEST(after.size() == 2u);
    BOOST_TEST(after.front().event_type == "reset");
    BOOST_TEST(
        (*relay::StreamId::parse(before.back().id) < *relay::StreamId::parse(after.front().id)));
    check_channel(channel, [&] {
        auto all = before;
        all.insert(all.end(), after.begin(), after.end());
        return all;
    }());
}

// An asynchronous standby is promoted: what it does not have, but was published, is taken back.
BOOST_AUTO_TEST_CASE(a_promoted_standby_begins_a_generation) {
    test::RedisServer server;
    test::PostgresServer primary(test::PostgresServer::WithMuster{});
    const auto session_on = [](test::PostgresServer& on, const std::string& key) {
        on.psql("INSERT INTO things (aggregate, key) VALUES ('a', '" + key + "')");
    };
    test::load_muster(primary, "postgres");
    test::PostgresServer standby(test::PostgresServer::Standby{}, primary);
    standby.start();
    config::Redis redis = server.tcp();
    const config::Relay relay = test::relay_config(primary, standby);
    RelayThread thread(relay, redis);
    session_on(primary, "both");
    BOOST_TEST(test::appears(relay, redis, "both"));
    test::wait_until("the standby to follow", [&] {
        return standby.psql("SELECT count(*) FROM muster.tick") ==
               primary.psql("SELECT count(*) FROM muster.tick");
    });
    standby.stop();
    session_on(primary, "lost");
    BOOST_TEST(test::appears(relay, redis, "lost"));
    primary.kill();
    standby.start();
    test::wait_until("the relay to lose its session",
                     [&] { return !thread.stats().leader.load(); });
    standby.promote();
    session_on(standby, "new");
    BOOST_TEST(test::appears(relay, redis, "new"));
    const auto all = test::stream_entries(redis, relay.stream);
    BOOST_REQUIRE(all.size() == 5u);
    BOOST_TEST(all[1].key == "both");
    BOOST_TEST(all[2].key == "lost");
    BOOST_TEST(all[3].event_type == "reset");
    BOOST_TEST(all[3].prev_id == all[2].id);
    BOOST_TEST(relay::StreamId::parse(all[3].id)->generation() == 2u);
    BOOST_TEST(all[4].key == "new");
    BOOST_TEST(all[4].prev_id == all[3].id);
    BOOST_TEST(standby.psql("SELECT reason FROM muster.generation WHERE number = 2") ==
               "another history of the database\n");
}
