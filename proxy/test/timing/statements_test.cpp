// The table of statements: many threads, one reader, a bound, and a new start.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "timing/statements.hpp"

using namespace muster::timing;
using namespace std::chrono_literals;

namespace {

StatementKey key_of(const std::string& name) {
    return {Door::http, hash_of(name)};
}

StatementFigures find(const Statements& statements, const std::string& name) {
    for (const StatementFigures& one : statements.read()) {
        if (one.name == name) {
            return one;
        }
    }
    return {};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(statements)

BOOST_AUTO_TEST_CASE(runs_add_up_over_threads) {
    Statements table(2);
    Tally& first = table.tally(0, key_of("a"), "a", "select a($1)");
    Tally& second = table.tally(1, key_of("a"), "a", "select a($1)");
    BOOST_TEST(&first != &second);
    BOOST_TEST(&first == &table.tally(0, key_of("a"), "a", "select a($1)"));
    BOOST_TEST(table.read().empty());  // nothing was called
    first.record({.duration = 1ms, .rows = 2, .bytes = 30});
    first.record({.duration = 9ms, .failed = true});
    second.record({.duration = 4ms, .rows = 1, .bytes = 10});
    const StatementFigures figures = find(table, "a");
    BOOST_TEST(figures.text == "select a($1)");
    BOOST_TEST(figures.times.total == 3U);
    BOOST_TEST(figures.errors == 1U);
    BOOST_TEST(figures.rows == 3U);
    BOOST_TEST(figures.bytes == 40U);
    BOOST_TEST((figures.times.max == 9ms));
    BOOST_TEST((figures.times.sum == 14ms));
}

BOOST_AUTO_TEST_CASE(a_reset_starts_anew_and_keeps_the_tallies) {
    Statements table(1);
    Tally& tally = table.tally(0, key_of("a"), "a", "");
    tally.record({.duration = 5s, .rows = 1, .bytes = 1, .failed = true});
    const auto before = table.since();
    table.reset();
    BOOST_TEST((table.since() >= before));
    BOOST_TEST(table.read().empty());  // although the thread has not recorded since
    tally.record({.duration = 2ms, .rows = 7, .bytes = 8});
    const StatementFigures figures = find(table, "a");
    BOOST_TEST(figures.times.total == 1U);
    BOOST_TEST(figures.errors == 0U);
    BOOST_TEST(figures.rows == 7U);
    BOOST_TEST((figures.times.max == 2ms));
    // One that is first seen after a reset counts, too.
    table.tally(0, key_of("b"), "b", "").record({.duration = 1ms});
    BOOST_TEST(find(table, "b").times.total == 1U);
}

BOOST_AUTO_TEST_CASE(past_the_bound_all_others_are_one) {
    Statements table(1, 10);
    for (int i = 0; i < 1000; ++i) {
        const std::string name = "s" + std::to_string(i);
        table.tally(0, {Door::wire, hash_of(name)}, name, name).record({.duration = 1ms});
    }
    BOOST_TEST(table.read().size() == 11U);
    BOOST_TEST(find(table, "s9").times.total == 1U);
    BOOST_TEST(find(table, "other").times.total == 990U);
    BOOST_TEST(find(table, "other").text == "");
    // Each door has its own.
    table.tally(0, key_of("late"), "late", "").record({.duration = 1ms});
    BOOST_TEST(table.read().size() == 12U);
}

BOOST_AUTO_TEST_CASE(a_text_may_be_known_later) {
    Statements table(1);
    const StatementKey key{Door::wire, 5};
    table.tally(0, key, "", "").record({.duration = 1ms});
    table.describe(key, "select ?", "select $1");
    BOOST_TEST(find(table, "select ?").text == "select $1");
    table.describe({Door::wire, 6}, "nobody", "");  // unknown: nothing happens
    BOOST_TEST(table.read().size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_reader_and_resets_beside_writers) {
    constexpr unsigned threads = 3;
    constexpr std::uint64_t each = 20000;
    Statements table(threads);
    std::atomic<unsigned> running{threads};
    std::vector<std::thread> writers;
    for (unsigned i = 0; i < threads; ++i) {
        writers.emplace_back([&table, &running, i] {
            Tally& tally = table.tally(i, key_of("a"), "a", "");
            for (std::uint64_t n = 0; n < each; ++n) {
                tally.record({.duration = std::chrono::microseconds(n), .rows = 1});
                if (n % 1000 == 0) {
                    table.tally(i, key_of("b" + std::to_string(n)), "b", "").record({});
                }
            }
            --running;
        });
    }
    while (running > 0) {
        const StatementFigures figures = find(table, "a");
        BOOST_REQUIRE(figures.times.total <= threads * each);
        BOOST_REQUIRE((figures.times.max < 1s));
    }
    for (std::thread& writer : writers) {
        writer.join();
    }
    BOOST_TEST(find(table, "a").times.total == threads * each);
    BOOST_TEST(find(table, "a").rows == threads * each);
    table.reset();
    BOOST_TEST(table.read().empty());
}

BOOST_AUTO_TEST_SUITE_END()
