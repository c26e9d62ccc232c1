// What the wire door counts, and the snapshot of it that /metrics shows.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "limit/account.hpp"
#include "metrics/histogram.hpp"
#include "wire/cancel_keys.hpp"
#include "wire/occupancy.hpp"

namespace muster::wire {

// One thread's counts, on cache lines of their own.
struct alignas(64) Counters {
    metrics::Counter connections;  // sessions begun, that is, with a valid startup message
    metrics::Counter refused;      // connections turned away: limit, deadline or malformed startup
    metrics::Counter cancels;      // cancel requests forwarded
    metrics::Counter
        upstream_failures;          // upstream not reached, or lost before it answered the startup
    metrics::Counter queries;       // Query, Execute and FunctionCall messages
    metrics::Counter client_bytes;  // read from clients
    metrics::Counter client_messages;
    metrics::Counter server_bytes;  // read from the upstream
    metrics::Counter server_messages;
    struct Limit {
        metrics::Counter admitted;  // queries charged to this quota
        metrics::Counter delayed;   // sequences that have waited for it
        metrics::Counter refused;   // sequences
        metrics::Counter refused_connections;
    };
    std::array<Limit, limit::Account::kinds> limits;  // by limit::Account::Kind
    metrics::Counter delay;                           // of all delayed, in nanoseconds
};

// What all threads share. Changed once a connection, not once a message.
struct Shared {
    CancelKeys cancel_keys;                // where the upstream is a name
    std::atomic<std::size_t> sockets{0};   // accepted and not yet closed
    std::atomic<std::size_t> startups{0};  // of them those whose client is waited for
    std::atomic<std::size_t> sessions{0};  // past their startup message
    std::atomic<std::size_t> cancels{0};   // cancel requests under way
    Occupancy addresses;                   // sessions by address
    Occupancy users;                       // sessions by user, once logged in
};

// Sums over all threads, taken while they run: exact when the door is quiet.
struct Stats {
    std::uint64_t sockets_now = 0;
    std::uint64_t connections_now = 0;
    std::uint64_t startups_now = 0;
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
    struct Limit {
        std::uint64_t admitted = 0;
        std::uint64_t delayed = 0;
        std::uint64_t refused = 0;
        std::uint64_t refused_connections = 0;
    };
    std::array<Limit, limit::Account::kinds> limits;
    std::uint64_t delay = 0;
};

}  // namespace muster::wire
