// What the doors share of timing: the table of statements, their normalised texts and which of them
// have labels in the metrics, and the slow-query log.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "config/config.hpp"
#include "metrics/registry.hpp"
#include "runtime/result.hpp"
#include "timing/normalizer.hpp"
#include "timing/slow_log.hpp"
#include "timing/statements.hpp"
#include "timing/top_statements.hpp"

namespace muster::timing {

class Timing {
  public:
    // Opens the slow-query log; the error names it and says why that failed. Written to by
    // `threads` threads; lives as long as they run, and until the last scrape of `registry`.
    static Result<std::unique_ptr<Timing>, std::string> make(const config::Config& config,
                                                             metrics::Registry& registry,
                                                             unsigned threads);

    // Whether anything is to be timed.
    bool enabled() const { return enabled_; }
    Statements& statements() { return statements_; }
    SlowLog& slow_log() { return slow_log_; }
    Normalizer& normalizer() { return normalizer_; }

    // From there on a query without a rule of its own is slow. From any thread.
    std::chrono::nanoseconds slow_query() const {
        return std::chrono::nanoseconds(slow_query_.load(std::memory_order_relaxed));
    }
    void set_slow_query(std::chrono::nanoseconds duration) {
        slow_query_.store(duration.count(), std::memory_order_relaxed);
    }

  private:
    Timing(const config::Timing& config, std::unique_ptr<LineWriter> writer, unsigned threads);
    void publish_metrics(metrics::Registry& registry);

    const bool enabled_;
    std::atomic<std::chrono::nanoseconds::rep> slow_query_;
    Statements statements_;
    SlowLog slow_log_;
    std::mutex top_mutex_;  // of scrapes
    TopStatements top_;
    Normalizer normalizer_;
};

}  // namespace muster::timing
