// Counters and histograms that one thread writes and a scrape reads.
//
// There is exactly one writer to each, so that counting is a plain load, add and store: no locked
// instruction and no line of memory shared between busy threads.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

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
    void record(std::chrono::nanoseconds duration);
    HistogramValue value() const;

  private:
    std::array<Counter, duration_bounds.size() + 1> counts_;
    Counter nanoseconds_;
};

}  // namespace muster::metrics
