// Making what the doors share, and its metrics.
#include "timing/timing.hpp"

#include <utility>

namespace muster::timing {

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
        const SlowLog& log = timing->slow_log();
        registry.counter("slow_queries_total", "Queries that took longer than their threshold.", {},
                         [&log] { return static_cast<double>(log.queries()); });
        registry.counter("slow_queries_suppressed_total",
                         "Slow queries without a line in the slow-query log.", {},
                         [&log] { return static_cast<double>(log.suppressed()); });
    }
    return timing;
}

}  // namespace muster::timing
