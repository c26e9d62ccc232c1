// libpq's socket as a coroutine waits for it.
#include "postgres/socket.hpp"

namespace muster::postgres {

Socket::Socket(net::io_context& context) : descriptor_(context), timer_(context) {}

std::shared_ptr<Socket> Socket::make(net::io_context& context) {
    struct Made : Socket {
        explicit Made(net::io_context& c) : Socket(c) {}
        ~Made() { release(); }  // the descriptor is libpq's to close
    };
    return std::make_shared<Made>(context);
}

void Socket::watch(int fd) {
    release();
    if (fd < 0)
        return;
    error_code ec;
    descriptor_.assign(fd, ec);
    if (!ec)
        fd_ = fd;
}

void Socket::release() {
    if (fd_ < 0)
        return;
    descriptor_.release();
    fd_ = -1;
}

void Socket::set_deadline(TimePoint deadline) {
    deadline_ = deadline;
    expired_ = false;
    if (!armed_for_ || deadline < *armed_for_)
        arm(deadline);
}

void Socket::clear_deadline() {
    deadline_.reset();
    expired_ = false;
}

void Socket::arm(TimePoint at) {
    armed_for_ = at;
    timer_.expires_at(at);
    // A handler that is already queued can no longer be cancelled: it may find us gone, or
    // re-armed.
    timer_.async_wait([weak = weak_from_this(), turn = ++turn_](error_code) {
        if (auto self = weak.lock(); self && self->turn_ == turn)
            self->on_timer();
    });
}

void Socket::on_timer() {
    armed_for_.reset();
    if (!deadline_)
        return;
    if (Clock::now() < *deadline_)
        return arm(*deadline_);
    expired_ = true;
    error_code ignored;
    if (fd_ >= 0)
        descriptor_.cancel(ignored);
}

Task<Socket::Event> Socket::wait(StreamDescriptor::wait_type direction) {
    if (expired_)
        co_return Event::expired;
    if (fd_ < 0)
        co_return Event::failed;
    error_code ec;
    co_await descriptor_.async_wait(direction, capture(ec));
    if (expired_)
        co_return Event::expired;
    co_return ec ? Event::failed : Event::ready;
}

Task<Socket::Event> Socket::readable() {
    return wait(StreamDescriptor::wait_read);
}

Task<Socket::Event> Socket::writable() {
    return wait(StreamDescriptor::wait_write);
}

Task<Socket::Event> Socket::readable_or_writable() {
    if (expired_)
        co_return Event::expired;
    if (fd_ < 0)
        co_return Event::failed;
    struct Reading {
        bool waiting = true;  // the coroutine is suspended in the wait below
        bool ready = false;
    };
    auto reading = std::make_shared<Reading>();
    descriptor_.async_wait(StreamDescriptor::wait_read, [this, reading](error_code ec) {
        if (ec || !reading->waiting)
            return;
        reading->ready = true;
        error_code ignored;
        descriptor_.cancel(ignored);
    });
    error_code ec;
    co_await descriptor_.async_wait(StreamDescriptor::wait_write, capture(ec));
    reading->waiting = false;
    error_code ignored;
    if (fd_ >= 0)
        descriptor_.cancel(ignored);
    if (expired_)
        co_return Event::expired;
    co_return ec && !reading->ready ? Event::failed : Event::ready;
}

}  // namespace muster::postgres
