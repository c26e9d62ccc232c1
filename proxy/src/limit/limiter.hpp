// Who may pass: the rate limits of API keys, and of addresses that have none.
//
// A key's quota is that of all proxies together. Each holds a small lease of it, so that a request
// costs one atomic operation and no round trip. In any window of t seconds at most
// burst + rate * t + proxies * 2n tokens are used, n being the lease (policy.hpp) or the cost of
// the dearest request. Without Redis each proxy gives what the last known number of proxies leaves
// to it; of a Redis that is slow it takes no more than one lease in advance. Addresses always get
// that share: who has no key makes no traffic to Redis, and no entry in it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "limit/addresses.hpp"
#include "limit/buckets.hpp"
#include "limit/leases.hpp"
#include "limit/policy.hpp"
#include "metrics/registry.hpp"

namespace muster::limit {

// What was decided of a request, and what its sender is told.
struct Verdict {
    const Policy* policy = nullptr;
    bool admitted = false;
    std::int64_t remaining = 0;  // tokens, about
    Nanos reset_after = 0;       // until the whole burst is there again, about
    Nanos retry_after = 0;       // if refused
};

// All of it may be used by any thread; where a thread is asked for, it is the caller's number.
class Limiter {
  public:
    // `home` is the thread that talks to Redis.
    Limiter(net::io_context& home, const config::Limits& limits, const config::Redis& redis,
            metrics::Registry& registry, unsigned threads,
            const config::WireLimits& wire_limits = {});
    ~Limiter();
    Limiter(const Limiter&) = delete;
    Limiter& operator=(const Limiter&) = delete;

    void start();
    void stop();

    // False: no request of the HTTP door is limited, and nothing of this needs to be asked.
    bool enabled() const { return enabled_; }

    // The bucket of a key that exists, to be kept with what is known of it.
    std::shared_ptr<Bucket> bucket(const std::string& id, std::string_view tier);

    // Decides on a request of `cost` tokens, from 1 to the burst, if that needs no waiting.
    std::optional<Verdict> decide(unsigned thread, const std::shared_ptr<Bucket>& bucket,
                                  std::int64_t cost);
    // Decides, after waiting for Redis a few milliseconds where need be. On the thread of
    // `context`.
    Task<Verdict> admit(unsigned thread, net::io_context& context, std::shared_ptr<Bucket> bucket,
                        std::int64_t cost);

    // Charges the address of a request that has no valid key, or none that is known yet.
    Verdict charge(unsigned thread, const net::ip::address& address);
    // Takes that back: the key was valid.
    void forgive(const net::ip::address& address);

    // Of the wire door's clients, who pay from an Account (account.hpp).
    const config::WireLimits& wire_limits() const { return wire_limits_; }

    bool shared() const { return leases_->shared(); }
    std::int64_t proxies() const { return leases_->proxies(); }
    std::size_t buckets() const { return buckets_.size(); }

  private:
    friend class Account;

    // One thread's counts, on cache lines of their own. By policy: standard, premium, address.
    struct alignas(64) Counts {
        std::array<metrics::Counter, 3> admitted;
        std::array<metrics::Counter, 3> rejected;
        metrics::Counter unleased;  // admitted on the local share of a key's quota
        metrics::Counter waited;    // requests that waited for Redis
    };

    Verdict counted(unsigned thread, const Policy& policy, const Decision& decision,
                    std::int64_t more = 0);
    std::optional<Verdict> from_lease(unsigned thread, const std::shared_ptr<Bucket>& bucket,
                                      std::int64_t cost, Nanos now);
    Verdict from_share(unsigned thread, Bucket& bucket, std::int64_t cost, Nanos now);
    std::optional<Verdict> in_advance(unsigned thread, Bucket& bucket, std::int64_t cost,
                                      Nanos now);
    Verdict refuse(unsigned thread, const Bucket& bucket, std::int64_t cost, Decision outlook);
    void publish(metrics::Registry& registry);

    const bool enabled_;
    const config::WireLimits wire_limits_;
    const std::shared_ptr<const Policies> kept_policies_;  // by the buckets' conversations too
    const Policies& policies_;
    std::vector<std::unique_ptr<Counts>> counts_;  // one a thread
    Buckets buckets_;
    Addresses addresses_;
    const std::unique_ptr<Addresses> wire_addresses_;  // if they are limited
    const std::shared_ptr<Leases> leases_;
};

}  // namespace muster::limit
