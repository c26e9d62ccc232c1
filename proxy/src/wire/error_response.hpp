// ErrorResponse messages that the door itself sends.
#pragma once

#include <string>
#include <string_view>

namespace muster::wire {

// A fatal error as the server would send it before closing the connection. The texts go to any
// client that can connect: they never name addresses, users of others or anything configured.
struct Fatal {
    std::string_view sqlstate;  // five characters
    std::string_view message;
    std::string_view hint = {};
};

// Encodes an ErrorResponse of severity FATAL. Fields are cut at a NUL, which would end them early.
std::string encode(const Fatal& error);

}  // namespace muster::wire
