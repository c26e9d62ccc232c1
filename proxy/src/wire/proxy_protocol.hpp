// The header by which a load balancer says whose connection it passes on, as a pure parser: the
// PROXY protocol, versions 1 (a line of text) and 2 (binary).
// Reference: "The PROXY protocol, versions 1 & 2", haproxy.org, proxy-protocol.txt.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include <boost/asio/ip/address.hpp>

namespace muster::wire::proxy_protocol {

// Longest header that is taken, in bytes: a version 1 line is shorter, and version 2's is long if
// it carries a certificate's data.
inline constexpr std::size_t max_length = 4096;

enum class Kind {
    incomplete,  // well-formed so far; all of it belongs to the header, and more does
    header,
    malformed,
};

struct Header {
    Kind kind = Kind::incomplete;
    std::size_t length = 0;  // of a complete one
    // The client's, of a complete one; none where the balancer speaks for itself (LOCAL), does not
    // know (UNKNOWN, UNSPEC) or has it from a Unix socket.
    std::optional<boost::asio::ip::address> client;
};

// Reads the header at the start of `bytes`; what comes behind it is not looked at.
Header parse(std::string_view bytes);

}  // namespace muster::wire::proxy_protocol
