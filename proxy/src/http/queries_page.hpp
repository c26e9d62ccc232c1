// GET /queries: the statements with their figures, as a JSON document and as a page to read.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "timing/statements.hpp"

namespace muster::http {

struct QueriesReport {
    std::chrono::system_clock::time_point since;  // when counting started
    std::chrono::system_clock::time_point now;
    std::vector<timing::StatementFigures> statements;
};

// Puts the statements in the order of a column: "name" from A on, all others ("calls",
// "errors", "rows", "bytes", "total", "mean", "p50", "p95", "p99", "max") the largest first.
// Returns what is allowed if there is no such column.
std::optional<std::string> sort_statements(std::vector<timing::StatementFigures>& statements,
                                           std::string_view column);

// Times are in milliseconds.
std::string queries_json(const QueriesReport& report);

// A page that needs nothing but itself. `sorted_by` is the column it is sorted by.
std::string queries_html(const QueriesReport& report, std::string_view sorted_by);

}  // namespace muster::http
