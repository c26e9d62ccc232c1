// Whose request it is, by address, when there may be proxies in between.
#pragma once

#include <string_view>
#include <vector>

#include <boost/asio/ip/address.hpp>

#include "config/network.hpp"

namespace muster::http {

// The address that a request comes from. `peer` is the other end of the connection, `forwarded` the
// values of X-Forwarded-For, in the order sent. Each trusted proxy has added the address it was
// talked to by at the right, so they are read from there, up to the first that is not trusted; what
// is further left is that one's own invention. IPv4 inside IPv6 is given as IPv4.
boost::asio::ip::address client_address(const boost::asio::ip::address& peer,
                                        const std::vector<std::string_view>& forwarded,
                                        const std::vector<config::Network>& trusted);

}  // namespace muster::http
