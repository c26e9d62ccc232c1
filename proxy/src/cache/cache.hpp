// The cache of one process: what its doors share of it, and what it tells of itself.
//
// Depends on redis, breaker, config and metrics. Whom an answer may be given to is its caller's
// business, who asks here only for those who may ask the database.
#pragma once

#include <memory>
#include <vector>

#include "breaker/breaker.hpp"
#include "cache/fence.hpp"
#include "cache/store.hpp"
#include "cache/subscriber.hpp"
#include "config/config.hpp"
#include "metrics/histogram.hpp"
#include "metrics/registry.hpp"

namespace muster::cache {

// What one thread counts of its reads. Each read is one of hit, shared and asked; one that was not
// a hit in L1 counts its reason too.
struct ReadCounters {
    metrics::Counter l1_hits;
    metrics::Counter l2_hits;
    metrics::Counter shared;  // another request's query
    metrics::Counter asked;   // the database
    metrics::Counter not_modified;
    metrics::Counter stale;  // of those asked: an answer past its rule, the database being away

    metrics::Counter absent;        // there was no entry
    metrics::Counter expired;       // past its time to live
    metrics::Counter changed;       // a change that it has not seen
    metrics::Counter floor;         // changes that it may not have seen
    metrics::Counter other_era;     // its transaction ids mean nothing any more
    metrics::Counter no_heartbeat;  // the relay is not heard
    metrics::Counter token;         // it is older than what the client has written

    metrics::Counter l2_errors;
};

class Cache {
  public:
    // Registers its metrics; the registry does not outlive it. `context` is the subscriber's.
    Cache(net::io_context& context, const config::Config& config, metrics::Registry& registry,
          unsigned threads);

    // Listens from now on. Before, and without it, nothing is served.
    void start() { subscriber_.start(); }
    void stop() { subscriber_.stop(); }

    Fence& fence() { return fence_; }
    Store& store() { return store_; }
    const config::Cache& settings() const { return settings_; }
    const config::Redis& redis() const { return redis_; }
    breaker::Breaker& redis_breaker() const { return *redis_breaker_; }
    ReadCounters& counters(unsigned thread) { return *counters_[thread]; }
    // Counted when their effect is there.
    const FeedCounters& feed_counters() const { return subscriber_.counters(); }

  private:
    void publish(metrics::Registry& registry);

    const config::Cache settings_;
    const config::Redis redis_;
    const std::shared_ptr<breaker::Breaker> redis_breaker_;  // of what reads wait for
    Fence fence_;
    Store store_;
    Subscriber subscriber_;
    std::vector<std::shared_ptr<ReadCounters>> counters_;  // one a thread
};

}  // namespace muster::cache
