// The event path with an exact ledger, while the outbox rotates and things are killed.
#include <random>

#include <boost/test/unit_test.hpp>

#include "relay/ledger/world.hpp"

using namespace muster::test;
using namespace muster::test::ledger;

namespace {

// A table is full with a quarter of the bound. The bound itself is not reached while a server is
// away for a moment: that takes one writer a quarter of a minute or more.
constexpr const char* small_outbox = "outbox_rows = 40000\n";
constexpr int table_rows = 10'000;
constexpr int tables = 3;

// Many ticks, so that a refill has not got far when it looks after the tables for the first time.
void fill_a_table(World& world) {
    for (int rows = 0; rows < table_rows; rows += 100)
        world.write_many(100);
}

std::string current_table(World& world) {
    return world.ask("SELECT current FROM muster.rotation");
}

void wait_for_rotation(World& world, const std::string& table) {
    wait_until("a rotation", [&] { return current_table(world) != table; });
}

// Fills the tables in turn, until the first one has been emptied again.
void fill_all_tables(World& world) {
    for (int i = 0; i < tables; ++i) {
        const std::string table = current_table(world);
        fill_a_table(world);
        wait_for_rotation(world, table);
    }
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
    fill_all_tables(world);
    for (int i = 0; i < times(3); ++i) {
        const std::string table = current_table(world);
        fill_a_table(world);
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
        wait_for_rotation(world, table);
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
    fill_all_tables(world);
    for (int i = 0; i < times(6); ++i) {
        const std::string table = current_table(world);
        fill_a_table(world);
        world.redis().cli({"FLUSHALL"});
        world.count_fault();
        wait_for_rotation(world, table);
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
                 .relay_settings = "outbox_rows = 1000\n"});
    world.relay().start();
    world.let_hear(50);
    world.redis().kill();
    world.count_fault();
    wait_until("changes to be dropped", [&] { return dropped(world) > 0; });
    world.let_write(100);
    world.redis().start();
    world.let_hear(20);
    const Verdict verdict = world.finish();
    // The first generation's, and one each time that room was made: with bounds this narrow it may
    // be made again while the relay comes back.
    BOOST_TEST(verdict.resets >= 2u);
    BOOST_TEST(verdict.gaps == 0u);
}
