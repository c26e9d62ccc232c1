// The HTTP/1.1 server of one thread: listening, connections, their limits and their end. What a
// request means is its handler's business.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>

#include "config/config.hpp"
#include "http/exchange.hpp"
#include "metrics/histogram.hpp"
#include "runtime/asio.hpp"
#include "runtime/listener.hpp"

namespace muster::http {

class Session;

// What one server counts; written by its thread.
struct ServerCounters {
    metrics::Gauge connections;
    metrics::Counter accepted;
    metrics::Counter refused;    // connections above the limit
    metrics::Counter malformed;  // requests answered without asking the handler
    metrics::Counter timeouts;   // connections closed for being slow
};

class Server : public std::enable_shared_from_this<Server> {
  public:
    // `connections` counts those of all threads' servers together, against config.max_connections.
    static std::shared_ptr<Server> make(net::io_context& context, const config::Http& config,
                                        Handler handler,
                                        std::shared_ptr<std::atomic<std::size_t>> connections);

    // Listens on `endpoint`, which other servers of this process may share. Returns the error.
    std::optional<std::string> listen(const net::ip::tcp::endpoint& endpoint) {
        return open_listener(acceptor_, endpoint);
    }
    std::uint16_t port() const;

    // Accepts from now on. Called on the server's thread or before it runs.
    void start();
    // Takes what already waits to be accepted, then no more; connections close as soon as no
    // request of theirs is in hand. Called on the server's thread.
    void stop();

    const ServerCounters& counters() const { return counters_; }

  private:
    friend class Session;

    Server(net::io_context& context, const config::Http& config, Handler handler,
           std::shared_ptr<std::atomic<std::size_t>> connections);

    Task<> accept_loop();
    Task<> sweep_loop();
    void admit(TcpSocket socket);
    void begin(Session& session);
    void end(Session& session);

    net::io_context& context_;
    const config::Http config_;
    const Handler handler_;
    TcpAcceptor acceptor_;
    Timer accept_pause_;
    Timer sweep_timer_;
    bool sweeping_ = false;
    bool stopping_ = false;
    std::unordered_set<Session*> sessions_;
    std::shared_ptr<std::atomic<std::size_t>> connections_;
    ServerCounters counters_;
};

}  // namespace muster::http
