#include "http/trace.hpp"

#include <algorithm>

namespace muster::http {
namespace {

bool is_hex(std::string_view text) {
    return std::all_of(text.begin(), text.end(),
                       [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_zero(std::string_view text) {
    return text.find_first_not_of('0') == std::string_view::npos;
}

}  // namespace

// "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01". A later version may have more after
// the flags; ff is none.
bool is_traceparent(std::string_view value) {
    constexpr std::size_t size = 2 + 1 + 32 + 1 + 16 + 1 + 2;
    if (value.size() < size || value[2] != '-' || value[35] != '-' || value[52] != '-') {
        return false;
    }
    const std::string_view version = value.substr(0, 2);
    const std::string_view trace = value.substr(3, 32);
    const std::string_view parent = value.substr(36, 16);
    if (!is_hex(version) || version == "ff" || !is_hex(trace) || is_zero(trace) ||
        !is_hex(parent) || is_zero(parent) || !is_hex(value.substr(53, 2))) {
        return false;
    }
    return value.size() == size || (version != "00" && value[size] == '-' && value.size() <= 512);
}

}  // namespace muster::http
