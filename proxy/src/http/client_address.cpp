// Reading X-Forwarded-For from the right.
#include "http/client_address.hpp"

#include <algorithm>
#include <optional>
#include <string>

namespace muster::http {
namespace {

namespace ip = boost::asio::ip;

constexpr std::size_t most_hops = 32;

// One entry: an address, some write a port behind it: "192.0.2.1:4711", "[2001:db8::1]:4711".
std::optional<ip::address> parse_entry(std::string_view text) {
    const std::size_t start = text.find_first_not_of(" \t");
    if (start == std::string_view::npos) {
        return std::nullopt;
    }
    text = text.substr(start, text.find_last_not_of(" \t") - start + 1);
    if (text.front() == '[') {
        text = text.substr(1, text.find(']') - 1);
    } else if (std::count(text.begin(), text.end(), ':') == 1) {
        text = text.substr(0, text.find(':'));
    }
    boost::system::error_code error;
    const ip::address address = ip::make_address(std::string(text), error);
    return error ? std::nullopt : std::optional(config::unmapped(address));
}

bool is_trusted(const ip::address& address, const std::vector<config::Network>& trusted) {
    return std::any_of(trusted.begin(), trusted.end(),
                       [&](const config::Network& network) { return network.contains(address); });
}

}  // namespace

ip::address client_address(const ip::address& peer, const std::vector<std::string_view>& forwarded,
                           const std::vector<config::Network>& trusted) {
    ip::address client = config::unmapped(peer);
    std::size_t hops = 0;
    for (auto values = forwarded.rbegin(); values != forwarded.rend(); ++values) {
        for (std::string_view left = *values;;) {
            if (!is_trusted(client, trusted) || ++hops > most_hops) {
                return client;
            }
            const std::size_t comma = left.rfind(',');
            const auto entry =
                parse_entry(comma == std::string_view::npos ? left : left.substr(comma + 1));
            if (!entry) {
                return client;  // whoever wrote this is as far as we can see
            }
            client = *entry;
            if (comma == std::string_view::npos) {
                break;
            }
            left = left.substr(0, comma);
        }
    }
    return client;
}

}  // namespace muster::http
