// Listening, accepting, and the sweep that enforces the deadlines of slow clients.
#include "http/server.hpp"

#include <spdlog/spdlog.h>

#include "http/session.hpp"
#include "runtime/listener.hpp"
#include "runtime/runtime.hpp"

namespace muster::http {
namespace {

using namespace std::chrono_literals;

// How exactly client deadlines are kept. One timer a thread instead of one a connection.
constexpr auto sweep_period = 50ms;
constexpr auto pause_without_descriptors = 100ms;

constexpr std::string_view full =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
    "Content-Length: 116\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
    R"({"type":"about:blank","title":"Service Unavailable","status":503,"detail":"too many connections; try again in 1 s"})"
    "\n";

}  // namespace

std::shared_ptr<Server> Server::make(net::io_context& context, const config::Http& config,
                                     Handler handler,
                                     std::shared_ptr<std::atomic<std::size_t>> connections) {
    return std::shared_ptr<Server>(
        new Server(context, config, std::move(handler), std::move(connections)));
}

Server::Server(net::io_context& context, const config::Http& config, Handler handler,
               std::shared_ptr<std::atomic<std::size_t>> connections)
    : context_(context),
      config_(config),
      handler_(std::make_shared<const Handler>(std::move(handler))),
      sweep_timer_(context.get_executor()),
      connections_(std::move(connections)) {}

void Server::listen(const std::vector<int>& descriptors) {
    for (const int descriptor : descriptors) {
        adopt(acceptors_.emplace_back(context_.get_executor()), descriptor);
    }
}

std::uint16_t Server::port() const {
    error_code ignored;
    return acceptors_.empty() ? std::uint16_t{0}
                              : acceptors_.front().local_endpoint(ignored).port();
}

void Server::start() {
    for (TcpAcceptor& acceptor : acceptors_) {
        spawn(context_, "accepting connections", accept_loop(acceptor));
    }
}

Task<> Server::accept_loop(TcpAcceptor& acceptor) {
    const auto self = shared_from_this();
    Timer pause(context_.get_executor());
    while (!stopping_) {
        TcpSocket socket(context_.get_executor());
        error_code ec;
        co_await acceptor.async_accept(socket, capture(ec));
        if (!ec) {
            admit(std::move(socket));
        } else if (ec != net::error::operation_aborted && !stopping_) {
            // Out of descriptors or memory: connections in hand go on, new ones wait.
            spdlog::warn("cannot accept a connection: {}", ec.message());
            pause.expires_after(pause_without_descriptors);
            error_code ignored;
            co_await pause.async_wait(capture(ignored));
        }
    }
}

void Server::admit(TcpSocket socket) {
    error_code ignored;
    if (connections_->fetch_add(1) >= config_.max_connections) {
        connections_->fetch_sub(1);
        counters_->refused.add();
        socket.non_blocking(true, ignored);
        socket.write_some(net::buffer(full), ignored);
        socket.close(ignored);
        return;
    }
    counters_->accepted.add();
    socket.set_option(net::ip::tcp::no_delay(true), ignored);
    spawn(context_, "a connection", Session::run(shared_from_this(), std::move(socket)));
}

void Server::change(const config::Http& config, Handler handler) {
    config_ = config;
    handler_ = std::make_shared<const Handler>(std::move(handler));
}

void Server::begin(Session& session) {
    sessions_.insert(&session);
    counters_->connections.add(1);
    if (stopping_) {
        session.stop();
    }
    if (!sweeping_) {
        sweeping_ = true;
        spawn(context_, "closing slow connections", sweep_loop());
    }
}

void Server::end(Session& session) {
    sessions_.erase(&session);
    counters_->connections.add(-1);
    connections_->fetch_sub(1);
    if (sessions_.empty()) {
        sweep_timer_.cancel();
    }
}

// Runs as long as there are connections.
Task<> Server::sweep_loop() {
    const auto self = shared_from_this();
    while (!sessions_.empty()) {
        sweep_timer_.expires_after(sweep_period);
        error_code ignored;
        co_await sweep_timer_.async_wait(capture(ignored));
        const TimePoint now = Clock::now();
        for (Session* session : sessions_) {
            session->sweep(now);
        }
    }
    sweeping_ = false;
}

void Server::stop() {
    if (stopping_) {
        return;
    }
    stopping_ = true;
    for (TcpAcceptor& acceptor : acceptors_) {
        accept_waiting(acceptor);
        error_code ignored;
        acceptor.close(ignored);
    }
    for (Session* session : sessions_) {
        session->stop();
    }
}

// Closing a socket resets what waits in it.
void Server::accept_waiting(TcpAcceptor& acceptor) {
    error_code ec;
    acceptor.non_blocking(true, ec);
    for (std::size_t i = 0; i < config_.max_connections; ++i) {
        TcpSocket socket(context_.get_executor());
        acceptor.accept(socket, ec);
        if (ec) {
            break;
        }
        admit(std::move(socket));
    }
}

}  // namespace muster::http
