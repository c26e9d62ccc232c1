#include "http/etag.hpp"

#include <algorithm>

namespace muster::http {

bool none_match_names(std::string_view header, std::string_view etag) {
    while (!header.empty()) {
        const std::size_t begin = std::min(header.find_first_not_of(" \t,"), header.size());
        header.remove_prefix(begin);
        if (header.starts_with('*')) {
            return true;
        }
        if (header.starts_with("W/")) {
            header.remove_prefix(2);
        }
        const std::size_t quote = header.find('"', 1);
        if (!header.starts_with('"') || quote == std::string_view::npos) {
            return false;
        }
        if (header.substr(0, quote + 1) == etag) {
            return true;
        }
        header.remove_prefix(quote + 1);
    }
    return false;
}

}  // namespace muster::http
