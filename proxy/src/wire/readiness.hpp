// Waiting for a socket to become readable, without a system call and without an allocation.
//
// Asio has a socket in epoll once and for all, edge-triggered, and yet each of its waits costs a
// system call: async_wait() arms epoll again, and async_read_some() first tries to read, which is
// in vain where nobody speaks before he is spoken to. In this door that was a tenth of all
// processor time. Asio has no public way around it, so this is an operation of its reactor, made
// from what its `detail` namespace has in Boost 1.74 to 1.83, as is the handle of a coroutine that
// waits for it: an awaitable would be a coroutine of its own for each wait. No other file is
// allowed to do that.
#pragma once

#include <optional>
#include <utility>

#include <boost/asio/detail/reactor.hpp>
#include <boost/asio/detail/reactor_op.hpp>

#include "runtime/asio.hpp"

namespace muster::wire {

// A Task that is suspended, with all that await it. To be called once, which resumes it, on its
// thread; a handler to any operation of Asio without results. Not called, it ends the Task.
class Suspended : public net::detail::awaitable_thread<Executor> {
  public:
    using Thread = net::detail::awaitable_thread<Executor>;
    using Frame = net::detail::awaitable_frame_base<Executor>;

    explicit Suspended(Frame* frame) : Thread(std::move(*frame->detach_thread())), frame_(frame) {}

    void operator()() {
        frame_->attach_thread(this);
        pump();
    }

  private:
    Frame* frame_;
};

// `co_await suspend(start)` in a Task suspends it and calls `start(Suspended)`.
template <class Start>
auto suspend(Start start) {
    return [start](Suspended::Frame* frame) -> Suspended::Thread* {
        start(Suspended(frame));
        return nullptr;
    };
}

template <class Socket>
class Readiness : private net::detail::reactor_op {
  public:
    Readiness() : reactor_op(error_code(), &perform, &complete) {}
    Readiness(const Readiness&) = delete;
    Readiness& operator=(const Readiness&) = delete;

    // Resumes `task` when something has come since the last wait ended: bytes, the end, or an
    // error. What was there before is not told again, so read until would_block first. It may end
    // without anything, as the first one does. Cancelling or closing the socket ends it with
    // operation_aborted in `ec`, a closed one with bad_descriptor. One at a time, and no other wait
    // for the same socket to be readable; must outlive it.
    void wait(Socket& socket, error_code& ec, Suspended task) {
        task_.emplace(std::move(task));
        told_ = &ec;
        ec_ = {};
        if (reactor_ == nullptr)
            reactor_ = &net::use_service<Reactor>(socket.get_executor().context());
        auto& implementation = Opened::implementation(socket);
        reactor_->start_op(Reactor::read_op, implementation.socket_, implementation.reactor_data_,
                           this, true, true);
    }

  private:
    using Reactor = net::detail::reactor;

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
        Suspended task = std::move(*self->task_);
        self->task_.reset();
        if (owner == nullptr)  // the context ends, and with it the task
            return;
        *self->told_ = self->ec_;
        task();
    }

    Reactor* reactor_ = nullptr;  // of the socket's context, always the same
    std::optional<Suspended> task_;
    error_code* told_ = nullptr;
};

}  // namespace muster::wire
