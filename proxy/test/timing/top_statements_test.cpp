// Which statements have labels: a bound, and sums that never go down.
#include "timing/top_statements.hpp"

#include <map>
#include <random>
#include <string>

#include <boost/test/unit_test.hpp>

using namespace muster::timing;

namespace {

// Statements that were run so often, each run `milliseconds` long.
class Load {
  public:
    void run(const std::string& name, unsigned times, unsigned milliseconds = 1) {
        StatementHistograms& one = entry(name);
        auto& histogram = one.by_outcome[0];
        histogram.counts[5] += times;
        histogram.sum += times * milliseconds / 1000.0;
    }
    // As the table does with what it has no room for.
    void displace(const std::string& name) {
        StatementHistograms& others = entry("other");
        for (std::size_t i = 0; i < 3; ++i) {
            others.by_outcome[i] += entry(name).by_outcome[i];
        }
        all_.erase(name);
    }
    std::vector<StatementHistograms> read() const {
        std::vector<StatementHistograms> list;
        for (const auto& [name, one] : all_) {
            list.push_back(one);
        }
        return list;
    }
    std::uint64_t total() const {
        std::uint64_t sum = 0;
        for (const auto& [name, one] : all_) {
            sum += one.by_outcome[0].count();
        }
        return sum;
    }

  private:
    StatementHistograms& entry(const std::string& name) {
        StatementHistograms& one = all_[name];
        one.name = name;
        one.key = {Door::wire, name == "other" ? 0 : hash_of(name)};
        return one;
    }
    std::map<std::string, StatementHistograms> all_;
};

std::map<std::string, std::uint64_t> counts(const std::vector<TopStatements::Series>& series) {
    std::map<std::string, std::uint64_t> all;
    for (const TopStatements::Series& one : series) {
        all[one.name] += one.value.count();
    }
    return all;
}

using Counts = std::map<std::string, std::uint64_t>;

}  // namespace

BOOST_AUTO_TEST_SUITE(top_statements)

BOOST_AUTO_TEST_CASE(the_busiest_have_labels_from_their_first_run_on) {
    TopStatements top(2);
    Load load;
    load.run("a", 5, 10);
    load.run("b", 100);
    load.run("c", 1);
    BOOST_TEST((counts(top.read(load.read())) == Counts{{"a", 5}, {"b", 100}, {"other", 1}}));
    load.run("c", 40);  // not twice as busy
    BOOST_TEST((counts(top.read(load.read())) == Counts{{"a", 5}, {"b", 100}, {"other", 41}}));
    // What was told of it before stays with the others; the one that goes does so with all.
    load.run("c", 1000);
    BOOST_TEST((counts(top.read(load.read())) == Counts{{"b", 100}, {"c", 1000}, {"other", 46}}));
    load.run("c", 3);
    load.run("a", 1);
    BOOST_TEST((counts(top.read(load.read())) == Counts{{"b", 100}, {"c", 1003}, {"other", 47}}));
    load.displace("b");
    BOOST_TEST((counts(top.read(load.read())) == Counts{{"a", 0}, {"c", 1003}, {"other", 147}}));
}

BOOST_AUTO_TEST_CASE(nothing_is_labelled_that_was_not_run_and_nothing_with_a_bound_of_0) {
    TopStatements top(0);
    Load load;
    load.run("a", 5);
    BOOST_TEST((counts(top.read(load.read())) == Counts{{"other", 5}}));
    TopStatements some(5);
    load.run("never", 0);
    BOOST_TEST((counts(some.read(load.read())) == Counts{{"a", 5}, {"other", 0}}));
    BOOST_TEST((counts(some.read({})) == Counts{{"other", 0}}));
}

BOOST_AUTO_TEST_CASE(over_any_history_sums_are_right_and_no_series_goes_down) {
    std::mt19937 random(3);
    TopStatements top(5);
    Load load;
    std::uint64_t others = 0;
    for (int scrape = 0; scrape < 2000; ++scrape) {
        for (int i = 0; i < 10; ++i) {
            load.run("s" + std::to_string(random() % 30), 1 + static_cast<unsigned>(random() % 50),
                     1 + static_cast<unsigned>(random() % 20));
        }
        if (random() % 4 == 0) {
            load.displace("s" + std::to_string(random() % 30));
        }
        const Counts now = counts(top.read(load.read()));
        BOOST_REQUIRE(now.size() <= 6u);
        std::uint64_t sum = 0;
        for (const auto& [name, count] : now) {
            sum += count;
        }
        BOOST_REQUIRE(sum == load.total());
        BOOST_REQUIRE(now.at("other") >= others);
        others = now.at("other");
    }
}

BOOST_AUTO_TEST_SUITE_END()
