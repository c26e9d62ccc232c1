// Network byte order integers of the PostgreSQL protocol.
#pragma once

#include <cstdint>
#include <string>

namespace muster::wire {

inline std::uint32_t read_uint32(const char* bytes) {
    const auto at = [bytes](int i) {
        return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i]));
    };
    return at(0) << 24 | at(1) << 16 | at(2) << 8 | at(3);
}

inline void append_uint32(std::string& to, std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8)
        to.push_back(static_cast<char>(value >> shift & 0xff));
}

}  // namespace muster::wire
