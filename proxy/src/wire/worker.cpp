#include "wire/worker.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <spdlog/spdlog.h>

#include "runtime/json.hpp"
#include "runtime/listener.hpp"

namespace muster::wire {
namespace {

using namespace std::chrono_literals;

// Sockets beyond the sessions, startups and cancels allowed: those that are just coming or going.
constexpr std::size_t spare_sockets = 256;

// After a failed accept, which mostly means that there are no descriptors left.
constexpr auto accept_pause = 100ms;

// How late it may be noticed that a peer has gone that was last heard of at the same moment.
constexpr auto look_pause = 1s;

// Between two lines about limits.
constexpr auto log_pause = 1s;

}  // namespace

Worker::Worker(net::io_context& context, std::shared_ptr<Shared> shared, timing::Timing* timing,
               unsigned thread)
    : context_(context),
      shared_(std::move(shared)),
      unix_acceptor_(context.get_executor()),
      timer_(context.get_executor()),
      next_look_(context.get_executor()) {
    if (timing != nullptr && timing->enabled())
        statements_.emplace(*timing, thread);
}

void Worker::listen(const std::vector<int>& descriptors) {
    for (const int descriptor : descriptors)
        adopt(acceptors_.emplace_back(context_.get_executor()), descriptor);
}

void Worker::start() {
    for (TcpAcceptor& acceptor : acceptors_) {
        net::co_spawn(
            context_,
            [self = shared_from_this(), &acceptor]() -> Task<> { co_await self->accept(acceptor); },
            net::detached);
    }
    if (unix_acceptor_.is_open())
        net::co_spawn(
            context_,
            [self = shared_from_this()]() -> Task<> {
                co_await self->accept(self->unix_acceptor_);
            },
            net::detached);
}

template <class Acceptor>
Task<> Worker::accept(Acceptor& acceptor) {
    Timer pause(context_.get_executor());
    while (!draining_) {
        error_code ec;
        auto peer = co_await acceptor.async_accept(capture(ec));
        if (draining_ || ec == net::error::operation_aborted)
            co_return;
        if (ec) {
            spdlog::warn("could not accept a connection on the wire door: {}", ec.message());
            pause.expires_after(accept_pause);
            co_await pause.async_wait(capture(ec));
            continue;
        }
        const auto max_sockets = settings().max_connections + settings().max_startups +
                                 settings().max_cancels + spare_sockets;
        if (shared_->sockets.load(std::memory_order_relaxed) >= max_sockets) {
            counters_.refused.add();
            continue;
        }
        std::make_shared<Session>(shared_from_this(), Socket(std::move(peer)))->start();
    }
}

void Worker::adopt_terms(TermsPtr terms) {
    terms_ = std::move(terms);
    upstream_ = std::make_shared<Upstream>(context_, terms_);
}

void Worker::drain(TimePoint deadline) {
    draining_ = true;
    error_code ignored;
    for (TcpAcceptor& acceptor : acceptors_)
        acceptor.close(ignored);
    unix_acceptor_.close(ignored);
    // Neither call destroys a session: that is left to its coroutines.
    for (auto& session : sessions_)
        session.drain();
    if (sessions_.empty())
        return;
    timer_.expires_at(deadline);
    timer_.async_wait([self = shared_from_this()](const error_code& ec) {
        if (ec)
            return;
        for (auto& session : self->sessions_)
            session.close();
    });
}

void Worker::upstream_reached(const std::optional<std::string>& error) {
    if (error && !upstream_down_)
        spdlog::warn("could not connect to the upstream of the wire door: {}", *error);
    else if (!error && upstream_down_)
        spdlog::info("connected to the upstream of the wire door again");
    upstream_down_ = error.has_value();
}

void Worker::balancer_spoke(const net::ip::address& balancer, bool header) {
    if (!header && !balancer_mistaken_)
        spdlog::warn(
            "a connection from {}, of wire.proxy_protocol, began without a header of the PROXY "
            "protocol, and was closed",
            balancer.to_string());
    else if (header && balancer_mistaken_)
        spdlog::info("a connection from {} began with a header of the PROXY protocol again",
                     balancer.to_string());
    balancer_mistaken_ = !header;
}

void Worker::limit(std::shared_ptr<limit::Limiter> limiter) {
    limiter_ = std::move(limiter);
    for (auto& session : sessions_)
        session.apply_limits();
}

const config::WireLimits& Worker::wire_limits() const {
    static const config::WireLimits none;
    return limiter_ ? limiter_->wire_limits() : none;
}

void Worker::limited(limit::Account::Kind kind, std::string_view whose, bool connection) {
    auto& counts = counters_.limits[kind];
    (connection ? counts.refused_connections : counts.refused).add();
    const auto now = Clock::now();
    if (now < next_line_) {
        ++unlogged_;
        return;
    }
    next_line_ = now + log_pause;
    constexpr std::string_view kinds[] = {"address", "user", "database"};
    std::string quoted;
    append_json_string(quoted, whose);
    spdlog::warn("{} of {} {} refused, and {} refusals since the last such line",
                 connection ? "a connection" : "queries", kinds[kind], quoted, unlogged_);
    unlogged_ = 0;
}

void Worker::join(Session& session) {
    if (sessions_.empty())
        look_again();
    sessions_.push_back(session);
    shared_->sockets.fetch_add(1, std::memory_order_relaxed);
}

void Worker::wait_for_client(Session& session) {
    if (session.waiting_hook_.is_linked())
        return;
    waiting_.push_back(session);
    const auto waiting = shared_->startups.fetch_add(1, std::memory_order_relaxed) + 1;
    if (waiting > settings().max_startups && &waiting_.front() != &session)
        waiting_.front().give_way();
}

void Worker::heard_from(Session& session) {
    if (!session.waiting_hook_.is_linked())
        return;
    session.waiting_hook_.unlink();
    shared_->startups.fetch_sub(1, std::memory_order_relaxed);
}

void Worker::leave(Session& session) {
    heard_from(session);
    session.unlink();
    shared_->sockets.fetch_sub(1, std::memory_order_relaxed);
    if (session.admitted_)
        shared_->sessions.fetch_sub(1, std::memory_order_relaxed);
    if (sessions_.empty()) {
        next_look_.cancel();
        if (draining_)
            timer_.cancel();
    }
}

// Has every session look for what epoll does not tell, once a second while there are any.
void Worker::look_again() {
    for (auto& session : sessions_)
        session.look_again();
    next_look_.expires_after(look_pause);
    next_look_.async_wait([self = shared_from_this()](const error_code& ec) {
        if (!ec && !self->sessions_.empty())
            self->look_again();
    });
}

}  // namespace muster::wire
