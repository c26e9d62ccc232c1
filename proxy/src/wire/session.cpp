#include "wire/session.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "wire/worker.hpp"

namespace muster::wire {
namespace {

using namespace std::chrono_literals;

// How long a client may take to read our last words before the socket is closed for good. Closing
// with unread input would reset the connection, and the reset could overtake what we sent.
constexpr auto linger_time = 2s;

}  // namespace

Session::Session(std::shared_ptr<Worker> worker, Socket client)
    : worker_(std::move(worker)),
      client_(Socket(client.get_executor())),
      server_(Socket(client.get_executor())),
      timer_(client.get_executor()) {
    client_.adopt(std::move(client));
    address_ = client_.peer();
    worker_->join(*this);
}

Session::~Session() {
    worker_->leave(*this);
}

void Session::start() {
    arm(worker_->settings().startup_timeout, Phase::startup);
    worker_->wait_for_client(*this);
    net::co_spawn(
        timer_.get_executor(),
        [self = shared_from_this()]() -> Task<> {
            co_await self->serve();
            self->reading_client_ = false;
            if (!self->reading_server_)
                self->close();
        },
        net::detached);
}

// Copies the client's bytes until it has no more: first `bytes`, which lie in `block`. Once the
// session is closing, or the server takes nothing any more, they are read and dropped, so that
// closing does not reset the connection.
Task<> Session::copy_to_server(std::optional<BufferPool::Buffer> block, std::string_view bytes) {
    error_code ec;
    for (;;) {
        while (!bytes.empty() && phase_ != Phase::closing && !server_broken_) {
            if (throttle_.dropping()) {
                bytes.remove_prefix(co_await drop(bytes));
                continue;
            }
            const auto passing = bytes.substr(0, observe_client(bytes));
            if (from_client_.at_boundary())
                client_.expect_nothing();
            if (!from_client_.in_step()) {
                fail({"08P01", "invalid message length"});
                break;
            }
            const auto written = server_.write_now(passing, ec);
            if (!ec && written < passing.size())
                ec = co_await server_.write(passing.substr(written));
            server_broken_ = bool(ec);  // what it last said is still on its way to the client
            bytes.remove_prefix(passing.size());
            if (!bytes.empty())
                co_await hold(bytes);
        }
        block.reset();
        if (client_.must_wait())
            co_await client_.wait();
        bytes = client_.read(worker_->buffers(), block, ec);
        if (would_block(ec))
            continue;
        if (ec)
            break;
        if (phase_ != Phase::closing && !server_broken_)
            worker_->counters().client_bytes.add(bytes.size());
    }
    if (ec == net::error::eof && phase_ != Phase::closing)
        server_.shutdown_send();
    else
        close();
}

// Copies the server's bytes until it closes, the client is gone or the session has been told to go.
Task<> Session::copy_to_client() {
    error_code ec;
    for (;;) {
        if (!words_.empty() && from_server_.at_boundary()) {
            client_write_ = true;
            ec = co_await client_.write(words_);
            client_write_ = false;
            words_.clear();
            made_progress();
            if (ec) {
                close();
                break;
            }
            if (worker_->draining())
                leave_if_idle();
        }
        if (server_.must_wait())
            co_await server_.wait();
        std::optional<BufferPool::Buffer> block;
        auto bytes = server_.read(worker_->buffers(), block, ec);
        if (would_block(ec) || (ec == net::error::operation_aborted && phase_ == Phase::open))
            continue;  // there was nothing, or say() has words for the client
        if (ec)
            break;
        worker_->counters().server_bytes.add(bytes.size());
        std::string explained;
        if (phase_ == Phase::login && client_.encrypted() && server_.encrypted() &&
            from_server_.at_boundary()) {
            explained = explain_channel_binding(bytes);
            bytes = explained;
        }
        const bool logging_in = phase_ == Phase::login;
        if (!observe_server(bytes)) {
            close();
            break;
        }
        if (logging_in && phase_ == Phase::open && !co_await take_users_place(bytes))
            break;
        client_write_ = true;
        const auto written = client_.write_now(bytes, ec);
        if (!ec && written < bytes.size())
            ec = co_await client_.write(bytes.substr(written));
        client_write_ = false;
        if (ec) {
            close();
            break;
        }
        made_progress();
        if (worker_->draining())
            leave_if_idle();
    }
    if (phase_ == Phase::closing)
        co_return;
    if (answered_) {
        if (times_)
            times_->server_lost(pipeline_);
        linger();
    } else {
        worker_->counters().upstream_failures.add();
        fail({"08006", "the upstream server closed the connection before it answered"});
    }
}

// Returns how many of the bytes may go on: up to the sequence that the limits hold back.
std::size_t Session::observe_client(std::string_view bytes) {
    std::uint64_t messages = 0, queries = 0;
    const bool limited = throttle_.in_force();
    const auto time = limited || times_ ? Clock::now() : TimePoint();
    const auto now = limit::nanos(time);
    if (times_)
        times_->client_read_begins(time);
    const auto passing = from_client_.feed(
        bytes,
        [&](const MessageStart& message) {
            ++messages;
            if (times_ ? times_->from_client(pipeline_, message)
                       : pipeline_.from_client(message.type)) {
                ++queries;
                throttle_.charge(now);
            }
        },
        [&](std::string_view more) {
            if (times_)
                times_->more_from_client(pipeline_, more);
        },
        [&](char type) { return throttle_.may_begin(type, pipeline_, now); });
    if (phase_ == Phase::login && messages > 0 && from_client_.at_boundary())
        worker_->heard_from(*this);
    worker_->counters().client_messages.add(messages);
    worker_->counters().queries.add(queries);
    if (limited && queries > 0)
        worker_->admitted(throttle_.account(), queries);
    return passing;
}

bool Session::observe_server(std::string_view bytes) {
    std::uint64_t messages = 0;
    char last = '\0';
    const bool in_step = from_server_.feed(
        bytes,
        [&](const MessageStart& message) {
            ++messages;
            last = message.type;
            if (times_)
                times_->from_server(pipeline_, message);
            else
                pipeline_.from_server(message.type, message.first, [](const Pipeline::End&) {});
        },
        [&](std::string_view more) {
            if (times_)
                times_->more_from_server(pipeline_, more);
        });
    if (times_)
        times_->server_read_ends();
    worker_->counters().server_messages.add(messages);
    answered_ = true;
    // Behind a ReadyForQuery; behind the last words of a server that goes its end is awaited.
    if (last == 'Z' && from_server_.at_boundary() && pipeline_.answered())
        server_.expect_nothing();
    if (phase_ != Phase::login || !in_step)
        return in_step;
    if (key_reader_)
        key_reader_->feed(bytes);
    if (pipeline_.started())
        logged_in();
    else if (from_server_.at_boundary())
        worker_->wait_for_client(*this);
    return true;
}

void Session::logged_in() {
    phase_ = Phase::open;
    timer_.cancel();
    worker_->heard_from(*this);
    apply_limits();
    if (!key_reader_)
        return;
    error_code ec;
    const auto address = server_.socket().remote_endpoint(ec);
    if (!ec && !key_reader_->key().empty())
        cancel_key_.emplace(worker_->shared().cancel_keys, key_reader_->key(), address);
    key_reader_.reset();
}

void Session::drain() {
    if (phase_ == Phase::startup)
        fail({"57P03", "the proxy is shutting down"});
    else if (phase_ == Phase::open)
        leave_if_idle();
}

void Session::look_again() {
    client_.look_again();
    server_.look_again();
}

// Ends the session if neither side would miss anything: no request is under way or half sent.
void Session::leave_if_idle() {
    if (phase_ != Phase::open || !pipeline_.idle() || !from_client_.at_boundary() ||
        client_write_ || !words_.empty() || !from_server_.at_boundary())
        return;
    error_code ignored;
    server_.write_now(terminate, ignored);
    fail({"57P01", "terminating connection because the proxy is shutting down"});
}

// Turns a client away before it has become a session.
void Session::refuse(const Fatal& error) {
    worker_->counters().refused.add();
    fail(error);
    worker_->wait_for_client(*this);
}

// Closes the session, whose client has let us wait longer than others.
void Session::give_way() {
    if (phase_ != Phase::closing)  // it has been told, and counted
        worker_->counters().refused.add();
    if (phase_ == Phase::login && !client_write_) {
        error_code ignored;
        client_.write_now(encode({"53300", "too many clients have yet to log in"}), ignored);
    }
    close();
}

// Tells the client why, unless that would end up inside another message, and closes.
void Session::fail(const Fatal& error) {
    if (!client_write_ && from_server_.at_boundary()) {
        error_code ignored;
        client_.write_now(encode(error), ignored);
    }
    linger();
}

// Closes the way to the server, and the client's socket as soon as the client has closed it or the
// time for that is up.
void Session::linger() {
    server_.close();
    client_.shutdown_send();
    arm(linger_time, Phase::closing);
}

void Session::close() {
    phase_ = Phase::closing;
    worker_->heard_from(*this);
    client_.close();
    server_.close();
    timer_.cancel();
}

// Enters `phase` and gives it until `after` from now.
void Session::arm(Clock::duration after, Phase phase) {
    phase_ = phase;
    timer_.expires_after(after);
    timer_.async_wait([self = shared_from_this()](const error_code& ec) {
        // Armed again after this wait had ended but before its handler ran: not expired.
        if (!ec && self->timer_.expiry() <= Clock::now())
            self->expired();
    });
}

void Session::expired() {
    switch (phase_) {
        case Phase::startup:
            worker_->counters().refused.add();
            close();
            break;
        case Phase::connecting:
            server_.close();  // open() is told, and tells the client
            break;
        case Phase::login:
            if (answered_) {
                worker_->counters().refused.add();
                fail({"28000", "login took too long"});
            } else {
                worker_->counters().upstream_failures.add();
                fail({"08006", "the upstream server does not answer"});
            }
            break;
        case Phase::open:
            break;
        case Phase::closing:
        case Phase::cancelling:
            close();
            break;
    }
}

}  // namespace muster::wire
