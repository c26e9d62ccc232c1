// What the relay counts, for metrics: written by the relay's thread, read by any.
#pragma once

#include <atomic>
#include <cstdint>

namespace muster::relay {

struct Stats {
    std::atomic<std::uint64_t> published{0};  // messages that Redis took
    std::atomic<std::uint64_t> ticks{0};      // ticks inserted
    std::atomic<std::uint64_t> resets{0};     // generations begun
    std::atomic<std::uint64_t> resyncs{0};    // times the position was read again from Redis
    std::atomic<std::uint64_t> errors{0};     // failures of PostgreSQL or Redis
    std::atomic<std::uint64_t> lag_us{
        0};  // from seeing the last tick's changes to their publishing
    std::atomic<std::uint64_t> generation{0};
    std::atomic<bool> redis_up{false};
    std::atomic<bool> postgres_up{false};
    std::atomic<bool> leader{false};
};

inline void count(std::atomic<std::uint64_t>& counter, std::uint64_t by = 1) {
    counter.fetch_add(by, std::memory_order_relaxed);
}

template <class T, class V>
void set(std::atomic<T>& value, V to) {
    value.store(static_cast<T>(to), std::memory_order_relaxed);
}

}  // namespace muster::relay
