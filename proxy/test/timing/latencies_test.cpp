// Percentiles from buckets, against a sort of the very same values.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <vector>

#include "timing/latencies.hpp"

using namespace muster::timing;
using namespace std::chrono_literals;
using std::chrono::nanoseconds;

namespace {

// The stated bound: 1/32, or half a unit where values are small.
bool close(nanoseconds estimate, nanoseconds exact) {
    const double allowed = std::max(static_cast<double>(exact.count()) / 32, 512.0);
    return std::abs(static_cast<double>((estimate - exact).count())) <= allowed;
}

nanoseconds nearest_rank(const std::vector<nanoseconds>& sorted, double q) {
    const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(sorted.size())));
    return sorted[std::max<std::size_t>(rank, 1) - 1];
}

using Draw = std::function<double(std::mt19937_64&)>;  // nanoseconds

void check(const char* name, const Draw& draw) {
    std::mt19937_64 random(42);
    std::vector<nanoseconds> values(20000);
    Latencies latencies;
    std::int64_t sum = 0;
    for (nanoseconds& value : values) {
        value = nanoseconds(static_cast<std::int64_t>(draw(random)));
        latencies.record(value);
        sum += value.count();
    }
    std::sort(values.begin(), values.end());
    const LatencyCounts read = latencies.read();
    BOOST_TEST(read.total == values.size());
    BOOST_TEST(read.sum.count() == sum);
    BOOST_TEST(read.max.count() == values.back().count());
    for (const double q : {0.0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0}) {
        const nanoseconds exact = nearest_rank(values, q);
        const nanoseconds estimate = read.quantile(q);
        BOOST_TEST(close(estimate, exact),
                   name << " at " << q << ": " << estimate.count() << " ns for " << exact.count());
        BOOST_TEST(estimate.count() <= read.max.count());
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(latencies)

BOOST_AUTO_TEST_CASE(percentiles_are_within_the_stated_error) {
    using Random = std::mt19937_64;
    check("uniform", [](Random& r) { return std::uniform_real_distribution(0.0, 1e8)(r); });
    check("exponential", [](Random& r) { return std::exponential_distribution(1e-6)(r); });
    check("log-normal", [](Random& r) { return std::lognormal_distribution(13.0, 2.0)(r); });
    check("two modes", [](Random& r) {
        return std::bernoulli_distribution(0.9)(r) ? std::normal_distribution(3e5, 1e4)(r)
                                                   : std::normal_distribution(2e9, 1e8)(r);
    });
    check("one value", [](Random&) { return 1234567.0; });
    check("below the linear part's end",
          [](Random& r) { return std::uniform_real_distribution(0.0, 16384.0)(r); });
    check("heavy tail", [](Random& r) {
        return 1e5 / std::pow(std::uniform_real_distribution(1e-7, 1.0)(r), 0.9);
    });
}

BOOST_AUTO_TEST_CASE(every_bucket_holds_its_middle_and_they_are_in_order) {
    nanoseconds before(-1);
    for (std::size_t i = 0; i < buckets::count; ++i) {
        const nanoseconds middle = buckets::middle(i);
        BOOST_REQUIRE(buckets::index(middle) == i);
        BOOST_REQUIRE(middle.count() > before.count());
        before = middle;
    }
}

BOOST_AUTO_TEST_CASE(the_edges_of_what_can_be_recorded) {
    BOOST_TEST(buckets::index(nanoseconds(-5)) == 0U);
    BOOST_TEST(buckets::index(0ns) == 0U);
    BOOST_TEST(buckets::index(nanoseconds::max()) == buckets::count - 1);
    Latencies latencies;
    BOOST_TEST(latencies.read().quantile(0.5).count() == 0);
    latencies.record(nanoseconds(-5));
    BOOST_TEST(latencies.read().sum.count() == 0);
    BOOST_TEST(latencies.read().quantile(1).count() == 0);  // not above the maximum
    latencies.record(24h);
    BOOST_TEST(latencies.read().max.count() == nanoseconds(24h).count());
    BOOST_TEST(latencies.read().total == 2U);
    BOOST_TEST((latencies.read().quantile(1) > 1h));
}

BOOST_AUTO_TEST_CASE(merged_they_are_as_if_recorded_together) {
    std::mt19937_64 random(7);
    std::lognormal_distribution<double> draw(14, 1.5);
    Latencies all;
    Latencies parts[3];
    for (int i = 0; i < 9000; ++i) {
        const nanoseconds value(static_cast<std::int64_t>(draw(random)));
        all.record(value);
        parts[i % 3].record(value);
    }
    LatencyCounts merged;
    for (const Latencies& part : parts) {
        merged += part.read();
    }
    const LatencyCounts together = all.read();
    BOOST_TEST(merged.counts == together.counts, boost::test_tools::per_element());
    BOOST_TEST(merged.total == together.total);
    BOOST_TEST(merged.sum.count() == together.sum.count());
    BOOST_TEST(merged.max.count() == together.max.count());
}

BOOST_AUTO_TEST_CASE(cleared_they_are_empty) {
    Latencies latencies;
    latencies.record(5ms);
    latencies.clear();
    BOOST_TEST(latencies.read().total == 0U);
    BOOST_TEST(latencies.read().max.count() == 0);
    BOOST_TEST(latencies.read().sum.count() == 0);
}

BOOST_AUTO_TEST_SUITE_END()
