// What a route's function has returned.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "postgres/connection.hpp"
#include "runtime/result.hpp"

namespace muster::http {

// The one row of a route's statement. Views into the Rows.
struct RouteAnswer {
    bool found = false;  // no row or a NULL body: there is no such thing
    unsigned status = 200;
    std::string_view body;
    std::optional<std::string_view> next;
    std::optional<std::string_view> location;
    std::optional<std::string_view> origin;  // cache::Origin's column, if the statement has it
};

// Reads it; `success` is the status when the function gives none, `traced` says that the last
// column is the origin. The error says what is wrong with what was returned.
Result<RouteAnswer, std::string> read_answer(const postgres::Rows& rows, unsigned success,
                                             bool traced);

}  // namespace muster::http
