// `Muster-Token: <epoch>:<xid>`: what a write answers and a later request shows, so that it is not
// answered from a time before its own write, by whatever proxy.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cache/snapshot.hpp"

namespace muster::cache {

struct Token {
    std::string epoch;
    Xid xid = 0;

    // Nothing for what is no token.
    static std::optional<Token> parse(std::string_view text);
    std::string text() const { return epoch + ':' + std::to_string(xid); }
};

// The epoch of a token given while none is known: equal to no relay's, so that its bearer is
// answered by the database.
inline constexpr std::string_view no_epoch = "none";

}  // namespace muster::cache
