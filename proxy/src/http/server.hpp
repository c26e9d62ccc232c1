// The HTTP/1.1 server of one thread: listening, connections, their limits and their end. What a
// request means is its handler's business.
#pragma once

#include <atomic>
#include <chrono>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "config/config.hpp"
#include "http/exchange.hpp"
#include "metrics/histogram.hpp"
#include "runtime/asio.hpp"

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

    // Has it accept from these sockets too, which listen already. Before start().
    void listen(const std::vector<int>& descriptors);
    std::uint16_t port() const;

    // Accepts from now on. Called on the server's thread or before it runs.
    void start();
    // Takes what already waits to be accepted, then no more; connections close as soon as no
    // request of theirs is in hand. Called on the server's thread.
    void stop();

    // From now on: what requests are answered by, and the limits. Those in hand end as they began.
    // Called on the server's thread.
    void change(const config::Http& config, Handler handler);

    // May outlive the server.
    std::shared_ptr<const ServerCounters> counters() const { return counters_; }

  private:
    friend class Session;

    Server(net::io_context& context, const config::Http& config, Handler handler,
           std::shared_ptr<std::atomic<std::size_t>> connections);

    Task<> accept_loop(TcpAcceptor& acceptor);
    void accept_waiting(TcpAcceptor& acceptor);
    Task<> sweep_loop();
    void admit(TcpSocket socket);
    void begin(Session& session);
    void end(Session& session);

    net::io_context& context_;
    config::Http config_;
    std::shared_ptr<const Handler> handler_;  // held by each request that it answers
    std::list<TcpAcceptor> acceptors_;
    Timer sweep_timer_;
    bool sweeping_ = false;
    bool stopping_ = false;
    std::unordered_set<Session*> sessions_;
    std::shared_ptr<std::atomic<std::size_t>> connections_;
    const std::shared_ptr<ServerCounters> counters_ = std::make_shared<ServerCounters>();
};

}  // namespace muster::http
