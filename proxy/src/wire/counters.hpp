// What the wire door counts, and the snapshot of it that /metrics shows.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "config/config.hpp"

namespace muster::wire {

// A count written by one thread and read by any: no locked instruction on the path.
class Counter {
  public:
    void add(std::uint64_t n = 1) {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_{0};
};

// One thread's counts, on cache lines of their own.
struct alignas(64) Counters {
    Counter connections;        // sessions begun, that is, with a valid startup message
    Counter refused;            // connections turned away: limit, deadline or malformed startup
    Counter cancels;            // cancel requests forwarded
    Counter upstream_failures;  // upstream not reached, or lost before it answered the startup
    Counter queries;            // Query, Execute and FunctionCall messages
    Counter client_bytes;       // read from clients
    Counter client_messages;
    Counter server_bytes;  // read from the upstream
    Counter server_messages;
};

// What all threads share. Changed once a connection, not once a message.
struct Shared {
    explicit Shared(const config::Wire& wire) : settings(wire) {}

    const config::Wire settings;
    std::atomic<std::size_t> sockets{0};   // accepted and not yet closed
    std::atomic<std::size_t> sessions{0};  // past their startup message
    std::atomic<std::size_t> cancels{0};   // cancel requests under way
};

// Sums over all threads, taken while they run: exact when the door is quiet.
struct Stats {
    std::uint64_t sockets_now = 0;
    std::uint64_t connections_now = 0;
    std::uint64_t cancels_now = 0;
    std::uint64_t connections = 0;
    std::uint64_t refused = 0;
    std::uint64_t cancels = 0;
    std::uint64_t upstream_failures = 0;
    std::uint64_t queries = 0;
    std::uint64_t client_bytes = 0;
    std::uint64_t client_messages = 0;
    std::uint64_t server_bytes = 0;
    std::uint64_t server_messages = 0;
};

}  // namespace muster::wire
