// One side of a session: a socket, and TLS on it if the peers agreed on that.
//
// TLS is OpenSSL's own non-blocking interface on the socket rather than Asio's stream, which keeps
// 34 KB of buffers per connection for as long as it is open: here an idle connection keeps none.
// One coroutine may read and another write at the same time, on one thread.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/generic/stream_protocol.hpp>
#include <openssl/ssl.h>

#include "runtime/asio.hpp"
#include "wire/buffers.hpp"
#include "wire/readiness.hpp"

namespace muster::wire {

// TCP or Unix.
using Protocol = net::generic::stream_protocol;
using Socket = net::basic_stream_socket<Protocol, Executor>;

bool would_block(const error_code& ec);

class Leg {
  public:
    explicit Leg(Socket socket) : socket_(std::move(socket)) {}

    Socket& socket() { return socket_; }
    bool is_tcp() const { return tcp_; }
    bool encrypted() const { return ssl_ != nullptr; }
    // Address of the other end, IPv4 inside IPv6 as IPv4; none of a Unix socket.
    std::optional<net::ip::address> peer() const;

    // Takes a connected socket: non-blocking, small messages sent at once, a vanished peer noticed.
    // Whatever was here before is gone.
    void adopt(Socket socket);

    // Begins TLS. On failure says why, and the connection is of no use any more. `context` makes
    // the difference between the two; `name` is what a server's certificate is checked against and
    // is told (SNI), empty for neither.
    Task<std::string> accept_tls(SSL_CTX& context);
    Task<std::string> connect_tls(SSL_CTX& context, const std::string& name, bool check_name);
    // Whether the peers agreed on the application protocol "postgresql" (ALPN).
    bool agreed_on_protocol() const;

    // Reads what is there, at most `room` bytes; would_block in `ec` if nothing is.
    // After that, wait for the socket to be wait_to_read().
    std::size_t read_now(char* to, std::size_t room, error_code& ec);
    Socket::wait_type wait_to_read() const { return wait_to_read_; }
    // If must_wait(), wait(); then read() what is there, at most BufferPool::buffer_size bytes:
    // into `block`, then one of `pool`, or without one if it is little. Valid until the next read.
    // would_block in `ec` if there was nothing after all. After so many reads in a row others get
    // their turn.
    bool must_wait() const { return reads_ >= turn || (drained_ && !interrupted_); }
    auto wait() {
        return suspend([this](Suspended task) { start_wait(std::move(task)); });
    }
    std::string_view read(BufferPool& pool, std::optional<BufferPool::Buffer>& block,
                          error_code& ec);

    // Ends a wait that is under way; the next read() says operation_aborted.
    void interrupt();

    // To be told after a read behind which the peer is likely to wait for us: the next one then
    // waits first. An end of the stream that has come together with what was read is noticed by
    // look_again() only, to be called once in a while.
    void expect_nothing();
    void look_again();

    // Writes what the peer takes at once and returns how much that was. The next write has to go on
    // with the rest.
    std::size_t write_now(std::string_view bytes, error_code& ec);
    // Writes all of `bytes`.
    Task<error_code> write(std::string_view bytes);

    // Says that nothing more will be sent.
    void shutdown_send();
    void close();

  private:
    struct Free {
        void operator()(SSL* ssl) const { SSL_free(ssl); }
    };

    Task<std::string> handshake();
    void start_wait(Suspended task);
    std::string_view read_plain(BufferPool& pool, std::optional<BufferPool::Buffer>& block,
                                error_code& ec);
    std::string_view read_encrypted(BufferPool& pool, std::optional<BufferPool::Buffer>& block,
                                    error_code& ec);
    std::size_t result(int returned, Socket::wait_type& wait, error_code& ec);
    void say_goodbye();

    static constexpr unsigned turn = 16;  // reads in a row

    Socket socket_;
    std::unique_ptr<SSL, Free> ssl_;
    Readiness<Socket> readiness_;
    unsigned reads_ = 0;     // since the last wait
    bool drained_ = false;   // there is nothing to read until readiness_ says so
    bool supposed_ = false;  // drained_ has not been seen but supposed
    bool short_ = false;     // the last read was given less than it had room for
    bool again_ = false;     // look_again() has ended the wait
    bool interrupted_ = false;
    bool writing_ = false;
    // Most messages fit, and need no block.
    std::array<char, 512> little_;
    error_code wait_error_;  // the last wait's, until it is read
    error_code read_error_;  // met behind bytes that were handed out first
    Socket::wait_type wait_to_read_ = Socket::wait_read;
    Socket::wait_type wait_to_write_ = Socket::wait_write;
    bool tcp_ = false;
    bool broken_ = false;  // TLS has failed, or has not begun: nothing may be said in it
};

}  // namespace muster::wire
