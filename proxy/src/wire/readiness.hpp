// Waiting for a socket to become readable, without a system call.
//
// Asio has a socket in epoll once and for all, edge-triggered, and yet each of its waits costs a
// system call: async_wait() arms epoll again, and async_read_some() first tries to read, which is
// in vain where nobody speaks before he is spoken to. In this door that was a tenth of all
// processor time. Asio has no public way around it, so this is an operation of its reactor, made
// from what its `detail` namespace has in Boost 1.74 to 1.83: no other file is allowed to do that.
#pragma once

#include <optional>
#include <type_traits>
#include <utility>

#include <boost/asio/detail/reactor.hpp>
#include <boost/asio/detail/reactor_op.hpp>

#include "runtime/asio.hpp"

namespace muster::wire {

template <class Socket>
class Readiness : private net::detail::reactor_op {
  public:
    Readiness() : reactor_op(error_code(), &perform, &complete) {}
    Readiness(const Readiness&) = delete;
    Readiness& operator=(const Readiness&) = delete;

    // Waits until something has come since the last wait ended: bytes, the end, or an error. What
    // was there before is not told again, so read until would_block first. It may end without
    // anything, as the first one does. Cancelling or closing the socket ends it with
    // operation_aborted in `ec`, a closed one with bad_descriptor. One at a time, and no other wait
    // for the same socket to be readable; must outlive it.
    Task<> wait(Socket& socket, error_code& ec) {
        const auto start = [](Handler handler, Readiness* self, Socket* waiting, error_code* told) {
            self->handler_.emplace(std::move(handler));
            self->told_ = told;
            self->ec_ = {};
            if (self->reactor_ == nullptr)
                self->reactor_ = &net::use_service<Reactor>(waiting->get_executor().context());
            auto& implementation = Opened::implementation(*waiting);
            self->reactor_->start_op(Reactor::read_op, implementation.socket_,
                                     implementation.reactor_data_, self, true, true);
        };
        return net::async_initiate<const net::use_awaitable_t<Executor>, void()>(
            start, use_task, this, &socket, &ec);
    }

  private:
    using Reactor = net::detail::reactor;
    using Handler =
        typename net::async_result<std::decay_t<decltype(use_task)>, void()>::handler_type;

    // Lets its base's protected member be seen.
    struct Opened : Socket {
        static auto& implementation(Socket& socket) {
            return (socket.*&Opened::impl_).get_implementation();
        }
    };

    // Called by the reactor when epoll has told of the socket, and at the start if it has since
    // `done_and_exhausted` was last returned.
    static status perform(reactor_op*) { return done_and_exhausted; }

    static void complete(void* owner, net::detail::operation* base, const error_code&,
                         std::size_t) {
        auto* const self = static_cast<Readiness*>(base);
        Handler handler = std::move(*self->handler_);
        self->handler_.reset();
        if (owner == nullptr)  // the context ends, and with the handler the coroutine
            return;
        *self->told_ = self->ec_;
        handler();
    }

    Reactor* reactor_ = nullptr;  // of the socket's context, always the same
    std::optional<Handler> handler_;
    error_code* told_ = nullptr;
};

}  // namespace muster::wire
