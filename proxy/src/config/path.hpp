// The path of a route: fixed words and whole-segment parameters, "/agents/{id}/tools/{tool_id}".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/result.hpp"

namespace muster::config {

// One segment of a path, between two slashes.
struct Segment {
    std::string text;  // the fixed word, or the parameter's name
    bool parameter = false;
};

// Takes a path template apart; a trailing slash means nothing. The error says what is wrong with
// it.
Result<std::vector<Segment>, std::string> parse_path(std::string_view path);

// Whether `name` can name a parameter: a letter or underscore, then letters, digits, underscores.
bool is_parameter_name(std::string_view name);

}  // namespace muster::config
