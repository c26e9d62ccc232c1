// The event path with an exact ledger, while the outbox rotates and things are killed.
#include <random>

#include <boost/test/unit_test.hpp>

#include "relay/ledger/world.hpp"

using namespace muster::test;
using namespace muster::test::ledger;

namespace {

// The next table is begun at a quarter of the bound, every few seconds here; the bound itself is
// not reached while a server is away for a moment.
constexpr const char* small_outbox = "outbox_rows = 8000\n";

void wait_for_rotation(World& world) {
    const std::string oldest = "SELECT oldest_tick FROM muster.rotation";
    const std::string before = world.ask(oldest);
    wait_until("a rotation", [&] { return world.ask(oldest) != before; });
}

// Until a table is due to be emptied, which is done within a second.
void wait_until_rotation_is_due(World& world) {
    wait_for_rotation(world);
    wait_until("a rotation to be due", [&] {
        return world.ask(
                   "SELECT s.last_value - r.first_seq[r.current + 1] >= 2000"
                   " FROM muster.rotation r, muster.outbox_seq s") == "t";
    });
}

std::size_t dropped(World& world) {
    return std::stoul(world.ask("SELECT dropped FROM muster.rotation"));
}

}  // namespace

// No transaction that only reads, and none of another database, keeps tables from being emptied.
BOOST_AUTO_TEST_CASE(servers_are_killed_while_the_outbox_rotates) {
    World world({.scenario = "rotation: all three killed in turn",
                 .writers = 1,
                 .durable = false,
                 .hold = false,
                 .postgres_settings = {"wal_writer_delay=10s"},
                 .relay_settings = small_outbox});
    std::minstd_rand random(seed());
    world.relay().start();
    for (int i = 0; i < times(3); ++i) {
        wait_for_rotation(world);
        switch (i % 3) {
            case 0:
                world.relay().kill();
                world.count_fault();
                world.let_write(10 + random() % 50);
                world.relay().start();
                break;
            case 1:
                world.crash_postgres();
                break;
            default:
                world.redis().kill();
                world.count_fault();
                world.redis().start();
        }
        world.let_hear(20);
    }
    BOOST_TEST(dropped(world) == 0u);
    const Verdict verdict = world.finish();
    BOOST_TEST(verdict.resets == 1u);
    BOOST_TEST(verdict.gaps == 0u);
    BOOST_TEST(verdict.trimmed == 0u);
}

// What is not kept any more is not filled in again; what is there is linked, and nobody who heard
// it all is disturbed.
BOOST_AUTO_TEST_CASE(redis_is_flushed_after_the_outbox_rotated) {
    World world({.scenario = "rotation: FLUSHALL",
                 .writers = 1,
                 .hold = false,
                 .relay_settings = small_outbox});
    world.relay().start();
    for (int i = 0; i < times(3); ++i) {
        wait_until_rotation_is_due(world);
        world.redis().cli({"FLUSHALL"});
        world.count_fault();
        world.let_hear(20);
    }
    BOOST_TEST(dropped(world) == 0u);
    const Verdict verdict = world.finish();
    BOOST_TEST(verdict.resets == 1u);
    BOOST_TEST(verdict.gaps == 0u);
    BOOST_TEST(verdict.trimmed > 0u);
}

// Past the bounds the oldest changes go unpublished, all of them counted, and a reset says so. No
// writer fails.
BOOST_AUTO_TEST_CASE(redis_is_away_until_the_outbox_is_full) {
    World world({.scenario = "rotation: bounds reached without Redis",
                 .hold = false,
                 .relay_settings = small_outbox});
    world.relay().start();
    world.let_hear(50);
    world.redis().kill();
    world.count_fault();
    wait_until("changes to be dropped", [&] { return dropped(world) > 0; });
    world.let_write(100);
    world.redis().start();
    world.let_hear(20);
    const Verdict verdict = world.finish();
    BOOST_TEST(verdict.resets == 2u);
    BOOST_TEST(verdict.gaps == 0u);
}
