// The word of a lease.
#include "limit/lease.hpp"

#include <algorithm>

namespace muster::limit {
namespace {

constexpr unsigned token_bits = 24;
constexpr Nanos millisecond = 1'000'000;

std::uint64_t milliseconds(Nanos time) {
    return static_cast<std::uint64_t>(time / millisecond);
}

std::int64_t tokens_of(std::uint64_t word, Nanos now) {
    const bool expired = milliseconds(now) >= word >> token_bits;
    return expired ? 0 : static_cast<std::int64_t>(word & ((1U << token_bits) - 1));
}

}  // namespace

std::optional<std::int64_t> Lease::take(std::int64_t cost, Nanos now) {
    std::uint64_t word = word_.load(std::memory_order_relaxed);
    for (;;) {
        const std::int64_t tokens = tokens_of(word, now);
        if (tokens < cost) {
            return std::nullopt;
        }
        if (word_.compare_exchange_weak(word, word - static_cast<std::uint64_t>(cost),
                                        std::memory_order_relaxed)) {
            return tokens - cost;
        }
    }
}

void Lease::deposit(std::int64_t tokens, Nanos now, Nanos expires) {
    std::uint64_t word = word_.load(std::memory_order_relaxed);
    std::uint64_t next = 0;
    do {
        const std::int64_t all = std::min(tokens_of(word, now) + tokens, most_tokens);
        next = milliseconds(expires) << token_bits | static_cast<std::uint64_t>(all);
    } while (!word_.compare_exchange_weak(word, next, std::memory_order_relaxed));
}

std::int64_t Lease::held(Nanos now) const {
    return tokens_of(word_.load(std::memory_order_relaxed), now);
}

}  // namespace muster::limit
