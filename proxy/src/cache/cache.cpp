// The series of the cache.
#include "cache/cache.hpp"

#include "breaker/circuit.hpp"

namespace muster::cache {
namespace {

using Counters = std::vector<std::shared_ptr<ReadCounters>>;

double total(const Counters& threads, metrics::Counter ReadCounters::*which) {
    std::uint64_t all = 0;
    for (const auto& thread : threads) {
        all += (thread.get()->*which).value();
    }
    return static_cast<double>(all);
}

double l1_ratio(const Counters& threads) {
    const double hits = total(threads, &ReadCounters::l1_hits);
    const double all = hits + total(threads, &ReadCounters::l2_hits) +
                       total(threads, &ReadCounters::shared) + total(threads, &ReadCounters::asked);
    return all == 0 ? 0 : hits / all;
}

}  // namespace

Cache::Cache(net::io_context& context, const config::Config& config, metrics::Registry& registry,
             unsigned threads)
    : settings_(config.cache),
      redis_(config.redis),
      redis_breaker_(breaker::make_circuit(config.breaker, registry, "redis")),
      store_(config.cache.l1_bytes),
      subscriber_(context, config.redis, config.relay, fence_, store_) {
    for (unsigned i = 0; i < threads; ++i) {
        counters_.push_back(std::make_shared<ReadCounters>());
    }
    publish(registry);
}

void Cache::publish(metrics::Registry& registry) {
    const auto reads = [&](const char* name, const char* help, const char* label, const char* value,
                           metrics::Counter ReadCounters::*which) {
        registry.counter(name, help, {{label, value}},
                         [all = counters_, which] { return total(all, which); });
    };
    const char* name = "cache_reads_total";
    const char* help = "Reads of cached routes, by what answered them.";
    reads(name, help, "answered_by", "l1", &ReadCounters::l1_hits);
    reads(name, help, "answered_by", "l2", &ReadCounters::l2_hits);
    reads(name, help, "answered_by", "shared", &ReadCounters::shared);
    reads(name, help, "answered_by", "database", &ReadCounters::asked);
    name = "cache_not_served_total";
    help = "Reads that L1 did not answer, by the reason.";
    reads(name, help, "reason", "absent", &ReadCounters::absent);
    reads(name, help, "reason", "ttl", &ReadCounters::expired);
    reads(name, help, "reason", "changed", &ReadCounters::changed);
    reads(name, help, "reason", "floor", &ReadCounters::floor);
    reads(name, help, "reason", "epoch", &ReadCounters::other_era);
    reads(name, help, "reason", "heartbeat", &ReadCounters::no_heartbeat);
    reads(name, help, "reason", "token", &ReadCounters::token);
    registry.counter("cache_not_modified_total", "Reads answered with 304.", {},
                     [all = counters_] { return total(all, &ReadCounters::not_modified); });
    registry.counter("cache_stale_total", "Reads answered past the rule, the database being away.",
                     {}, [all = counters_] { return total(all, &ReadCounters::stale); });
    registry.counter("cache_l2_errors_total", "Errors of Redis, or its silence, in L2.", {},
                     [all = counters_] { return total(all, &ReadCounters::l2_errors); });
    registry.gauge("cache_hit_ratio", "Share of reads of cached routes that L1 answered.",
                   {{"level", "l1"}}, [all = counters_] { return l1_ratio(all); });

    registry.gauge("cache_bytes", "Memory of L1.", {},
                   [this] { return static_cast<double>(store_.bytes()); });
    registry.gauge("cache_entries", "Entries in L1.", {},
                   [this] { return static_cast<double>(store_.entries()); });
    registry.counter("cache_evictions_total", "Entries that left L1 for want of room.", {},
                     [this] { return static_cast<double>(store_.evictions()); });
    registry.gauge("cache_fence_tags", "Tags of which changes are known one by one.", {},
                   [this] { return static_cast<double>(fence_.tags_known()); });
    registry.gauge("cache_fence_alive", "Whether the relay's heartbeats come.", {},
                   [this] { return fence_.alive(Clock::now()) ? 1.0 : 0.0; });

    const auto feed = [&](const char* series, const char* text,
                          metrics::Counter FeedCounters::*which) {
        registry.counter(series, text, {}, [this, which] {
            return static_cast<double>((subscriber_.counters().*which).value());
        });
    };
    feed("cache_changes_total", "Changes heard of from the relay.", &FeedCounters::changes);
    feed("cache_heartbeats_total", "Heartbeats of the relay.", &FeedCounters::heartbeats);
    feed("cache_gaps_total", "Times that messages of the relay were missed.", &FeedCounters::gaps);
    feed("cache_malformed_total", "Messages that could not be read.", &FeedCounters::malformed);
}

}  // namespace muster::cache
