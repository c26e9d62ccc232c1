// Where a request's time goes, and the telling of it: to the histograms, to the statement's
// figures, to the slow-query log, and to the client that asks for it in the answer's header
// Server-Timing.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "http/exchange.hpp"
#include "metrics/registry.hpp"
#include "postgres/connection.hpp"
#include "timing/query_times.hpp"

namespace muster::http {

// What the times of all requests are kept in. With timing off no clock is read for them.
class TimeKeeper {
  public:
    // `texts` are the routes' statements. `timing` outlives this.
    TimeKeeper(const config::Config& config, metrics::Registry& registry, timing::Timing& timing,
               const std::vector<std::string>& texts, unsigned threads);

    bool enabled() const { return enabled_; }

  private:
    friend class RequestTimes;

    const bool enabled_;
    const bool asked_only_;  // the header is for those who ask for it
    const bool header_;      // there is one at all
    const std::vector<config::Network> trusted_proxies_;
    timing::QueryTimes queries_;
};

// The times of one request. Its queries come one after the other: waiting() for a connection,
// asking() the database, answered().
class RequestTimes {
  public:
    // `thread` is the one that calls. All outlive this.
    RequestTimes(TimeKeeper& keeper, unsigned thread, const Exchange& exchange);

    void waiting() {
        if (wanted_) {
            mark_ = Clock::now();
        }
    }
    void asking();
    // Records the query of this route that has ended. Returns how it did.
    timing::Outcome answered(std::size_t route, const postgres::Outcome<postgres::Rows>& rows);

    // Looking into the cache begins and ends; queries meanwhile are not counted with it.
    void looking() { looking_since_ = wanted_ ? Clock::now() : TimePoint{}; }
    void looked();

    // Whether the answer is to have the header.
    bool wanted() const { return wanted_; }
    // The value of Server-Timing (W3C), in milliseconds, of a request that has taken `total`.
    std::string header(std::chrono::nanoseconds total, const Response& response) const;

  private:
    void log_slow(std::size_t route, timing::Outcome outcome, const timing::Run& run,
                  std::string_view sqlstate) const;

    TimeKeeper& keeper_;
    const unsigned thread_;
    const Exchange& exchange_;
    const bool wanted_;  // Server-Timing
    TimePoint mark_{};
    TimePoint looking_since_{};
    std::optional<std::chrono::nanoseconds> cache_;
    std::optional<std::chrono::nanoseconds> pool_;
    std::chrono::nanoseconds database_{0};
};

// Whether a header Prefer (RFC 7240) has this preference, without a value.
bool prefers(std::string_view header, std::string_view preference);

}  // namespace muster::http
