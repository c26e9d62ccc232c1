// Listening sockets that several threads open on one address, each its own (SO_REUSEPORT).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/asio.hpp"
#include "runtime/result.hpp"

namespace muster {

// The address of a configured host and port; "localhost" and names are resolved, blocking, at
// start.
Result<net::ip::tcp::endpoint, std::string> resolve_listen(const std::string& host,
                                                           std::uint16_t port);

// The error if another process listens on this address: SO_REUSEPORT would let us share it
// unnoticed.
std::optional<std::string> taken(const net::ip::tcp::endpoint& endpoint);

// A socket that is bound and listens, or why there is none. Owned by the caller.
Result<int, std::string> open_socket(const net::ip::tcp::endpoint& endpoint);

// Has `acceptor` own a socket that listens already.
void adopt(TcpAcceptor& acceptor, int descriptor);

}  // namespace muster
