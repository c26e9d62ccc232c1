// How long something took, over many times: a histogram that is fine enough for percentiles.
//
// Buckets are log-linear, as HdrHistogram's: each power of two of the value is divided into 16 of
// equal width. A percentile is told as the middle of its bucket, so that it is off by at most 1/32
// (3.1 %) of the true one, or by half a unit where that is more, below 16 units. A unit is 1.024
// us; what is above 73 minutes counts as that. The maximum is exact.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "metrics/histogram.hpp"

namespace muster::timing {

namespace buckets {

inline constexpr unsigned unit_bits = 10;  // a unit is 2^10 ns
inline constexpr unsigned fine_bits = 4;   // 2^4 buckets to a power of two
inline constexpr unsigned most_bits = 32;  // of a value, in units
inline constexpr std::size_t count = (most_bits - fine_bits + 1) << fine_bits;

// The bucket of a duration; that of 0 for a negative one.
constexpr std::size_t index(std::chrono::nanoseconds duration) {
    const auto nanoseconds =
        static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0));
    const std::uint64_t units =
        std::min(nanoseconds >> unit_bits, (std::uint64_t{1} << most_bits) - 1);
    const auto bits = static_cast<unsigned>(std::bit_width(units));
    if (bits <= fine_bits) {
        return units;
    }
    const unsigned shift = bits - fine_bits - 1;
    return (std::uint64_t{shift} << fine_bits) + (units >> shift);
}

// The duration in the middle of a bucket.
constexpr std::chrono::nanoseconds middle(std::size_t index) {
    const std::size_t row = index >> fine_bits;
    const std::size_t shift = row > 1 ? row - 1 : 0;
    const std::uint64_t low = (index - (shift << fine_bits)) << shift;
    const std::uint64_t width = std::uint64_t{1} << shift;
    return std::chrono::nanoseconds(((2 * low + width) << unit_bits) / 2);
}

}  // namespace buckets

// What Latencies held when they were read, of one thread or of several together.
struct LatencyCounts {
    std::array<std::uint64_t, buckets::count> counts{};
    std::uint64_t total = 0;  // of counts
    std::chrono::nanoseconds sum{0};
    std::chrono::nanoseconds max{0};

    LatencyCounts& operator+=(const LatencyCounts& other);

    // The duration that the share `q`, from 0 to 1, of all did not exceed (the nearest rank);
    // nothing has a percentile of 0. Never above the maximum.
    std::chrono::nanoseconds quantile(double q) const;
};

// One writer; read from any thread.
class Latencies {
  public:
    void record(std::chrono::nanoseconds duration) {
        counts_[buckets::index(duration)].add();
        sum_.add(static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0)));
        if (duration.count() > max_.value()) {
            max_.set(duration.count());
        }
    }
    // By the writer.
    void clear();
    // Adds what `other` holds. By the writer, while `other` is not written to.
    void absorb(const Latencies& other);

    LatencyCounts read() const;

  private:
    std::array<metrics::Counter, buckets::count> counts_;
    metrics::Counter sum_;  // nanoseconds
    metrics::Gauge max_;    // likewise
};

}  // namespace muster::timing
