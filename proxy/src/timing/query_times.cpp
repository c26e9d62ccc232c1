// Registration of the query histograms and tallies.
#include "timing/query_times.hpp"

#include <utility>

namespace muster::timing {

QueryTimes::QueryTimes(metrics::Registry& registry, Timing& timing, std::vector<Query> queries,
                       unsigned threads)
    : timing_(timing), queries_(std::move(queries)) {
    if (!timing_.enabled()) {
        return;
    }
    for (unsigned thread = 0; thread < threads; ++thread) {
        const auto table = std::make_shared<Table>(queries_.size());
        for (std::size_t i = 0; i < queries_.size(); ++i) {
            const Query& query = queries_[i];
            const StatementKey key{Door::http, hash_of(query.name)};
            (*table)[i].tally = &timing_.statements().tally(thread, key, query.name, query.text);
            (*table)[i].slow = query.slow;
            // Known already after a reload, perhaps with another text.
            timing_.statements().describe(key, query.name, query.text);
        }
        tables_.push_back(table);
    }
    for (std::size_t query = 0; query < queries_.size(); ++query) {
        for (const Outcome outcome : {Outcome::success, Outcome::error, Outcome::timeout}) {
            registry.histogram(
                "database_query_duration_seconds", "Time from sending a query to ReadyForQuery.",
                {{"query_name", queries_[query].name}, {"status", std::string(name_of(outcome))}},
                [tables = tables_, query, outcome] {
                    metrics::HistogramValue all;
                    for (const auto& table : tables) {
                        const Cell& cell = (*table)[query];
                        all += cell.by_outcome[static_cast<std::size_t>(outcome)].value();
                    }
                    return all;
                });
        }
    }
}

void QueryTimes::log_slow(std::size_t query, Outcome outcome, const Run& run,
                          SlowQuery slow) const {
    slow.name = queries_[query].name;
    slow.text = queries_[query].text;
    slow.status = name_of(outcome);
    slow.run = run;
    timing_.slow_log().write(slow);
}

}  // namespace muster::timing
