// Request targets: taking them apart, percent-decoding and encoding.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/result.hpp"

namespace muster::http {

// Why a target was refused: 400 for what is no URL, 422 for a character that no value may have.
struct UrlError {
    unsigned status;
    std::string detail;
};

struct QueryParameter {
    std::string name;
    std::string value;
};

struct Target {
    std::vector<std::string> segments;  // decoded; a trailing slash adds none
    bool trailing_slash = false;
    std::vector<QueryParameter> query;  // decoded, in order

    // The last value of this name, as most servers read repeated ones.
    const std::string* find(std::string_view name) const;
};

// Takes "/path/%41?a=b+c" apart; an absolute "http://host/path" too, as HTTP/1.1 demands.
Result<Target, UrlError> parse_target(std::string_view target);

// Escapes everything but unreserved characters.
std::string percent_encode(std::string_view text);

// The same path and query with the cursor `after` in place of what positioned the page before.
std::string next_page(const Target& target, std::string_view after);

}  // namespace muster::http
