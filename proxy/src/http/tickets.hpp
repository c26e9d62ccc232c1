// Tickets: what a browser shows instead of an API key where it can set no header.
//
// A ticket is 256 random bits, good for one use within 30 s at any proxy of the same Redis, which
// holds its hash and that of the key that it stands for.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "http/keys.hpp"
#include "redis/dialer.hpp"

namespace muster::http {

class Tickets {
  public:
    static constexpr std::chrono::seconds lifetime{30};

    // `dialer` outlives it; `timeout` is that of one command.
    Tickets(redis::Dialer& dialer, std::chrono::milliseconds timeout)
        : dialer_(dialer), timeout_(timeout) {}

    // A new ticket for the key, or why there is none.
    Task<redis::Outcome<std::string>> issue(Digest key, TimePoint deadline);
    // The key that a ticket stands for, which it does no longer afterwards; nothing if it does not.
    Task<redis::Outcome<std::optional<Digest>>> redeem(std::string ticket, TimePoint deadline);

  private:
    redis::Dialer& dialer_;
    const std::chrono::milliseconds timeout_;
};

}  // namespace muster::http
