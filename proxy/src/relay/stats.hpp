// What the relay counts, for metrics: written by the relay's thread, read by any.
#pragma once

#include <atomic>
#include <cstdint>

#include "metrics/histogram.hpp"

namespace muster::relay {

struct Stats {
    std::atomic<std::uint64_t> published{0};  // messages that Redis took
    std::atomic<std::uint64_t> ticks{0};      // ticks made
    std::atomic<std::uint64_t> resets{0};     // generations begun
    std::atomic<std::uint64_t> refused{0};    // chunks refused, the stream not ending as expected
    std::atomic<std::uint64_t> resyncs{0};    // times the position was read again from Redis
    std::atomic<std::uint64_t> errors{0};     // failures of PostgreSQL or Redis
    std::atomic<std::uint64_t> rotations{0};  // tables begun
    std::atomic<std::uint64_t> dropped{0};    // changes dropped unpublished
    std::atomic<std::uint64_t> notified{0};   // notifications sent
    std::atomic<std::uint64_t> generation{0};
    std::atomic<std::uint64_t> last_tick{0};  // published to its end
    std::atomic<std::uint64_t> backlog_rows{0};
    std::atomic<std::uint64_t> backlog_age_us{0};
    std::atomic<bool> redis_up{false};
    std::atomic<bool> postgres_up{false};
    std::atomic<bool> leader{false};
    std::atomic<bool> wakes{false};  // commits wake it; it polls otherwise
    metrics::Histogram lag;          // from looking for changes to their being published
};

inline void count(std::atomic<std::uint64_t>& counter, std::uint64_t by = 1) {
    counter.fetch_add(by, std::memory_order_relaxed);
}

template <class T, class V>
void set(std::atomic<T>& value, V to) {
    value.store(static_cast<T>(to), std::memory_order_relaxed);
}

}  // namespace muster::relay
