// Strings as JSON writes them: byte for byte what the server's escape_json() gives.
#pragma once

#include "json/arena.hpp"

namespace muster::json {

// Appends the text in quotes, escaped.
void put_string(Arena& out, const char* text, std::size_t length);

inline void put_string(Arena& out, std::string_view text) {
    put_string(out, text.data(), text.size());
}

}  // namespace muster::json
