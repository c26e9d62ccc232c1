#include "wire/metrics.hpp"

#include <string>

namespace muster::wire {

void publish_metrics(metrics::Registry& registry, const Server& server) {
    const auto read = [&server](std::uint64_t Stats::*field) {
        return [&server, field] { return static_cast<double>(server.stats().*field); };
    };
    const auto gauge = [&](const char* name, const char* help, std::uint64_t Stats::*field) {
        registry.gauge(std::string("wire_") + name, help, {}, read(field));
    };
    const auto counter = [&](const char* name, const char* help, std::uint64_t Stats::*field,
                             metrics::Labels labels = {}) {
        registry.counter(std::string("wire_") + name, help, std::move(labels), read(field));
    };

    gauge("connections", "Sessions that are open", &Stats::connections_now);
    gauge("sockets", "Client sockets that are open, also without a startup message yet",
          &Stats::sockets_now);
    gauge("startups", "Clients that are waited for before they have logged in",
          &Stats::startups_now);
    gauge("cancels_in_flight", "Cancel requests being forwarded", &Stats::cancels_now);
    counter("connections_total", "Sessions begun", &Stats::connections);
    counter("refused_total", "Connections turned away: limit, deadline or malformed startup",
            &Stats::refused);
    counter("cancels_total", "Cancel requests forwarded", &Stats::cancels);
    counter("upstream_failures_total",
            "Sessions whose upstream was not reached, or lost before it answered",
            &Stats::upstream_failures);
    counter("queries_total", "Queries begun: Query, Execute and FunctionCall messages",
            &Stats::queries);
    counter("bytes_total", "Bytes read", &Stats::client_bytes, {{"from", "client"}});
    counter("bytes_total", "Bytes read", &Stats::server_bytes, {{"from", "server"}});
    counter("messages_total", "Protocol messages read", &Stats::client_messages,
            {{"from", "client"}});
    counter("messages_total", "Protocol messages read", &Stats::server_messages,
            {{"from", "server"}});

    constexpr const char* kinds[] = {"address", "user", "database"};
    const auto limit = [&](const char* name, const char* help, std::uint64_t Stats::Limit::*field) {
        for (std::size_t kind = 0; kind < std::size(kinds); ++kind) {
            registry.counter(std::string("wire_limit_") + name, help, {{"by", kinds[kind]}},
                             [&server, kind, field] {
                                 return static_cast<double>(server.stats().limits[kind].*field);
                             });
        }
    };
    limit("admitted_total", "Queries charged to the quotas", &Stats::Limit::admitted);
    limit("delayed_total", "Queries, or extended sequences, that have waited for a quota",
          &Stats::Limit::delayed);
    limit("refused_total", "Queries, or extended sequences, answered with ERROR 53400",
          &Stats::Limit::refused);
    limit("refused_connections_total", "Connections answered with FATAL 53300 by these limits",
          &Stats::Limit::refused_connections);
    registry.counter("wire_limit_delay_seconds_total", "How long the delayed have waited", {},
                     [&server] { return static_cast<double>(server.stats().delay) / 1e9; });
}

}  // namespace muster::wire
