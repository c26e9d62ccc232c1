// The decisions: from the lease, by what Redis said last, from the local share.
#include "limit/limiter.hpp"

#include <algorithm>

namespace muster::limit {
Limiter::Limiter(net::io_context& home, const config::Limits& limits, const config::Redis& redis,
                 metrics::Registry& registry, unsigned threads,
                 const config::WireLimits& wire_limits)
    : enabled_(limits.enabled),
      wire_limits_(wire_limits),
      kept_policies_(std::make_shared<const Policies>(limits, wire_limits)),
      policies_(*kept_policies_),
      wire_addresses_(policies_.wire.address() ? std::make_unique<Addresses>() : nullptr),
      leases_(std::make_shared<Leases>(home, redis, kept_policies_)) {
    for (unsigned i = 0; i < threads; ++i) {
        counts_.push_back(std::make_unique<Counts>());
    }
    publish(registry);
}

Limiter::~Limiter() = default;

void Limiter::start() {
    if (enabled_ || policies_.wire.shared()) {
        leases_->start();
    }
}

void Limiter::stop() {
    leases_->stop();
}

std::shared_ptr<Bucket> Limiter::bucket(const std::string& id, std::string_view tier) {
    return buckets_.of(id, policies_.of_tier(tier), nanos(Clock::now()));
}

// Counts a decision; `more` tokens are there besides those that it knows of.
Verdict Limiter::counted(unsigned thread, const Policy& policy, const Decision& decision,
                         std::int64_t more) {
    const std::size_t index = &policy == &policies_.standard  ? 0
                              : &policy == &policies_.premium ? 1
                                                              : 2;
    Counts& counts = *counts_[thread];
    (decision.admitted ? counts.admitted : counts.rejected)[index].add();
    return {&policy, decision.admitted, std::min(decision.remaining + more, policy.quota.burst),
            decision.reset_after, decision.retry_after};
}

std::optional<Verdict> Limiter::from_lease(unsigned thread, const std::shared_ptr<Bucket>& bucket,
                                           std::int64_t cost, Nanos now) {
    const auto left = bucket->lease.take(cost, now);
    if (!left) {
        return std::nullopt;
    }
    const Policy& policy = bucket->policy;
    Decision decision = limit::decide(policy.quota, bucket->arrival.value(), now, 0);
    if (*left <= policy.lease / 2 &&
        decision.remaining >= std::max<std::int64_t>(1, policy.lease / 2) && leases_->shared()) {
        leases_->refill(bucket);
    }
    return counted(thread, policy, decision, *left);
}

// What passes here is charged to the bucket of all, and told Redis with the next lease.
Verdict Limiter::from_share(unsigned thread, Bucket& bucket, std::int64_t cost, Nanos now) {
    const Quota share = share_of(bucket.policy.quota, leases_->proxies(), cost);
    const Decision decision = bucket.arrival.take(share, now, cost);
    if (decision.admitted) {
        bucket.unreported.fetch_add(cost, std::memory_order_relaxed);
        counts_[thread]->unleased.add();
    }
    return counted(thread, bucket.policy, decision);
}

// One lease, which Redis will hear of with the answer that is being waited for: with the one that
// it may grant then, that is what a proxy may hold.
std::optional<Verdict> Limiter::in_advance(unsigned thread, Bucket& bucket, std::int64_t cost,
                                           Nanos now) {
    const Quota share = share_of(bucket.policy.quota, leases_->proxies(), cost);
    if (!limit::decide(share, bucket.arrival.value(), now, cost).admitted) {
        return std::nullopt;
    }
    const std::int64_t most = std::max(bucket.policy.lease, cost);
    std::int64_t known = bucket.unreported.load(std::memory_order_relaxed);
    do {
        if (known + cost > most) {
            return std::nullopt;
        }
    } while (
        !bucket.unreported.compare_exchange_weak(known, known + cost, std::memory_order_relaxed));
    counts_[thread]->unleased.add();
    Decision decision = bucket.arrival.take(share, now, cost);
    decision.admitted = true;
    return counted(thread, bucket.policy, decision);
}

Verdict Limiter::refuse(unsigned thread, const Bucket& bucket, std::int64_t cost,
                        Decision outlook) {
    outlook.admitted = false;
    outlook.remaining = std::min(outlook.remaining, cost - 1);
    return counted(thread, bucket.policy, outlook);
}

std::optional<Verdict> Limiter::decide(unsigned thread, const std::shared_ptr<Bucket>& bucket,
                                       std::int64_t cost) {
    const Nanos now = nanos(Clock::now());
    if (auto verdict = from_lease(thread, bucket, cost, now)) {
        return verdict;
    }
    if (!leases_->shared()) {
        return from_share(thread, *bucket, cost, now);
    }
    // As far as is known there may be tokens only when this says so. Redis is not asked for less
    // than half a lease: a dry bucket would be asked for at every token.
    const Policy& policy = bucket->policy;
    const std::int64_t lack = cost - bucket->lease.held(now);
    const Decision outlook = limit::decide(policy.quota, bucket->arrival.value(), now,
                                           std::max({std::int64_t{1}, policy.lease / 2, lack}));
    if (!outlook.admitted) {
        return refuse(thread, *bucket, cost, outlook);
    }
    constexpr Nanos patience = std::chrono::nanoseconds(Leases::patience).count();
    const bool slow = bucket->asking.load(std::memory_order_relaxed) &&
                      now - bucket->asked_at.load(std::memory_order_relaxed) > patience;
    return slow ? in_advance(thread, *bucket, cost, now) : std::nullopt;
}

Task<Verdict> Limiter::admit(unsigned thread, net::io_context& context,
                             std::shared_ptr<Bucket> bucket, std::int64_t cost) {
    // By then Redis has answered or is known to be away.
    const TimePoint deadline = Clock::now() + 2 * Leases::answer_time;
    while (Clock::now() < deadline) {
        if (auto verdict = decide(thread, bucket, cost)) {
            co_return *verdict;
        }
        counts_[thread]->waited.add();
        const TimePoint now = Clock::now();
        const std::int64_t lack = std::max<std::int64_t>(1, cost - bucket->lease.held(nanos(now)));
        const auto waiter = std::make_shared<Leases::Waiter>(context, lack);
        leases_->ask(bucket, waiter);
        if (co_await waiter->event.wait(now + Leases::patience)) {
            continue;
        }
        if (auto verdict = in_advance(thread, *bucket, cost, nanos(Clock::now()))) {
            waiter->gone.store(true, std::memory_order_relaxed);
            co_return *verdict;
        }
        co_await waiter->event.wait(deadline);
        waiter->gone.store(true, std::memory_order_relaxed);
    }
    const Nanos now = nanos(Clock::now());
    if (auto verdict = from_lease(thread, bucket, cost, now)) {
        co_return *verdict;
    }
    Decision outlook = limit::decide(bucket->policy.quota, bucket->arrival.value(), now, 0);
    outlook.retry_after = bucket->policy.quota.interval;
    co_return refuse(thread, *bucket, cost, outlook);
}

Verdict Limiter::charge(unsigned thread, const net::ip::address& address) {
    const Nanos now = nanos(Clock::now());
    const Quota share = share_of(policies_.address.quota, leases_->proxies());
    return counted(thread, policies_.address, addresses_.of(address, now).take(share, now, 1));
}

void Limiter::forgive(const net::ip::address& address) {
    const Quota share = share_of(policies_.address.quota, leases_->proxies());
    addresses_.of(address, nanos(Clock::now())).give_back(share, 1);
}

void Limiter::publish(metrics::Registry& registry) {
    const std::array<std::string, 3> policies{policies_.standard.name, policies_.premium.name,
                                              policies_.address.name};
    const auto total = [this](auto count) {
        return [this, count] {
            std::uint64_t all = 0;
            for (const auto& counts : counts_) {
                all += count(*counts).value();
            }
            return static_cast<double>(all);
        };
    };
    for (std::size_t i = 0; i < policies.size(); ++i) {
        const metrics::Labels labels{{"tier", policies[i]}};
        registry.counter("muster_limit_admitted_total", "Requests that the rate limits let pass.",
                         labels, total([i](const Counts& c) -> auto& { return c.admitted[i]; }));
        registry.counter("muster_limit_rejected_total",
                         "Requests answered with 429; tier \"address\" has no valid API key.",
                         labels, total([i](const Counts& c) -> auto& { return c.rejected[i]; }));
    }
    registry.counter("muster_limit_unleased_total",
                     "Requests admitted on the local share of their key's quota.", {},
                     total([](const Counts& c) -> auto& { return c.unleased; }));
    registry.counter("muster_limit_waited_total", "Waits of requests for a lease.", {},
                     total([](const Counts& c) -> auto& { return c.waited; }));
    const auto leases = [&](const char* outcome, metrics::Counter Leases::Counters::*counter) {
        registry.counter("muster_limit_leases_total", "Leases asked of Redis.",
                         {{"outcome", outcome}}, [leases = leases_, counter] {
                             return static_cast<double>((leases->counters().*counter).value());
                         });
    };
    leases("granted", &Leases::Counters::granted);
    leases("refused", &Leases::Counters::refused);
    leases("failed", &Leases::Counters::failed);
    registry.counter(
        "muster_limit_leased_tokens_total", "Tokens leased from Redis.", {},
        [leases = leases_] { return static_cast<double>(leases->counters().tokens.value()); });
    registry.gauge("muster_limit_local_share",
                   "1 while Redis does not answer and everybody has a share of the quota only.", {},
                   [this] {
                       const bool sharing = enabled_ || policies_.wire.shared();
                       return sharing && !leases_->shared() ? 1.0 : 0.0;
                   });
    registry.gauge("muster_limit_proxies", "Proxies that share the quotas, as last heard.", {},
                   [leases = leases_] { return static_cast<double>(leases->proxies()); });
    registry.gauge("muster_limit_buckets", "API keys, users and databases that have a bucket.", {},
                   [this] { return static_cast<double>(buckets_.size()); });
    registry.gauge("muster_limit_busy_addresses",
                   "Addresses that have sent requests without a valid API key lately.", {},
                   [this] { return static_cast<double>(addresses_.busy(nanos(Clock::now()))); });
}

}  // namespace muster::limit
