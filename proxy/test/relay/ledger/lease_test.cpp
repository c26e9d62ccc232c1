// The event path with an exact ledger, while the leader of two relays is stopped past its lease and
// wakes up again.
#include <csignal>
#include <random>

#include <boost/test/unit_test.hpp>

#include "relay/ledger/world.hpp"

using namespace muster::test;
using namespace muster::test::ledger;

namespace {

void wait_for_leader(World& world, std::optional<std::size_t> other_than) {
    wait_until("a leader", [&] {
        const auto leader = world.leader();
        return leader && leader != other_than;
    });
}

// Starts both, `first` as the leader.
void start_both(World& world, std::size_t first) {
    world.relay(first).start();
    wait_for_leader(world, std::nullopt);
    world.relay(1 - first).start();
    wait_until("the other relay", [&] { return world.has_session(1 - first); });
}

// Stops the leader until the other one leads and has published, and wakes it.
void stop_past_lease(World& world) {
    const auto stopped = world.leader().value();
    world.relay(stopped).signal(SIGSTOP);
    world.count_fault();
    wait_for_leader(world, stopped);
    world.let_hear(20);
    world.relay(stopped).signal(SIGCONT);
    // It finds its session gone and makes another, as a follower.
    wait_until("the woken relay to come back", [&] { return world.has_session(stopped); });
    world.let_hear(10);
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_leader_is_stopped_ten_times) {
    World world({.scenario = "leader: SIGSTOP past its lease", .writers = 3, .relays = 2});
    std::minstd_rand random(seed());
    start_both(world, 0);
    for (int i = 0; i < times(10); ++i) {
        world.let_hear(1 + random() % 60);
        stop_past_lease(world);
    }
    const Verdict verdict = world.finish();
    BOOST_TEST(verdict.resets == 1u);
    BOOST_TEST(verdict.gaps == 0u);
    BOOST_TEST(verdict.trimmed == 0u);
}

namespace {

// The server waits for it to take what it has read, so that the session is not idle.
void stop_amid_rows(const char* scenario, std::size_t leader) {
    World world({.scenario = scenario, .writers = 3, .relays = 2});
    start_both(world, leader);
    world.let_hear(20);
    world.write_many(50'000);
    world.let_hear(2'000);
    stop_past_lease(world);
    const Verdict verdict = world.finish();
    BOOST_TEST(verdict.resets == 1u);
    BOOST_TEST(verdict.gaps == 0u);
    BOOST_TEST(verdict.trimmed == 0u);
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_leader_is_stopped_in_the_middle_of_a_big_transaction) {
    stop_amid_rows("leader: SIGSTOP amid 50,000 rows", 0);
}

// No time-out of TCP ends that session.
BOOST_AUTO_TEST_CASE(the_leader_on_a_unix_socket_is_stopped_in_the_middle_of_a_big_transaction) {
    stop_amid_rows("leader on a socket: the same", 1);
}
