// Registration of the query histograms.
#include "timing/query_times.hpp"

namespace muster::timing {

QueryTimes::QueryTimes(metrics::Registry& registry, const std::vector<std::string>& names,
                       unsigned threads) {
    for (unsigned i = 0; i < threads; ++i) {
        tables_.push_back(std::make_shared<Table>(names.size()));
    }
    constexpr std::array statuses{"success", "error", "timeout"};
    for (std::size_t query = 0; query < names.size(); ++query) {
        for (std::size_t status = 0; status < statuses.size(); ++status) {
            registry.histogram("database_query_duration_seconds",
                               "Time from sending a query to ReadyForQuery.",
                               {{"query_name", names[query]}, {"status", statuses[status]}},
                               [tables = tables_, query, status] {
                                   metrics::HistogramValue all;
                                   for (const auto& table : tables) {
                                       all += (*table)[query][status].value();
                                   }
                                   return all;
                               });
        }
    }
}

}  // namespace muster::timing
