#include "relay/metrics.hpp"

#include <string>

namespace muster::relay {

void publish_metrics(metrics::Registry& registry, const Relay& relay) {
    const Stats& stats = relay.stats();
    const auto gauge = [&](const char* name, const char* help, const auto& field, double unit = 1) {
        registry.gauge(std::string("relay_") + name, help, {}, [&field, unit] {
            return static_cast<double>(field.load(std::memory_order_relaxed)) * unit;
        });
    };
    const auto counter = [&](const char* name, const char* help,
                             const std::atomic<std::uint64_t>& field) {
        registry.counter(std::string("relay_") + name, help, {}, [&field] {
            return static_cast<double>(field.load(std::memory_order_relaxed));
        });
    };

    gauge("leader", "Whether this process carries the events: one of all does", stats.leader);
    gauge("postgres_up", "Whether the session to PostgreSQL is there", stats.postgres_up);
    gauge("redis_up", "Whether Redis is reached, and takes what is published", stats.redis_up);
    gauge("woken", "Whether commits wake the relay; it polls otherwise", stats.wakes);
    gauge("generation", "Number of the history of ticks that is published", stats.generation);
    gauge("last_tick", "Last tick published to its end", stats.last_tick);
    gauge("backlog_rows", "Committed changes that are not published", stats.backlog_rows);
    gauge("backlog_age_seconds", "Age of the oldest of them", stats.backlog_age_us, 1e-6);
    counter("published_total", "Messages that Redis took", stats.published);
    counter("ticks_total", "Ticks made", stats.ticks);
    counter("refused_total", "Chunks that Redis refused, its stream not ending as expected",
            stats.refused);
    counter("resets_total", "Generations begun", stats.resets);
    counter("resyncs_total", "Times the position was read from Redis again", stats.resyncs);
    counter("errors_total", "Failures of PostgreSQL or Redis", stats.errors);
    counter("rotations_total", "Times the outbox went on to its next table", stats.rotations);
    counter("dropped_total", "Changes dropped unpublished, the outbox being at its bounds",
            stats.dropped);
    counter("notifications_total", "Notifications sent to LISTENers", stats.notified);
    registry.histogram("relay_lag_seconds", "From looking for changes to their being published", {},
                       [&stats] { return stats.lag.value(); });
}

}  // namespace muster::relay
