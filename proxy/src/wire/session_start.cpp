// A session's part up to the login: what its client wants, encryption, and the way to the upstream.
#include "wire/session.hpp"

#include <algorithm>
#include <optional>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <spdlog/spdlog.h>

#include "wire/proxy_protocol.hpp"
#include "wire/worker.hpp"

namespace muster::wire {

// Runs the session up to the point where its client has said all it has to say.
Task<> Session::serve() {
    error_code ec;
    co_await client_.socket().async_wait(Socket::wait_read, capture(ec));
    if (ec || !co_await read_proxy_header())
        co_return;
    std::optional<BufferPool::Buffer> buffer(worker_->buffers().take());
    std::size_t filled = 0;
    const auto packet = co_await read_startup(buffer->data(), filled);
    std::string_view rest;  // what the client has sent behind it
    if (packet.kind == startup::Kind::cancel) {
        co_await forward_cancel({buffer->data(), packet.length});
        co_return;
    }
    if (packet.kind == startup::Kind::startup) {
        co_await open({buffer->data(), packet.length});
        rest = {buffer->data() + packet.length, filled - packet.length};
    }
    co_await copy_to_server(std::move(buffer), rest);
}

// Reads the PROXY header of a load balancer that is configured to send one, and takes the client's
// address from it. Nothing behind it is read, only waited for: that may be TLS's. False if there is
// no such header and the session is at its end.
Task<bool> Session::read_proxy_header() {
    const auto& balancers = worker_->settings().proxy_protocol;
    const auto is_peer = [this](const config::Network& one) { return one.contains(*address_); };
    if (!address_ || std::none_of(balancers.begin(), balancers.end(), is_peer))
        co_return true;
    auto buffer = worker_->buffers().take();
    std::size_t filled = 0;
    for (;;) {
        error_code ec;
        const net::mutable_buffer free(buffer.data() + filled, proxy_protocol::max_length - filled);
        const auto seen = client_.socket().receive(free, Socket::message_peek, ec);
        proxy_protocol::Header header;
        if (!ec) {
            header = proxy_protocol::parse({buffer.data(), filled + seen});
            // As far as it is a header, it is ours.
            const auto ours =
                header.kind == proxy_protocol::Kind::header ? header.length - filled : seen;
            filled += client_.socket().receive(net::buffer(free, ours), 0, ec);
        }
        if (header.kind != proxy_protocol::Kind::incomplete)
            worker_->balancer_spoke(*address_, header.kind == proxy_protocol::Kind::header);
        if (header.kind == proxy_protocol::Kind::header && !ec) {
            worker_->counters().client_bytes.add(filled);
            if (header.client)
                address_ = *header.client;
            co_await client_.socket().async_wait(Socket::wait_read, capture(ec));
            co_return !ec;
        }
        if (header.kind == proxy_protocol::Kind::malformed)
            worker_->counters().refused.add();
        if (header.kind == proxy_protocol::Kind::malformed || (ec && !would_block(ec))) {
            close();
            co_return false;
        }
        co_await client_.socket().async_wait(Socket::wait_read, capture(ec));
        if (ec || phase_ == Phase::closing)
            co_return false;
    }
}

// Reads into `buffer` up to the packet that says what this connection is for, answering requests
// for encryption on the way. A packet that is neither startup nor cancel has been dealt with.
Task<startup::Packet> Session::read_startup(char* buffer, std::size_t& filled) {
    bool ssl_asked = false, gssenc_asked = false;
    error_code ec;
    if (offers_tls()) {
        // What was read by us cannot be read by TLS: only look.
        char first = 0;
        client_.socket().receive(net::buffer(&first, 1), Socket::message_peek, ec);
        if (!ec && first == startup::tls_handshake) {
            ssl_asked = true;
            if (!co_await begin_tls(false))
                co_return startup::Packet{};
        }
    }
    for (;;) {
        const auto n = client_.read_now(buffer + filled, BufferPool::buffer_size - filled, ec);
        if (would_block(ec)) {
            co_await client_.socket().async_wait(client_.wait_to_read(), capture(ec));
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
                if (worker_->settings().tls == "require" && offers_tls()) {
                    refuse({"28000", "the connection is not encrypted",
                            "Set sslmode=require, or a stricter one."});
                    co_return startup::Packet{};
                }
                co_return packet;
            case startup::Kind::cancel:  // libpq before 17 sends it without TLS always
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
                if (packet.kind == startup::Kind::ssl_request && offers_tls()) {
                    if (!co_await begin_tls(true))
                        co_return startup::Packet{};
                } else {
                    client_.write_now("N", ec);
                }
                break;
            }
        }
    }
}

// Whether this client may begin TLS now. As with PostgreSQL, TLS is for TCP.
bool Session::offers_tls() const {
    return client_.is_tcp() && !client_.encrypted() && worker_->settings().tls != "off";
}

// Does TLS's handshake, after the byte that agrees to it if it was asked for. False if that failed
// and the session is at its end.
Task<bool> Session::begin_tls(bool asked_for) {
    error_code ec;
    if (asked_for)
        client_.write_now("S", ec);
    const auto terms = worker_->terms();
    const auto error = co_await client_.accept_tls(*terms->tls.clients);
    if (phase_ == Phase::closing)
        co_return false;
    if (!error.empty()) {
        spdlog::debug("TLS with a client of the wire door failed: {}", error);
        worker_->counters().refused.add();
        close();
        co_return false;
    }
    // Else any TLS client, a browser for one, could be made to speak to a database.
    if (!asked_for && !client_.agreed_on_protocol()) {
        refuse({"08P01", "TLS without a request for it needs the ALPN protocol \"postgresql\""});
        co_return false;
    }
    co_return true;
}

// Opens the way to the upstream and sends it the startup message. On return the session is in
// login, or closing.
Task<> Session::open(std::string_view packet) {
    worker_->heard_from(*this);
    auto& shared = worker_->shared();
    if (!take_place(startup::parse(packet)))
        co_return;
    if (shared.sessions.fetch_add(1, std::memory_order_relaxed) >=
        worker_->settings().max_connections) {
        shared.sessions.fetch_sub(1, std::memory_order_relaxed);
        refuse({"53300", "sorry, too many clients already"});
        co_return;
    }
    admitted_ = true;
    worker_->counters().connections.add();
    if (worker_->statements())
        times_ = std::make_unique<StatementTimes>(*worker_->statements(),
                                                  address_ ? address_->to_string() : "[local]");

    arm(worker_->settings().connect_timeout, Phase::connecting);
    const bool reached = co_await connect_upstream();
    if (phase_ == Phase::closing)
        co_return;
    if (!reached) {
        worker_->counters().upstream_failures.add();
        fail({"08001", "could not connect to the upstream server"});
        co_return;
    }
    arm(worker_->settings().login_timeout, Phase::login);
    reading_server_ = true;
    net::co_spawn(
        timer_.get_executor(),
        [self = shared_from_this()]() -> Task<> {
            co_await self->copy_to_client();
            self->reading_server_ = false;
            if (!self->reading_client_)
                self->close();
        },
        net::detached);
    const auto ec = co_await server_.write(packet);
    server_broken_ = bool(ec);
}

Task<bool> Session::connect_upstream() {
    const auto upstream = worker_->upstream();
    if (upstream->is_name())
        key_reader_ = std::make_unique<KeyReader>();
    const auto deadline = Clock::now() + worker_->settings().connect_timeout;
    const auto error = co_await upstream->connect(server_, deadline);
    if (phase_ != Phase::closing)
        worker_->upstream_reached(error);
    co_return !error;
}

// Sends the packet to the server that gave out its key, or, if that was for a session of another
// proxy, to each address of the upstream: the others have no such key and do nothing.
Task<> Session::forward_cancel(std::string_view packet) {
    worker_->heard_from(*this);
    auto& cancels = worker_->shared().cancels;
    if (cancels.fetch_add(1, std::memory_order_relaxed) >= worker_->settings().max_cancels) {
        worker_->counters().refused.add();
    } else {
        worker_->counters().cancels.add();
        arm(worker_->settings().connect_timeout, Phase::cancelling);
        co_await send_cancel(packet);
    }
    cancels.fetch_sub(1, std::memory_order_relaxed);
    close();
}

// Over connections of its own. There is no reply; both sides know that it has been seen when the
// server closes.
Task<> Session::send_cancel(std::string_view packet) {
    const auto upstream = worker_->upstream();
    const auto deadline = Clock::now() + worker_->settings().connect_timeout;
    Upstream::Addresses addresses;
    if (const auto known = worker_->shared().cancel_keys.find(startup::cancel_key(packet)))
        addresses.push_back(*known);
    else
        co_await upstream->look_up(addresses, deadline);
    char ignored[64];
    for (std::size_t i = 0; i < addresses.size() && phase_ == Phase::cancelling; ++i) {
        // As with a session's connection, one that does not answer leaves time for the others.
        const auto now = Clock::now();
        const auto share = (deadline - now) / static_cast<int>(addresses.size() - i);
        Upstream::Addresses one(1, addresses[i]);
        const auto error = co_await upstream->connect(server_, std::move(one), now + share);
        if (phase_ != Phase::cancelling)
            co_return;
        worker_->upstream_reached(error);
        if (error)
            continue;
        auto ec = co_await server_.write(packet);
        while (!ec) {
            server_.read_now(ignored, sizeof ignored, ec);
            if (would_block(ec))
                co_await server_.socket().async_wait(server_.wait_to_read(), capture(ec));
        }
        server_.close();
    }
}

}  // namespace muster::wire
