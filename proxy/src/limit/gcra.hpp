// The generic cell rate algorithm (ITU-T I.371, in its "virtual scheduling" form): a leaky bucket
// whose whole state is one time, the theoretical arrival time (TAT) of the next token if tokens
// came at exactly the sustained rate.
//
// A TAT that has passed means a full bucket, so that a bucket nobody uses needs no memory. These
// are pure functions of integers; whose bucket it is and where the TAT is kept is for others.
#pragma once

#include <cstdint>
#include <limits>

namespace muster::limit {

using Nanos = std::int64_t;  // nanoseconds; a time is one of std::chrono::steady_clock

// How long one waits for what will never be.
inline constexpr Nanos never = std::numeric_limits<Nanos>::max();

struct Quota {
    Nanos interval = 1;      // between two tokens at the sustained rate; at least 1
    std::int64_t burst = 1;  // tokens that may pass at once; at least 1
};

// `rate` tokens a second, from 1 to 1,000,000. What does not divide a second is rounded so that
// less passes, not more.
Quota quota_of(std::int64_t rate, std::int64_t burst);

// What one of `members` gets who share a quota without talking: the rate and the burst divided by
// their number. `cost` is the largest cost that a full bucket has to admit; it is paid for at the
// member's rate all the same.
Quota share_of(const Quota& quota, std::int64_t members, std::int64_t cost = 1);

struct Decision {
    bool admitted = false;
    Nanos arrival = 0;           // the TAT from now on; unchanged if refused
    Nanos retry_after = 0;       // until `cost` tokens will be there; 0 if admitted
    Nanos reset_after = 0;       // until the bucket is full
    std::int64_t remaining = 0;  // tokens that are there after this, from 0 to burst
};

// Takes `cost` tokens if there are so many. A cost of 0 takes nothing and shows the state; a cost
// above the burst is refused for ever. Any values are allowed: what overflows is the largest value.
Decision decide(const Quota& quota, Nanos arrival, Nanos now, std::int64_t cost);

// Takes `cost` tokens whether they are there or not, for what cannot be refused. While there is a
// debt, `admitted` is false and `retry_after` says when it will have been paid.
Decision charge(const Quota& quota, Nanos arrival, Nanos now, std::int64_t cost);

}  // namespace muster::limit
