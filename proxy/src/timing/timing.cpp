// Making what the doors share, and its metrics.
#include "timing/timing.hpp"

#include <utility>

namespace muster::timing {
namespace {

constexpr std::size_t statements_of_routes = 1000;
// Of the wire door's: what a StatementTable holds, and the classes.
constexpr std::size_t statements_of_a_thread = 1010;

}  // namespace

Result<std::unique_ptr<Timing>, std::string> Timing::make(const config::Config& config,
                                                          metrics::Registry& registry,
                                                          unsigned threads) {
    std::unique_ptr<LineWriter> writer;
    if (config.timing.enabled && config.log.slow_query != "off") {
        auto opened = LineWriter::open(config.log.slow_query);
        if (!opened) {
            return "log.slow_query: " + opened.error();
        }
        writer = std::move(opened).value();
    }
    std::unique_ptr<Timing> timing(new Timing(config.timing, std::move(writer), threads));
    if (timing->enabled()) {
        timing->publish_metrics(registry);
    }
    return timing;
}

Timing::Timing(const config::Timing& config, std::unique_ptr<LineWriter> writer, unsigned threads)
    : enabled_(config.enabled),
      slow_query_(std::chrono::nanoseconds(config.slow_query).count()),
      statements_(threads, statements_of_routes + statements_of_a_thread * threads),
      slow_log_(std::move(writer), config.slow_lines),
      top_(config.top_statements),
      normalizer_(statements_) {}

void Timing::publish_metrics(metrics::Registry& registry) {
    registry.counter("slow_queries_total", "Queries that took longer than their threshold.", {},
                     [this] { return static_cast<double>(slow_log_.queries()); });
    registry.counter("slow_queries_suppressed_total",
                     "Slow queries without a line in the slow-query log.", {},
                     [this] { return static_cast<double>(slow_log_.suppressed()); });
    registry.histograms(
        "database_query_duration_seconds", "Time from sending a query to ReadyForQuery.", [this] {
            const std::lock_guard lock(top_mutex_);
            std::vector<metrics::Registry::HistogramSample> samples;
            for (TopStatements::Series& one : top_.read(statements_.observed(Door::wire))) {
                samples.push_back({{{"query_name", std::move(one.name)},
                                    {"status", std::string(name_of(one.outcome))}},
                                   one.value});
            }
            return samples;
        });
}

}  // namespace muster::timing
