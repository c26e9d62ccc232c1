// Which bucket a duration is counted in, and the text that Prometheus reads.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <limits>
#include <random>

#include "metrics/registry.hpp"

using namespace muster::metrics;
using namespace std::chrono_literals;
using std::chrono::nanoseconds;

namespace {

std::size_t bucket_of(nanoseconds duration) {
    Histogram histogram;
    histogram.record(duration);
    const HistogramValue value = histogram.value();
    BOOST_TEST(value.count() == 1U);
    return static_cast<std::size_t>(std::find(value.counts.begin(), value.counts.end(), 1U) -
                                    value.counts.begin());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(metrics)

BOOST_AUTO_TEST_CASE(a_bucket_holds_what_is_at_most_its_bound) {
    for (std::size_t i = 0; i < duration_bounds.size(); ++i) {
        const nanoseconds bound(static_cast<std::int64_t>(duration_bounds[i] * 1e9 + 0.5));
        BOOST_TEST(bucket_of(bound - 1ns) == i);
        BOOST_TEST(bucket_of(bound) == i);
        BOOST_TEST(bucket_of(bound + 1ns) == i + 1);
    }
    BOOST_TEST(bucket_of(-1ns) == 0U);
    BOOST_TEST(bucket_of(0ns) == 0U);
    BOOST_TEST(bucket_of(nanoseconds::max()) == duration_bounds.size());
}

BOOST_AUTO_TEST_CASE(any_duration_is_where_a_search_finds_it) {
    std::mt19937_64 random(1);
    for (int i = 0; i < 2000; ++i) {
        const nanoseconds duration(static_cast<std::int64_t>(random() >> (1 + random() % 63)));
        const double seconds = static_cast<double>(duration.count()) / 1e9;
        const auto expected =
            std::lower_bound(duration_bounds.begin(), duration_bounds.end(), seconds) -
            duration_bounds.begin();
        BOOST_REQUIRE(bucket_of(duration) == static_cast<std::size_t>(expected));
    }
}

BOOST_AUTO_TEST_CASE(series_that_come_and_go_are_read_at_each_scrape) {
    Registry registry;
    std::vector<Registry::Sample> samples;
    registry.gauges("things", "Things.", [&] { return samples; });
    BOOST_TEST(registry.text().find("things{") == std::string::npos);
    samples = {{{{"name", "a\"b\\c\nd"}}, 2}, {{}, 3}};
    BOOST_TEST(registry.text() ==
               "# HELP things Things.\n# TYPE things gauge\n"
               "things{name=\"a\\\"b\\\\c\\nd\"} 2\nthings 3\n");
    BOOST_CHECK_THROW(registry.counter("things", "", {}, [] { return 0.0; }), std::logic_error);
}

BOOST_AUTO_TEST_SUITE_END()
