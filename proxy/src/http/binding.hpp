// From a request to the parameters of its route's call.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "http/problem.hpp"
#include "http/url.hpp"
#include "postgres/connection.hpp"
#include "runtime/result.hpp"

namespace muster::http {

// A route, prepared: the statement, and where each of its parameters comes from.
class BoundCall {
  public:
    // `traced` adds a last column to the statement's, cache::Origin::sql, and has it return one row
    // of nulls where the function returns none, so that this column is always there.
    explicit BoundCall(const config::Route& route, bool traced = false);

    const std::string& sql() const { return sql_; }
    bool needs_body() const { return needs_body_; }
    bool traced() const { return traced_; }

    // Collects the parameters; what the request does not give is NULL. A value that its check
    // refuses is a 422 that names it and what is allowed. `path_values` are those of the path's
    // parameters, in order; the body is moved from.
    Result<std::vector<postgres::Parameter>, Problem> bind(
        const std::vector<std::string_view>& path_values, const Target& target,
        std::string& body) const;

  private:
    struct Source {
        enum class Kind { path, query, body };
        Kind kind = Kind::query;
        std::size_t index = 0;  // among the path's parameters
        std::string name;
        config::CallParameter::Body body = config::CallParameter::Body::none;
        std::optional<config::Route::Parameter> check;
    };

    std::string sql_;
    std::vector<Source> sources_;
    bool needs_body_ = false;
    bool traced_ = false;
};

// Checks one value and brings it into the one form that PostgreSQL writes; returns what is allowed
// if it is refused, as in "an integer from 1 to 1000".
std::optional<std::string> check_value(const config::Route::Parameter& check, std::string& value);

}  // namespace muster::http
