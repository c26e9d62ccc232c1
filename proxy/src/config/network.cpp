// Reading and comparing of networks.
#include "config/network.hpp"

#include <charconv>
#include <string>

namespace muster::config {
namespace {

namespace ip = boost::asio::ip;

template <class Bytes>
bool same_prefix(const Bytes& a, const Bytes& b, unsigned bits) {
    for (std::size_t i = 0; i < a.size(); ++i, bits -= 8) {
        if (bits < 8) {
            const unsigned mask = 0xff00U >> bits & 0xffU;
            return (a[i] & mask) == (b[i] & mask);
        }
        if (a[i] != b[i]) {
            return false;
        }
    }
    return true;
}

std::string_view trimmed(std::string_view text) {
    const std::size_t start = text.find_first_not_of(" \t");
    if (start == std::string_view::npos) {
        return {};
    }
    return text.substr(start, text.find_last_not_of(" \t") - start + 1);
}

std::optional<Network> parse_network(std::string_view text) {
    const std::size_t slash = text.find('/');
    boost::system::error_code error;
    Network network;
    network.base = unmapped(ip::make_address(std::string(text.substr(0, slash)), error));
    if (error) {
        return std::nullopt;
    }
    const unsigned longest = network.base.is_v4() ? 32 : 128;
    network.prefix = longest;
    if (slash != std::string_view::npos) {
        const char* const end = text.data() + text.size();
        const auto [rest, mistake] = std::from_chars(text.data() + slash + 1, end, network.prefix);
        if (mistake != std::errc() || rest != end || network.prefix > longest) {
            return std::nullopt;
        }
    }
    return network;
}

}  // namespace

ip::address unmapped(const ip::address& address) {
    if (address.is_v6() && address.to_v6().is_v4_mapped()) {
        return ip::make_address_v4(ip::v4_mapped, address.to_v6());
    }
    return address;
}

bool Network::contains(const ip::address& address) const {
    const ip::address plain = unmapped(address);
    if (plain.is_v4() != base.is_v4()) {
        return false;
    }
    return plain.is_v4() ? same_prefix(plain.to_v4().to_bytes(), base.to_v4().to_bytes(), prefix)
                         : same_prefix(plain.to_v6().to_bytes(), base.to_v6().to_bytes(), prefix);
}

std::optional<std::vector<Network>> parse_networks(std::string_view text) {
    std::vector<Network> networks;
    if (trimmed(text).empty()) {
        return networks;
    }
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t comma = std::min(text.find(',', at), text.size());
        auto network = parse_network(trimmed(text.substr(at, comma - at)));
        if (!network) {
            return std::nullopt;
        }
        networks.push_back(*network);
        at = comma + 1;
    }
    return networks;
}

}  // namespace muster::config
