// Tokens that this process holds of a quota it shares with others, until they expire.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "limit/gcra.hpp"

namespace muster::limit {

// Number and expiry in one atomic word, so that threads take tokens without waiting for each other.
class Lease {
  public:
    static constexpr std::int64_t most_tokens = (1 << 24) - 1;

    // Takes `cost` tokens; returns how many are left, or nothing if there are not so many.
    std::optional<std::int64_t> take(std::int64_t cost, Nanos now);
    // Undoes a take().
    void give_back(std::int64_t cost) {
        word_.fetch_add(static_cast<std::uint64_t>(cost), std::memory_order_relaxed);
    }
    // Adds tokens; with them all that is held expires at `expires`, to the millisecond.
    void deposit(std::int64_t tokens, Nanos now, Nanos expires);
    std::int64_t held(Nanos now) const;

  private:
    std::atomic<std::uint64_t> word_{0};  // 40 bits of milliseconds, 24 bits of tokens
};

}  // namespace muster::limit
