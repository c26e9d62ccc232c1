// Parsing of path templates.
#include "config/path.hpp"

#include <algorithm>

namespace muster::config {
namespace {

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// What a fixed word may hold: the characters that no client has to escape.
bool is_unreserved(char c) {
    return is_letter(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

}  // namespace

bool is_parameter_name(std::string_view name) {
    if (name.empty() || name.size() > 63 || is_digit(name.front())) {
        return false;
    }
    return std::all_of(name.begin(), name.end(),
                       [](char c) { return is_letter(c) || is_digit(c) || c == '_'; });
}

Result<std::vector<Segment>, std::string> parse_path(std::string_view path) {
    if (path.empty() || path.front() != '/') {
        return "path \"" + std::string(path) + "\" does not start with a slash";
    }
    std::vector<Segment> segments;
    std::string_view rest = path.substr(1);
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('/'), rest.size());
        const std::string_view segment = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (segment.empty()) {
            return "path \"" + std::string(path) + "\" has an empty segment";
        }
        if (segment.front() == '{' && segment.back() == '}') {
            const std::string_view name = segment.substr(1, segment.size() - 2);
            if (!is_parameter_name(name)) {
                return "\"" + std::string(name) +
                       "\" is not a parameter name: letters, digits and underscores, not starting "
                       "with a digit";
            }
            const bool twice = std::any_of(segments.begin(), segments.end(), [&](const Segment& s) {
                return s.parameter && s.text == name;
            });
            if (twice) {
                return "path \"" + std::string(path) + "\" has the parameter {" +
                       std::string(name) + "} twice";
            }
            segments.push_back({std::string(name), true});
            continue;
        }
        if (!std::all_of(segment.begin(), segment.end(), is_unreserved)) {
            return "segment \"" + std::string(segment) + "\" of path \"" + std::string(path) +
                   "\" is neither a word of letters, digits, - . _ ~ nor a {parameter}";
        }
        segments.push_back({std::string(segment), false});
    }
    return segments;
}

}  // namespace muster::config
