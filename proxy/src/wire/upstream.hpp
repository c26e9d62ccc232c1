// The one server that the door leads to, by TCP or by a Unix socket.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runtime/asio.hpp"
#include "wire/leg.hpp"
#include "wire/terms.hpp"

namespace muster::wire {

// The caller of a coroutine keeps the upstream until it has ended.
class Upstream {
  public:
    using Addresses = std::vector<Protocol::endpoint>;

    // A host that begins with '/' is the directory of a Unix socket named as PostgreSQL names it.
    Upstream(net::io_context& context, TermsPtr terms);

    // Whether it is a name, which may have several addresses and others at another time.
    bool is_name() const { return fixed_.empty(); }

    // Its addresses now. Looking a name up ends by itself at `deadline`.
    Task<error_code> look_up(Addresses& found, TimePoint deadline);

    // Connects `leg`, which the caller closes to give up, to the first of `addresses` that takes
    // it, and begins TLS as configured. One that does not answer leaves time for the others.
    // Returns why it cannot.
    Task<std::optional<std::string>> connect(Leg& leg, Addresses addresses, TimePoint deadline);
    // The same with all addresses that it has.
    Task<std::optional<std::string>> connect(Leg& leg, TimePoint deadline);

  private:
    Task<error_code> connect_socket(Leg& leg, const Addresses& addresses, TimePoint deadline);
    Task<error_code> connect_within(Leg& leg, const Protocol::endpoint& address,
                                    Clock::duration time);
    Task<error_code> resolve(Addresses& found, TimePoint deadline);
    Task<std::optional<std::string>> begin_tls(Leg& leg);

    net::io_context& context_;
    TermsPtr terms_;
    std::string service_;
    Addresses fixed_;  // empty when the host is a name
    TcpResolver resolver_;
};

}  // namespace muster::wire
