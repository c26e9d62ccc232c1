// One thread's table of statements: what is known again, what makes room, what the log is told.
#include "timing/statement_table.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <thread>

#include <boost/test/unit_test.hpp>

#include "servers/process.hpp"

using namespace muster;
using namespace muster::timing;
using namespace muster::test;
using namespace std::chrono_literals;

namespace {

struct World {
    explicit World(const std::string& log = "off", std::chrono::milliseconds slow = 100ms) {
        config::Config config;
        config.timing.slow_query = slow;
        config.log.slow_query = log;
        timing = std::move(Timing::make(config, registry, 2)).value();
    }
    std::map<std::string, StatementFigures> figures() const {
        std::map<std::string, StatementFigures> all;
        for (StatementFigures& one : timing->statements().read()) {
            all[one.name] = one;
        }
        return all;
    }
    std::string text_of(const std::string& name) const { return figures()[name].text; }

    metrics::Registry registry;
    std::unique_ptr<Timing> timing;
};

const StatementTable::Circumstances nobody{"", ""};

}  // namespace

BOOST_AUTO_TEST_SUITE(statement_tables)

BOOST_AUTO_TEST_CASE(a_statement_is_known_again_on_every_thread) {
    World world;
    StatementTable first(*world.timing, 0), second(*world.timing, 1);
    first.record(first.find("select a from t where b = 1"), {.duration = 2ms, .rows = 3}, nobody);
    first.record(first.find("select a from t where b = 2"), {.duration = 4ms, .rows = 1}, nobody);
    second.record(second.find("SELECT a FROM t WHERE b = 'x'"), {.duration = 6ms, .failed = true},
                  {"", "57014"});
    const auto all = world.figures();
    BOOST_REQUIRE(all.size() == 1u);
    const auto& [name, figures] = *all.begin();
    BOOST_TEST(name.starts_with("select_t_"));
    BOOST_TEST(figures.times.total == 3u);
    BOOST_TEST(figures.rows == 4u);
    BOOST_TEST(figures.errors == 1u);
    BOOST_TEST((figures.times.max == 6ms));
    const std::string metrics = world.registry.text();
    for (const char* status : {"success\"} 2", "timeout\"} 1", "error\"} 0"}) {
        BOOST_TEST(metrics.find("database_query_duration_seconds_count{query_name=\"" + name +
                                "\",status=\"" + status) != std::string::npos,
                   metrics);
    }
}

BOOST_AUTO_TEST_CASE(the_text_is_masked_at_once_and_normalised_soon) {
    World world;
    StatementTable table(*world.timing, 0);
    // Only PostgreSQL's parser knows that a NULL here is a constant.
    table.record(table.find("select null as a, 'secret'"), {}, nobody);
    BOOST_TEST(world.figures().begin()->second.text.find("secret") == std::string::npos);
    wait_until("the normalised text",
               [&] { return world.figures().begin()->second.text == "select $1 as a, $2"; });
}

BOOST_AUTO_TEST_CASE(classes_are_one_each_and_never_slow) {
    World world("off", 1ms);
    StatementTable table(*world.timing, 0);
    for (const char* sql :
         {"copy a from stdin", "copy b to stdout", "listen x", "IDENTIFY_SYSTEM"}) {
        table.record(table.find(sql), {.duration = 10s}, nobody);
    }
    table.record(StatementTable::all_of(StatementKind::function_call), {.duration = 10s}, nobody);
    const auto all = world.figures();
    BOOST_TEST(all.size() == 4u);
    BOOST_TEST(all.at("copy").times.total == 2u);
    for (const char* name : {"listen", "replication", "function_call"}) {
        BOOST_TEST(all.at(name).times.total == 1u);
    }
    BOOST_TEST(world.timing->slow_log().queries() == 0u);
}

BOOST_AUTO_TEST_CASE(what_is_run_least_makes_room_and_nothing_is_lost) {
    World world;
    StatementTable table(*world.timing, 0, 16);
    const auto busy = table.find("select busy");
    for (int i = 0; i < 400; ++i) {
        table.record(table.find("select once_" + std::to_string(i)), {.duration = 1ms}, nobody);
        table.record(table.find("select busy"), {.duration = 1ms}, nobody);
    }
    const auto all = world.figures();
    BOOST_TEST(all.size() <= 17u);
    std::uint64_t runs = 0;
    for (const auto& [name, one] : all) {
        runs += one.times.total;
    }
    BOOST_TEST(runs == 800u);
    // It was never displaced: what was found at first still leads there.
    BOOST_TEST(table.find("select busy").generation == busy.generation);
    const auto found = std::find_if(
        all.begin(), all.end(), [](const auto& one) { return one.second.text == "select busy"; });
    BOOST_REQUIRE((found != all.end()));
    BOOST_TEST(found->second.times.total == 400u);
}

BOOST_AUTO_TEST_CASE(a_displaced_statement_runs_as_one_of_the_others) {
    World world;
    StatementTable table(*world.timing, 0, 8);
    const auto old = table.find("select prepared_once");
    for (int i = 0; i < 50; ++i) {
        table.record(table.find("select n" + std::to_string(i)), {}, nobody);
    }
    const auto others = world.figures().at("other").times.total;
    table.record(old, {.duration = 1ms}, nobody);
    BOOST_TEST(world.figures().at("other").times.total == others + 1);
    BOOST_TEST((table.kind(old) == StatementKind::query));
}

// What is kept of texts that come again says what a look at them would.
BOOST_AUTO_TEST_CASE(a_text_that_comes_again_is_the_same_statement) {
    World world;
    StatementTable table(*world.timing, 0, 8);
    const auto same = [](StatementTable::Ref a, StatementTable::Ref b) {
        return a.entry == b.entry && a.generation == b.generation;
    };
    const std::string sql = "select a from t where b = $1";
    const auto first = table.find(sql);
    for (int i = 0; i < 3; ++i) {
        BOOST_TEST(same(table.find_prepared(sql), first));
    }
    // Of the same length, and end.
    BOOST_TEST(!same(table.find_prepared("select b from t where b = $1"), first));
    BOOST_TEST(same(table.find_prepared(sql), first));
    BOOST_TEST(!same(table.find_prepared(sql, true), first));
    for (int i = 0; i < 50; ++i) {
        for (int runs = 0; runs < 8; ++runs) {
            table.record(table.find("select n" + std::to_string(i)), {}, nobody);
        }
    }
    const auto again = table.find_prepared(sql);  // it was displaced
    BOOST_TEST(!same(again, first));
    BOOST_TEST(same(table.find_prepared(sql), again));
    BOOST_TEST(same(table.find(sql), again));
    const std::string longest(2000, 'x');
    BOOST_TEST(same(table.find_prepared(longest), table.find(longest)));
    BOOST_TEST(same(table.find_prepared("commit"), table.find("commit")));
}

BOOST_AUTO_TEST_CASE(a_flood_of_new_statements_is_bounded) {
    World world;
    StatementTable table(*world.timing, 0);
    const auto begun = Clock::now();
    const auto begun_seconds = [&] {
        return std::chrono::duration<double>(Clock::now() - begun).count();
    };
    for (int i = 0; i < 20000; ++i) {
        table.record(table.find("select flood_" + std::to_string(i)), {}, nobody);
    }
    const auto all = world.figures();
    BOOST_TEST(static_cast<double>(all.size()) <= 500 * (begun_seconds() + 1) + 1);
    BOOST_TEST(all.at("other").times.total > 10000u);
    // The parser is asked about few of them, and about those in its own time.
    const Normalizer& normalizer = world.timing->normalizer();
    wait_until("the parser to be asked", [&] { return normalizer.asked() >= 50; });
    const auto asked = static_cast<double>(normalizer.asked());
    BOOST_TEST(asked <= 100 * begun_seconds() + 1);
    BOOST_TEST(asked < 500);
}

BOOST_AUTO_TEST_CASE(slow_queries_are_logged_without_values) {
    const Sandbox sandbox;
    const auto log = sandbox.path() / "slow.log";
    {
        World world(log.string(), 50ms);
        StatementTable table(*world.timing, 0);
        const auto statement = table.find("select 'secret' from t");
        table.record(statement, {.duration = 49ms}, {"192.0.2.1", ""});
        table.record(statement, {.duration = 50ms, .rows = 7}, {"192.0.2.7", ""});
        world.timing->set_slow_query(10ms);
        table.record(statement, {.duration = 20ms, .failed = true}, {"192.0.2.8", "22012"});
        BOOST_TEST(world.timing->slow_log().queries() == 2u);
    }
    const std::string text = read_file(log);
    BOOST_TEST(text.find("secret") == std::string::npos);
    BOOST_TEST(text.find("192.0.2.1\"") == std::string::npos);
    BOOST_TEST(text.find(R"("door":"wire","name":"select_t_)") != std::string::npos);
    BOOST_TEST(text.find(R"("duration_ms":50.000,"rows":7)") != std::string::npos);
    BOOST_TEST(text.find(R"("client":"192.0.2.7","text":"select $1 from t")") != std::string::npos);
    BOOST_TEST(text.find(R"("status":"error","sqlstate":"22012","client":"192.0.2.8")") !=
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(two_threads_and_a_reader) {
    World world;
    std::atomic<int> running{2};
    std::vector<std::thread> threads;
    for (unsigned thread = 0; thread < 2; ++thread) {
        threads.emplace_back([&, thread] {
            StatementTable table(*world.timing, thread, 8);
            for (int i = 0; i < 3000; ++i) {
                table.record(table.find("select n" + std::to_string(i % 40)), {.duration = 1ms},
                             nobody);
            }
            --running;
        });
    }
    while (running > 0) {
        world.registry.text();
        world.timing->statements().read();
    }
    for (auto& thread : threads) {
        thread.join();
    }
    std::uint64_t runs = 0;
    for (const auto& one : world.timing->statements().observed(Door::wire)) {
        runs += one.by_outcome[0].count();
    }
    BOOST_TEST(runs == 6000u);
}

BOOST_AUTO_TEST_SUITE_END()
