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

// Encodes an ErrorResponse. Fields are cut at a NUL, which would end them early.
std::string encode(const Fatal& error, std::string_view severity = "FATAL");

// Terminate, as a client that ends its session.
inline constexpr std::string_view terminate{"X\0\0\0\4", 5};
// A ReadyForQuery that says "idle, outside a transaction".
inline constexpr std::string_view ready_for_query{"Z\0\0\0\5I", 6};

// `bytes`, as the server sent them, with a hint if they are its word that SCRAM's channel binding
// check failed. With TLS on both legs a client binds its login to the certificate that it sees,
// ours, and the server checks it against its own.
std::string explain_channel_binding(std::string_view bytes);

}  // namespace muster::wire
