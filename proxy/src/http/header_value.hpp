// Comparing what headers say, much of which means the same in either case (RFC 9110).
#pragma once

#include <string_view>

#include <boost/beast/core/string.hpp>

namespace muster::http {

// Whether two texts are the same but for the case of ASCII letters.
inline bool equals_ignoring_case(std::string_view a, std::string_view b) {
    return boost::beast::iequals({a.data(), a.size()}, {b.data(), b.size()});
}

}  // namespace muster::http
