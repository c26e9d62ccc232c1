// The generic cell rate algorithm.
#include "limit/gcra.hpp"

#include <algorithm>

namespace muster::limit {
namespace {

constexpr Nanos second = 1'000'000'000;

Nanos sum(Nanos a, Nanos b) {
    Nanos result = 0;
    if (!__builtin_add_overflow(a, b, &result)) {
        return result;
    }
    return a < 0 ? std::numeric_limits<Nanos>::min() : std::numeric_limits<Nanos>::max();
}

Nanos difference(Nanos a, Nanos b) {
    Nanos result = 0;
    if (!__builtin_sub_overflow(a, b, &result)) {
        return result;
    }
    return a < 0 ? std::numeric_limits<Nanos>::min() : std::numeric_limits<Nanos>::max();
}

// Of two numbers that are not negative.
Nanos product(Nanos a, Nanos b) {
    Nanos result = 0;
    return __builtin_mul_overflow(a, b, &result) ? std::numeric_limits<Nanos>::max() : result;
}

// The state after `taken` (a time: tokens by their interval) was added to the bucket's backlog.
Decision after(const Quota& quota, Nanos arrival, Nanos now, Nanos taken) {
    Decision decision;
    decision.arrival = taken == 0 ? arrival : sum(std::max(arrival, now), taken);
    decision.reset_after = std::max<Nanos>(0, difference(decision.arrival, now));
    const Nanos room = difference(product(quota.interval, quota.burst), decision.reset_after);
    decision.remaining = std::clamp<std::int64_t>(room / quota.interval, 0, quota.burst);
    return decision;
}

}  // namespace

Quota quota_of(std::int64_t rate, std::int64_t burst) {
    return {(second + rate - 1) / rate, burst};
}

Quota share_of(const Quota& quota, std::int64_t members, std::int64_t cost) {
    return {product(quota.interval, members),
            std::max({std::int64_t{1}, quota.burst / members, cost})};
}

Decision decide(const Quota& quota, Nanos arrival, Nanos now, std::int64_t cost) {
    const Nanos backlog = std::max<Nanos>(0, difference(arrival, now));
    const Nanos room = difference(product(quota.interval, quota.burst), backlog);
    const Nanos taken = product(quota.interval, cost);
    if (cost <= quota.burst && (cost == 0 || taken <= room)) {
        Decision decision = after(quota, arrival, now, taken);
        decision.admitted = true;
        return decision;
    }
    Decision decision = after(quota, arrival, now, 0);
    decision.retry_after = cost > quota.burst ? never : difference(taken, room);
    return decision;
}

Decision charge(const Quota& quota, Nanos arrival, Nanos now, std::int64_t cost) {
    Decision decision = after(quota, arrival, now, product(quota.interval, cost));
    decision.retry_after =
        std::max<Nanos>(0, difference(decision.reset_after, product(quota.interval, quota.burst)));
    decision.admitted = decision.retry_after == 0;
    return decision;
}

}  // namespace muster::limit
