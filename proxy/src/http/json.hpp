// Writing the few JSON documents that the proxy makes itself. It reads none.
#pragma once

#include <string>
#include <string_view>

namespace muster::http {

// Appends `text` as a JSON string. What is not UTF-8 becomes U+FFFD.
void append_json_string(std::string& out, std::string_view text);

// Whether `text` is well-formed UTF-8.
bool is_utf8(std::string_view text);

}  // namespace muster::http
