// A range of addresses: "10.0.0.0/8", "2001:db8::/32", or one address.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <boost/asio/ip/address.hpp>

namespace muster::config {

struct Network {
    boost::asio::ip::address base;
    unsigned prefix = 0;  // bits of `base` that count

    // An IPv4 address inside an IPv6 one counts as the IPv4 address.
    bool contains(const boost::asio::ip::address& address) const;
};

// An IPv4-mapped IPv6 address (::ffff:192.0.2.1) as what it stands for; any other as it is.
boost::asio::ip::address unmapped(const boost::asio::ip::address& address);

// Reads networks separated by commas; nothing if one of them cannot be read.
std::optional<std::vector<Network>> parse_networks(std::string_view text);

}  // namespace muster::config
