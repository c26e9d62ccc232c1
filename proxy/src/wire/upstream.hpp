// The one server that the door leads to, by TCP or by a Unix socket.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "runtime/asio.hpp"
#include "wire/leg.hpp"
#include "wire/tls.hpp"

namespace muster::wire {

class Upstream {
  public:
    // A host that begins with '/' is the directory of a Unix socket named as PostgreSQL names it.
    // Both arguments outlive the upstream.
    Upstream(net::io_context& context, const config::Wire& settings, const tls::Contexts& tls);

    // Connects `leg`, which the caller closes to give up, and begins TLS as configured. Looking a
    // name up ends by itself at `deadline`. A name with several addresses is tried in order.
    // Returns why it cannot.
    Task<std::optional<std::string>> connect(Leg& leg, TimePoint deadline);

  private:
    using Endpoints = std::vector<Protocol::endpoint>;

    Task<error_code> connect_socket(Leg& leg, TimePoint deadline);
    Task<error_code> resolve(Endpoints& found, TimePoint deadline);
    Task<std::optional<std::string>> begin_tls(Leg& leg, tls::Context context);

    net::io_context& context_;
    const config::Wire& settings_;
    const tls::Contexts& tls_;
    std::string service_;
    Endpoints fixed_;  // empty when the host is a name
    TcpResolver resolver_;
};

}  // namespace muster::wire
