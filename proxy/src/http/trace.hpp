// The header traceparent (W3C Trace Context, level 1), by which a trace goes on through the proxy.
#pragma once

#include <string>
#include <string_view>

namespace muster::http {

// Whether the value is one that may be passed on: a known version, and neither id all zeros.
bool is_traceparent(std::string_view value);

// The trace's id, of 32 digits. `traceparent` must be one.
inline std::string_view trace_id(std::string_view traceparent) {
    return traceparent.substr(3, 32);
}

}  // namespace muster::http
