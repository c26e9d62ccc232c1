// Counters and histograms that one thread writes and a scrape reads.
//
// There is exactly one writer to each, so that counting is a plain load, add and store: no locked
// instruction and no line of memory shared between busy threads.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace muster::metrics {

// A number that only grows, until it is set. One writer.
class Counter {
  public:
    void add(std::uint64_t n = 1) {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
    std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_{0};
};

// A number that goes up and down. One writer.
class Gauge {
  public:
    void add(std::int64_t n) {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    void set(std::int64_t n) { value_.store(n, std::memory_order_relaxed); }
    std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::int64_t> value_{0};
};

// Upper bounds of the buckets of every duration, in seconds; the last bucket is without bound.
inline constexpr std::array<double, 15> duration_bounds{
    0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

namespace detail {

// The bounds in nanoseconds, and one that nothing is above.
inline constexpr auto bounds = [] {
    std::array<std::int64_t, duration_bounds.size() + 1> all{};
    for (std::size_t i = 0; i < duration_bounds.size(); ++i) {
        all[i] = static_cast<std::int64_t>(duration_bounds[i] * 1e9 + 0.5);
    }
    all.back() = std::numeric_limits<std::int64_t>::max();
    return all;
}();

// By the number of bits of a duration: the first bucket that it may belong to.
inline constexpr auto first_buckets = [] {
    std::array<std::uint8_t, 65> all{};
    for (unsigned bits = 1; bits < all.size(); ++bits) {
        const auto least = std::int64_t(std::uint64_t{1} << (std::min(bits, 63U) - 1));
        while (bounds[all[bits]] < least) {
            ++all[bits];
        }
    }
    return all;
}();

}  // namespace detail

// What a histogram held when it was read.
struct HistogramValue {
    std::array<std::uint64_t, duration_bounds.size() + 1> counts{};  // not cumulative
    double sum = 0;                                                  // seconds

    HistogramValue& operator+=(const HistogramValue& other);
    std::uint64_t count() const;
};

// Durations by bucket. One writer.
class Histogram {
  public:
    void record(std::chrono::nanoseconds duration) {
        const auto nanoseconds = std::max<std::int64_t>(duration.count(), 0);
        // A bucket holds what is at most its bound.
        std::size_t bucket = detail::first_buckets[static_cast<std::size_t>(
            std::bit_width(static_cast<std::uint64_t>(nanoseconds)))];
        while (nanoseconds > detail::bounds[bucket]) {
            ++bucket;
        }
        counts_[bucket].add();
        nanoseconds_.add(static_cast<std::uint64_t>(nanoseconds));
    }
    HistogramValue value() const;
    // Adds what `other` holds. By the writer, while `other` is not written to.
    void absorb(const Histogram& other);

  private:
    std::array<Counter, duration_bounds.size() + 1> counts_;
    Counter nanoseconds_;
};

}  // namespace muster::metrics
