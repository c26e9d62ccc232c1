// The one server that the door leads to, by TCP or by a Unix socket.
#pragma once

#include <string>
#include <vector>

#include <boost/asio/generic/stream_protocol.hpp>

#include "config/config.hpp"
#include "runtime/asio.hpp"

namespace muster::wire {

// Either leg of a session: TCP or Unix.
using Protocol = net::generic::stream_protocol;
using Socket = net::basic_stream_socket<Protocol, Executor>;

// Sends small messages at once and notices a peer that vanished. No effect on Unix sockets.
void tune(Socket& socket);

class Upstream {
  public:
    // A host that begins with '/' is the directory of a Unix socket named as PostgreSQL names it.
    Upstream(net::io_context& context, const config::Endpoint& endpoint);

    // Connects `socket`, which the caller closes to give up. Looking a name up ends by itself at
    // `deadline`. A name with several addresses is tried in order.
    Task<error_code> connect(Socket& socket, TimePoint deadline);

  private:
    using Endpoints = std::vector<Protocol::endpoint>;

    Task<error_code> resolve(Endpoints& found, TimePoint deadline);

    net::io_context& context_;
    std::string host_;
    std::string service_;
    Endpoints fixed_;  // empty when the host is a name
    TcpResolver resolver_;
};

}  // namespace muster::wire
