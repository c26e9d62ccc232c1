// The text of tokens.
#include "cache/token.hpp"

#include <algorithm>
#include <charconv>

namespace muster::cache {

std::optional<Token> Token::parse(std::string_view text) {
    constexpr std::size_t longest_epoch = 64;
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos || colon == 0 || colon > longest_epoch) {
        return std::nullopt;
    }
    Token token{std::string(text.substr(0, colon)), 0};
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, token.xid);
    const bool plain = std::all_of(token.epoch.begin(), token.epoch.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
    });
    if (error != std::errc() || rest != end || token.xid == 0 || !plain) {
        return std::nullopt;
    }
    return token;
}

}  // namespace muster::cache
