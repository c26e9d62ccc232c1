// The event path with an exact ledger, while the relay's process and PostgreSQL are killed.
#include <random>

#include <boost/test/unit_test.hpp>

#include "relay/ledger/world.hpp"

using namespace muster::test;
using namespace muster::test::ledger;

BOOST_AUTO_TEST_CASE(the_relay_is_killed_fifty_times) {
    World world({.scenario = "relay: kill -9"});
    std::minstd_rand random(seed());
    for (int i = 0; i < times(50); ++i) {
        world.relay().start();
        if (i % 5 == 4)  // as soon as it has a session, and has not led yet or has just begun
            wait_until("a session of the relay", [&] { return world.has_session(0); });
        else
            world.let_hear(1 + random() % 60);
        world.relay().kill();
        world.count_fault();
    }
    world.relay().start();
    const Verdict verdict = world.finish();
    BOOST_TEST(verdict.resets == 1u);
    BOOST_TEST(verdict.gaps == 0u);
    BOOST_TEST(verdict.trimmed == 0u);
}

namespace {

// The wal writer is slow, so that most of what is not durable waits for somebody else's flush.
Verdict crash_the_server(const char* scenario, bool durable) {
    World world(
        {.scenario = scenario, .durable = durable, .postgres_settings = {"wal_writer_delay=10s"}});
    std::minstd_rand random(seed());
    world.relay().start();
    for (int i = 0; i < times(5); ++i) {
        world.let_hear(20 + random() % 100);
        world.crash_postgres();
    }
    world.let_hear(20);
    return world.finish();
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_postmaster_is_killed_five_times) {
    const Verdict verdict = crash_the_server("postmaster: kill -9", true);
    BOOST_TEST(verdict.taken_back == 0u);
    BOOST_TEST(verdict.resets == 1u);
    BOOST_TEST(verdict.gaps == 0u);
}

// What was acknowledged may be gone, but then nobody has heard of it.
BOOST_AUTO_TEST_CASE(the_postmaster_is_killed_five_times_while_commits_are_not_durable) {
    const Verdict verdict = crash_the_server("postmaster: kill -9, commits not durable", false);
    BOOST_TEST(verdict.resets == 1u);
    BOOST_TEST(verdict.gaps == 0u);
}

// An asynchronous standby lacks some of what was published: that is taken back.
BOOST_AUTO_TEST_CASE(a_standby_is_promoted) {
    World world({.scenario = "postgres: a lagging standby promoted", .standby = true});
    world.relay().start();
    world.let_hear(50);
    world.fail_over();
    world.let_hear(50);
    const Verdict verdict = world.finish();
    BOOST_TEST(verdict.resets == 2u);
    BOOST_TEST(verdict.withdrawn > 0u);
    BOOST_TEST(verdict.gaps == 0u);
}
