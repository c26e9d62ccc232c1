// What the doors share of timing: the table of statements and the slow-query log.
#pragma once

#include <memory>
#include <string>

#include "config/config.hpp"
#include "metrics/registry.hpp"
#include "runtime/result.hpp"
#include "timing/slow_log.hpp"
#include "timing/statements.hpp"

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

  private:
    Timing(const config::Timing& config, std::unique_ptr<LineWriter> writer, unsigned threads)
        : enabled_(config.enabled),
          statements_(threads),
          slow_log_(std::move(writer), config.slow_lines) {}

    const bool enabled_;
    Statements statements_;
    SlowLog slow_log_;
};

}  // namespace muster::timing
