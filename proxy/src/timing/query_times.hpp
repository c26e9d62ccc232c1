// How long the queries of named routes take: one histogram per query name, outcome and thread.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "metrics/histogram.hpp"
#include "metrics/registry.hpp"

namespace muster::timing {

// How a query ended, as far as its duration is concerned.
enum class Outcome { success, error, timeout };

class QueryTimes {
  public:
    // Registers database_query_duration_seconds{query_name,status} for `names`, which number the
    // queries from 0. Written to by `threads` threads.
    QueryTimes(metrics::Registry& registry, const std::vector<std::string>& names,
               unsigned threads);

    // To be called by the thread of this number only.
    void record(unsigned thread, std::size_t query, Outcome outcome,
                std::chrono::nanoseconds duration) {
        tables_[thread]->at(query)[static_cast<std::size_t>(outcome)].record(duration);
    }

  private:
    using ByOutcome = std::array<metrics::Histogram, 3>;
    using Table = std::vector<ByOutcome>;

    std::vector<std::shared_ptr<Table>> tables_;  // one a thread
};

}  // namespace muster::timing
