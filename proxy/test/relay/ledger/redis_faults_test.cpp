// The event path with an exact ledger, while Redis is killed, forgets, refuses and falls behind.
#include <filesystem>
#include <random>

#include <boost/test/unit_test.hpp>

#include "relay/ledger/world.hpp"

using namespace muster::test;
using namespace muster::test::ledger;

namespace {

// The stream lacks nothing in the end and says under each id what it always said; nobody was told
// to read the tables anew, but for the beginning of all.
void check_that_nobody_noticed(World& world) {
    const Verdict verdict = world.finish();
    BOOST_TEST(verdict.resets == 1u);
    BOOST_TEST(verdict.gaps == 0u);
    BOOST_TEST(verdict.trimmed == 0u);
}

void kill_redis(const char* scenario, const char* appendfsync, int count) {
    World world({.scenario = scenario,
                 .redis_options = {"--appendonly", "yes", "--appendfsync", appendfsync}});
    std::minstd_rand random(seed());
    world.relay().start();
    for (int i = 0; i < count; ++i) {
        world.let_hear(1 + random() % 60);
        world.redis().kill();
        world.count_fault();
        world.let_write(1 + random() % 30);
        world.redis().start();
    }
    world.let_hear(20);
    check_that_nobody_noticed(world);
}

// How often Redis refused a command with this error.
long refusals(World& world, const std::string& error) {
    const std::string report = world.redis().cli({"INFO", "errorstats"});
    const std::string name = "errorstat_" + error + ":count=";
    const auto at = report.find(name);
    return at == std::string::npos ? 0 : std::stol(report.substr(at + name.size()));
}

// Makes Redis refuse writes until it has refused some, and then accept them again.
void refuse_for_a_while(World& world, const std::string& error,
                        const std::vector<std::string>& refuse,
                        const std::vector<std::string>& recover) {
    const long before = refusals(world, error);
    world.redis().cli(refuse);
    world.count_fault();
    world.let_write(10);
    wait_until("Redis to refuse with " + error,
               [&] { return refusals(world, error) > before + 1; });
    world.redis().cli(recover);
}

// The file that Redis appends to. What an earlier length of it holds is what Redis held then.
std::filesystem::path append_only_file(World& world) {
    for (const auto& file :
         std::filesystem::directory_iterator(world.redis().directory() / "appendonlydir"))
        if (file.path().string().ends_with(".incr.aof"))
            return file.path();
    throw std::runtime_error("Redis has no append-only file");
}

}  // namespace

BOOST_AUTO_TEST_CASE(it_is_killed_twenty_times) {
    kill_redis("redis: kill -9, appendfsync always", "always", times(20));
}

BOOST_AUTO_TEST_CASE(it_is_killed_five_times_with_a_lazy_log) {
    kill_redis("redis: kill -9, appendfsync everysec", "everysec", times(5));
}

// Sometimes the relay goes too, and its successor cannot know what was published before.
BOOST_AUTO_TEST_CASE(it_is_flushed_ten_times) {
    World world({.scenario = "redis: FLUSHALL"});
    std::minstd_rand random(seed());
    world.relay().start();
    for (int i = 0; i < times(10); ++i) {
        world.let_hear(1 + random() % 100);
        world.remember_stream();
        if (i % 3 == 2)
            world.relay().kill();
        world.redis().cli({"FLUSHALL"});
        world.count_fault();
        if (i % 3 == 2)
            world.relay().start();
        world.let_hear(10);
    }
    check_that_nobody_noticed(world);
}

BOOST_AUTO_TEST_CASE(it_is_out_of_memory_ten_times) {
    World world({.scenario = "redis: maxmemory"});
    std::minstd_rand random(seed());
    world.relay().start();
    for (int i = 0; i < times(10); ++i) {
        world.let_hear(1 + random() % 60);
        refuse_for_a_while(world, "OOM", {"CONFIG", "SET", "maxmemory", "1"},
                           {"CONFIG", "SET", "maxmemory", "0"});
        world.let_hear(10);
    }
    check_that_nobody_noticed(world);
}

BOOST_AUTO_TEST_CASE(it_is_a_replica_for_a_while) {
    World world({.scenario = "redis: READONLY"});
    std::minstd_rand random(seed());
    world.relay().start();
    for (int i = 0; i < times(3); ++i) {
        world.let_hear(1 + random() % 60);
        refuse_for_a_while(world, "READONLY", {"REPLICAOF", "127.0.0.1", "1"},
                           {"REPLICAOF", "NO", "ONE"});
        world.let_hear(10);
    }
    check_that_nobody_noticed(world);
}

// Redis comes back with an older state, as after a failover to a replica that lagged: what it lacks
// is filled in under the same ids.
BOOST_AUTO_TEST_CASE(it_comes_back_with_an_older_state) {
    World world({.scenario = "redis: failover to a lagging replica"});
    std::minstd_rand random(seed());
    world.relay().start();
    for (int i = 0; i < times(5); ++i) {
        world.let_hear(1 + random() % 60);
        const auto length = std::filesystem::file_size(append_only_file(world));
        world.let_hear(20 + random() % 100);
        world.remember_stream();
        world.redis().kill();
        world.count_fault();
        std::filesystem::resize_file(append_only_file(world), length);
        world.redis().start();
        world.let_hear(10);
    }
    check_that_nobody_noticed(world);
}

// Who was away for longer than the stream remembers can tell.
BOOST_AUTO_TEST_CASE(a_subscriber_is_away_for_too_long) {
    World world({.scenario = "subscriber: away past retention", .stream_length = 1000});
    world.relay().start();
    world.let_hear(50);
    world.subscriber().go_away();
    world.count_fault();
    for (int i = 0; i < 25; ++i) {
        world.let_write(60);
        world.remember_stream();
    }
    world.subscriber().come_back();
    world.let_hear(10);
    const Verdict verdict = world.finish();
    BOOST_TEST(verdict.resets == 1u);
    BOOST_TEST(verdict.gaps == 1u);
    BOOST_TEST(verdict.trimmed > 0u);
}
