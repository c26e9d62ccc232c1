// The description of calls and the judgement of their columns.
#include "http/route_check.hpp"

#include <algorithm>

#include "http/binding.hpp"

namespace muster::http {
namespace {

using Column = postgres::Description::Column;

// Oids of pg_type that a column of a route's result may have.
constexpr Oid int2 = 21;
constexpr Oid int4 = 23;
constexpr Oid text = 25;
constexpr Oid varchar = 1043;
constexpr Oid json = 114;
constexpr Oid jsonb = 3802;

bool is_document(const Column& column) {
    return column.type == json || column.type == jsonb;
}

// Whether asking failed, rather than the question being wrong.
bool could_not_ask(const postgres::Error& error) {
    const std::string_view group = std::string_view(error.sqlstate).substr(0, 2);
    return error.connection_lost || group == "08" || group == "53" || group == "57";
}

}  // namespace

std::string column_mistake(const std::vector<Column>& columns) {
    if (columns.size() == 1) {
        return is_document(columns[0]) ? "" : "its result is not of type json or jsonb";
    }
    const bool has_body = std::any_of(columns.begin(), columns.end(),
                                      [](const Column& column) { return column.name == "body"; });
    if (!has_body) {
        return "its result has no column \"body\"";
    }
    for (const Column& column : columns) {
        const auto same_name = [&](const Column& other) { return other.name == column.name; };
        if (std::count_if(columns.begin(), columns.end(), same_name) > 1) {
            return "its result has two columns \"" + column.name + "\"";
        }
        if (column.name == "body") {
            if (!is_document(column)) {
                return "its column \"body\" is not of type json or jsonb";
            }
        } else if (column.name == "next" || column.name == "location") {
            if (column.type != text && column.type != varchar) {
                return "its column \"" + column.name + "\" is not of type text";
            }
        } else if (column.name == "status") {
            if (column.type != int4 && column.type != int2) {
                return "its column \"status\" is not of type int";
            }
        } else {
            return "its result has the column \"" + column.name +
                   "\"; allowed are body, next, status and location";
        }
    }
    return "";
}

Task<postgres::Outcome<std::vector<RouteMistake>>> check_routes(
    postgres::Connection& connection, std::span<const config::Route> routes, TimePoint deadline) {
    std::vector<RouteMistake> mistakes;
    for (std::size_t i = 0; i < routes.size(); ++i) {
        const BoundCall call(routes[i]);
        auto described = co_await connection.describe(call.sql().c_str(), deadline);
        std::string mistake;
        if (described) {
            mistake = column_mistake(described.value().columns);
        } else if (could_not_ask(described.error())) {
            co_return std::move(described).error();
        } else {
            mistake = described.error().message;
            if (!described.error().hint.empty()) {
                mistake += " (" + described.error().hint + ")";
            }
        }
        if (!mistake.empty()) {
            mistakes.push_back({i, "route \"" + routes[i].name + "\": " + mistake});
        }
    }
    co_return mistakes;
}

void RouteState::checked(const std::vector<RouteMistake>& mistakes) {
    const std::lock_guard lock(mutex_);
    reason_.clear();
    for (const RouteMistake& mistake : mistakes) {
        refused_[mistake.route].store(true, std::memory_order_relaxed);
        reason_ += (reason_.empty() ? "" : "; ") + mistake.message;
    }
    checked_.store(true, std::memory_order_release);
}

std::string RouteState::reason() const {
    const std::lock_guard lock(mutex_);
    return reason_;
}

}  // namespace muster::http
