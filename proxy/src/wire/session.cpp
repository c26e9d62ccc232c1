#include "wire/session.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/write.hpp>

#include "wire/worker.hpp"

namespace muster::wire {
namespace {

using namespace std::chrono_literals;

// How long a client may take to read our last words before the socket is closed for good. Closing
// with unread input would reset the connection, and the reset could overtake what we sent.
constexpr auto linger_time = 2s;

constexpr std::string_view terminate{"X\0\0\0\4", 5};

bool would_block(const error_code& ec) {
    return ec == net::error::would_block || ec == net::error::try_again;
}

// Writes what the socket takes at once and returns how much that was.
std::size_t write_now(Socket& socket, std::string_view bytes, error_code& ec) {
    const auto written = socket.write_some(net::buffer(bytes), ec);
    if (!would_block(ec))
        return written;
    ec = {};
    return 0;
}

}  // namespace

Session::Session(std::shared_ptr<Worker> worker, Socket client)
    : worker_(std::move(worker)),
      client_(std::move(client)),
      server_(client_.get_executor()),
      timer_(client_.get_executor()) {
    worker_->join(*this);
}

Session::~Session() {
    worker_->leave(*this);
}

void Session::start() {
    tune(client_);
    arm(worker_->settings().startup_timeout, Phase::startup);
    net::co_spawn(
        client_.get_executor(),
        [self = shared_from_this()]() -> Task<> {
            co_await self->serve();
            self->reading_client_ = false;
            if (!self->reading_server_)
                self->close();
        },
        net::detached);
}

// Runs the session up to the point where its client has said all it has to say.
Task<> Session::serve() {
    error_code ec;
    co_await client_.async_wait(Socket::wait_read, capture(ec));
    if (ec)
        co_return;
    {
        auto buffer = worker_->buffers().take();
        std::size_t filled = 0;
        const auto packet = co_await read_startup(buffer.data(), filled);
        if (packet.kind == startup::Kind::cancel) {
            co_await forward_cancel({buffer.data(), packet.length});
            co_return;
        }
        if (packet.kind == startup::Kind::startup)
            co_await open({buffer.data(), filled}, packet.length);
    }
    co_await copy_to_server();
}

// Reads into `buffer` up to the packet that says what this connection is for, answering requests
// for encryption on the way. A packet that is neither startup nor cancel has been dealt with.
Task<startup::Packet> Session::read_startup(char* buffer, std::size_t& filled) {
    constexpr std::string_view no_encryption = "N";
    bool ssl_asked = false, gssenc_asked = false;
    error_code ec;
    for (;;) {
        const auto room = net::buffer(buffer + filled, BufferPool::buffer_size - filled);
        const auto n = client_.read_some(room, ec);
        if (would_block(ec)) {
            co_await client_.async_wait(Socket::wait_read, capture(ec));
            if (!ec)
                continue;
        }
        if (ec || phase_ == Phase::closing) {
            if (ec)
                close();
            co_return startup::Packet{};
        }
        worker_->counters().client_bytes.add(n);
        filled += n;

        const auto packet = startup::parse({buffer, filled});
        switch (packet.kind) {
            case startup::Kind::incomplete:
                break;
            case startup::Kind::startup:
            case startup::Kind::cancel:
                co_return packet;
            case startup::Kind::unsupported:
                refuse({"0A000", "unsupported frontend protocol",
                        "Only version 3 of the protocol is supported."});
                co_return packet;
            case startup::Kind::malformed:
                refuse({"08P01", packet.mistake});
                co_return packet;
            case startup::Kind::ssl_request:
            case startup::Kind::gssenc_request: {
                bool& asked = packet.kind == startup::Kind::ssl_request ? ssl_asked : gssenc_asked;
                // Bytes sent before our answer were never meant for an unencrypted connection, or
                // were put there by somebody in between.
                if (asked || filled > packet.length) {
                    refuse({"08P01", asked ? "repeated request for encryption"
                                           : "received data behind a request for encryption"});
                    co_return packet;
                }
                asked = true;
                filled = 0;
                write_now(client_, no_encryption, ec);
                break;
            }
        }
    }
}

// Opens the way to the upstream and sends it `bytes`: the startup message of `length` and whatever
// the client sent behind it. On return the session is in login, or closing.
Task<> Session::open(std::string_view bytes, std::size_t length) {
    const auto& settings = worker_->settings();
    auto& shared = worker_->shared();
    if (shared.sessions.fetch_add(1, std::memory_order_relaxed) >= settings.max_connections) {
        shared.sessions.fetch_sub(1, std::memory_order_relaxed);
        refuse({"53300", "sorry, too many clients already"});
        co_return;
    }
    admitted_ = true;
    worker_->counters().connections.add();

    arm(settings.connect_timeout, Phase::connecting);
    auto ec =
        co_await worker_->upstream().connect(server_, Clock::now() + settings.connect_timeout);
    if (phase_ == Phase::closing)
        co_return;
    worker_->upstream_reached(ec);
    if (ec) {
        worker_->counters().upstream_failures.add();
        fail({"08001", "could not connect to the upstream server"});
        co_return;
    }
    arm(settings.login_timeout, Phase::login);
    if (!observe_client(bytes.substr(length))) {
        refuse({"08P01", "invalid message length"});
        co_return;
    }
    reading_server_ = true;
    net::co_spawn(
        client_.get_executor(),
        [self = shared_from_this()]() -> Task<> {
            co_await self->copy_to_client();
            self->reading_server_ = false;
            if (!self->reading_client_)
                self->close();
        },
        net::detached);
    co_await net::async_write(server_, net::buffer(bytes), capture(ec));
    server_broken_ = bool(ec);
}

// Sends the packet on over a connection of its own. There is no reply; both sides know that it has
// been seen when the server closes.
Task<> Session::forward_cancel(std::string_view packet) {
    auto& cancels = worker_->shared().cancels;
    if (cancels.fetch_add(1, std::memory_order_relaxed) >= worker_->settings().max_cancels) {
        worker_->counters().refused.add();
    } else {
        worker_->counters().cancels.add();
        const auto bound = worker_->settings().connect_timeout;
        arm(bound, Phase::cancelling);
        auto ec = co_await worker_->upstream().connect(server_, Clock::now() + bound);
        if (phase_ != Phase::closing)
            worker_->upstream_reached(ec);
        if (!ec)
            co_await net::async_write(server_, net::buffer(packet), capture(ec));
        char ignored[64];
        while (!ec)
            co_await server_.async_read_some(net::buffer(ignored), capture(ec));
    }
    cancels.fetch_sub(1, std::memory_order_relaxed);
    close();
}

// Copies the client's bytes until it has no more. Once the session is closing, or the server takes
// nothing any more, they are read and dropped, so that closing does not reset the connection.
Task<> Session::copy_to_server() {
    error_code ec;
    for (;;) {
        co_await client_.async_wait(Socket::wait_read, capture(ec));
        if (ec)
            break;
        auto buffer = worker_->buffers().take();
        const auto n = client_.read_some(net::buffer(buffer.data(), BufferPool::buffer_size), ec);
        if (would_block(ec))
            continue;
        if (ec)
            break;
        if (phase_ == Phase::closing || server_broken_)
            continue;
        const std::string_view bytes{buffer.data(), n};
        worker_->counters().client_bytes.add(n);
        if (!observe_client(bytes)) {
            fail({"08P01", "invalid message length"});
            continue;
        }
        const auto written = write_now(server_, bytes, ec);
        if (!ec && written < n)
            co_await net::async_write(server_, net::buffer(bytes.substr(written)), capture(ec));
        server_broken_ = bool(ec);  // what it last said is still on its way to the client
    }
    if (ec == net::error::eof && phase_ != Phase::closing)
        server_.shutdown(Socket::shutdown_send, ec);
    else
        close();
}

// Copies the server's bytes until it closes, the client is gone or the session has been told to go.
Task<> Session::copy_to_client() {
    error_code ec;
    for (;;) {
        co_await server_.async_wait(Socket::wait_read, capture(ec));
        if (ec)
            break;
        auto buffer = worker_->buffers().take();
        const auto n = server_.read_some(net::buffer(buffer.data(), BufferPool::buffer_size), ec);
        if (would_block(ec))
            continue;
        if (ec)
            break;
        const std::string_view bytes{buffer.data(), n};
        worker_->counters().server_bytes.add(n);
        if (!observe_server(bytes)) {
            close();
            break;
        }
        client_write_ = true;
        const auto written = write_now(client_, bytes, ec);
        if (!ec && written < n)
            co_await net::async_write(client_, net::buffer(bytes.substr(written)), capture(ec));
        client_write_ = false;
        if (ec) {
            close();
            break;
        }
        if (worker_->draining())
            leave_if_idle();
    }
    if (phase_ == Phase::closing)
        co_return;
    if (answered_) {
        linger();
    } else {
        worker_->counters().upstream_failures.add();
        fail({"08006", "the upstream server closed the connection before it answered"});
    }
}

bool Session::observe_client(std::string_view bytes) {
    std::uint64_t messages = 0, queries = 0;
    const bool in_step = from_client_.feed(bytes, [&](const MessageStart& message) {
        ++messages;
        queries += conversation_.from_client(message.type);
    });
    worker_->counters().client_messages.add(messages);
    worker_->counters().queries.add(queries);
    return in_step;
}

bool Session::observe_server(std::string_view bytes) {
    std::uint64_t messages = 0;
    const bool in_step = from_server_.feed(bytes, [&](const MessageStart& message) {
        ++messages;
        conversation_.from_server(message.type, message.first);
    });
    worker_->counters().server_messages.add(messages);
    answered_ = true;
    if (phase_ == Phase::login && conversation_.started()) {
        phase_ = Phase::open;
        timer_.cancel();
    }
    return in_step;
}

void Session::drain() {
    if (phase_ == Phase::startup)
        fail({"57P03", "the proxy is shutting down"});
    else if (phase_ == Phase::open)
        leave_if_idle();
}

// Ends the session if neither side would miss anything: no request is under way or half sent.
void Session::leave_if_idle() {
    if (phase_ != Phase::open || !conversation_.idle() || !from_client_.at_boundary() ||
        client_write_ || !from_server_.at_boundary())
        return;
    error_code ignored;
    write_now(server_, terminate, ignored);
    fail({"57P01", "terminating connection because the proxy is shutting down"});
}

// Turns a client away before it has become a session.
void Session::refuse(const Fatal& error) {
    worker_->counters().refused.add();
    fail(error);
}

// Tells the client why, unless that would end up inside another message, and closes.
void Session::fail(const Fatal& error) {
    if (!client_write_ && from_server_.at_boundary()) {
        error_code ignored;
        write_now(client_, encode(error), ignored);
    }
    linger();
}

// Closes the way to the server, and the client's socket as soon as the client has closed it or the
// time for that is up.
void Session::linger() {
    error_code ignored;
    server_.close(ignored);
    client_.shutdown(Socket::shutdown_send, ignored);
    arm(linger_time, Phase::closing);
}

void Session::close() {
    phase_ = Phase::closing;
    error_code ignored;
    client_.close(ignored);
    server_.close(ignored);
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
    error_code ignored;
    switch (phase_) {
        case Phase::startup:
            worker_->counters().refused.add();
            close();
            break;
        case Phase::connecting:
            server_.close(ignored);  // open() is told, and tells the client
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
