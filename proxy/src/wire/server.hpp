// The wire door: a transparent proxy of the PostgreSQL protocol.
//
// What belongs in this folder: everything that reads or writes PostgreSQL's protocol as bytes. The
// door forwards the client's own login, so it knows no password; it reads message headers, never
// holds a message, and keeps no state that a client would miss. TLS ends here, on either leg.
//
//   startup       the untyped first packets, a pure parser
//   scanner       message boundaries in one direction, pure
//   pipeline      which requests are outstanding, and whether the session is between two, pure
//   statement_times  which statements they run, and how long each takes
//   proxy_protocol   the header that a load balancer puts in front, a pure parser
//   tls, leg      a socket with TLS on it or not, and the certificates for that
//   upstream      connecting to the server behind the door
//   cancel_keys   which of its addresses a cancel request is for
//   terms         the settings of the day
//   session       one client from accept to close
//   worker        one thread's listeners and sessions
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "runtime/asio.hpp"
#include "runtime/listeners.hpp"
#include "timing/timing.hpp"
#include "wire/counters.hpp"
#include "wire/listener.hpp"

namespace muster::wire {

class Worker;

class Server {
  public:
    // Each context is run by one thread and gets a listener of its own. The contexts outlive the
    // server; sessions that are still open when it goes end with their context.
    // With `timing`, which outlives them all, statements are timed; the contexts' threads have
    // their numbers there in this order.
    Server(const std::vector<net::io_context*>& contexts, const config::Wire& settings,
           timing::Timing* timing = nullptr);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    // Listens and serves. Returns why it cannot.
    std::optional<std::string> start(Listeners& listeners);
    std::optional<std::string> start();

    // Has these settings, but for where it listens, hold for connections to come. The certificate,
    // its key and the upstream's authorities are read again. Returns what is wrong with them; all
    // stays as it was then. From any thread.
    std::optional<std::string> reload(const config::Wire& settings);

    // Port listened on, also where the configuration says 0.
    std::uint16_t port() const { return port_; }

    // Begins to close and returns: no new connections; a session that is idle outside a transaction
    // is ended with FATAL 57P01, now or as soon as it is; the rest is cut off at `deadline`. From
    // any thread, once. The door is closed when stats().sockets_now is 0.
    // `replaced` says that another process listens on the sockets and has their files.
    void stop(TimePoint deadline, bool replaced = false);

    // From any thread.
    Stats stats() const;

  private:
    std::optional<std::string> listen_on_unix_socket(Listeners& listeners);

    const config::Wire settings_;  // at the start
    std::shared_ptr<Shared> shared_;
    std::vector<std::shared_ptr<Worker>> workers_;
    UnixListener unix_listener_;
    std::uint16_t port_ = 0;
};

}  // namespace muster::wire
