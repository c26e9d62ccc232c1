// How long the queries of named routes take, told to everybody who wants to know: a histogram per
// query name, outcome and thread for Prometheus, the statement's tally, and the slow-query log.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/histogram.hpp"
#include "metrics/registry.hpp"
#include "timing/timing.hpp"

namespace muster::timing {

class QueryTimes {
  public:
    struct Query {
        std::string name;
        std::string text;                  // normalised
        std::chrono::nanoseconds slow{0};  // from there on a run is slow
    };

    // Registers database_query_duration_seconds{query_name,status} for `queries`, which are
    // numbered from 0, unless timing is off: nothing is to be recorded then. `timing` outlives
    // this.
    QueryTimes(metrics::Registry& registry, Timing& timing, std::vector<Query> queries,
               unsigned threads);

    // To be called by the thread of this number only. Returns whether the run was slow.
    bool record(unsigned thread, std::size_t query, Outcome outcome, const Run& run) {
        Cell& cell = (*tables_[thread])[query];
        cell.by_outcome[static_cast<std::size_t>(outcome)].record(run.duration);
        cell.tally->record(run);
        return run.duration >= cell.slow;
    }

    // Writes a slow run's line; `slow` gives what is not known here: client, request_id, sqlstate.
    void log_slow(std::size_t query, Outcome outcome, const Run& run, SlowQuery slow) const;

  private:
    struct Cell {
        std::array<metrics::Histogram, 3> by_outcome;
        Tally* tally = nullptr;
        std::chrono::nanoseconds slow{0};
    };
    using Table = std::vector<Cell>;

    Timing& timing_;
    std::vector<Query> queries_;
    std::vector<std::shared_ptr<Table>> tables_;  // one a thread
};

}  // namespace muster::timing
