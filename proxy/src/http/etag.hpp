// Entity tags in conditional requests (RFC 9110, 13.1.2).
#pragma once

#include <string_view>

namespace muster::http {

// Whether a header If-None-Match names this strong entity tag, by weak comparison.
bool none_match_names(std::string_view header, std::string_view etag);

}  // namespace muster::http
