// Writing the few JSON documents that the proxy makes itself. It reads none.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace muster {

// Appends `text` as a JSON string. What is not UTF-8 becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

// Whether `text` is well-formed UTF-8.
bool is_utf8(std::string_view text);

// A moment as RFC 3339 writes it: "2026-11-25T12:00:00.000Z".
std::string utc_text(std::chrono::system_clock::time_point moment);

}  // namespace muster
