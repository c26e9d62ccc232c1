#include "wire/leg.hpp"

#include <algorithm>
#include <climits>
#include <cstring>

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "config/network.hpp"
#include "wire/tls.hpp"

namespace muster::wire {
namespace {

void set(Socket& socket, int option, int value) {
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, option, &value, sizeof value);
}

error_code io_error() {
    return errno == 0 ? error_code(net::error::eof)
                      : error_code(errno, boost::system::system_category());
}

}  // namespace

bool would_block(const error_code& ec) {
    return ec == net::error::would_block || ec == net::error::try_again;
}

void Leg::adopt(Socket socket) {
    socket_ = std::move(socket);
    ssl_.reset();
    drained_ = supposed_ = short_ = again_ = interrupted_ = broken_ = false;
    wait_error_ = read_error_ = {};
    wait_to_read_ = Socket::wait_read;
    wait_to_write_ = Socket::wait_write;
    error_code ec;
    const auto family = socket_.local_endpoint(ec).protocol().family();
    tcp_ = !ec && family != AF_UNIX;
    socket_.non_blocking(true, ec);
    if (!tcp_)
        return;
    socket_.set_option(net::socket_base::keep_alive(true), ec);
    set(socket_, TCP_NODELAY, 1);
    // A vanished peer is noticed after 60 + 3 * 10 seconds of silence.
    set(socket_, TCP_KEEPIDLE, 60);
    set(socket_, TCP_KEEPINTVL, 10);
    set(socket_, TCP_KEEPCNT, 3);
}

std::optional<net::ip::address> Leg::peer() const {
    error_code ec;
    const auto endpoint = socket_.remote_endpoint(ec);
    const auto family = endpoint.protocol().family();
    if (ec || (family != AF_INET && family != AF_INET6))
        return std::nullopt;
    net::ip::tcp::endpoint tcp;
    tcp.resize(endpoint.size());
    std::memcpy(tcp.data(), endpoint.data(), endpoint.size());
    return config::unmapped(tcp.address());
}

Task<std::string> Leg::accept_tls(SSL_CTX& context) {
    ssl_.reset(SSL_new(&context));
    if (!ssl_)
        co_return tls::openssl_error();
    SSL_set_accept_state(ssl_.get());
    co_return co_await handshake();
}

Task<std::string> Leg::connect_tls(SSL_CTX& context, const std::string& name, bool check_name) {
    ssl_.reset(SSL_new(&context));
    if (!ssl_)
        co_return tls::openssl_error();
    SSL_set_connect_state(ssl_.get());
    error_code not_numeric;
    net::ip::make_address(name, not_numeric);
    if (!name.empty() && not_numeric)
        SSL_set_tlsext_host_name(ssl_.get(), name.c_str());
    if (check_name) {
        SSL_set_hostflags(ssl_.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        const int known =
            not_numeric ? SSL_set1_host(ssl_.get(), name.c_str())
                        : X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), name.c_str());
        if (known != 1)
            co_return "no name to check the server's certificate against";
    }
    co_return co_await handshake();
}

// Empty when it succeeded. What was read from the socket before has no part in it, so that bytes
// put in front of the handshake by somebody in between make it fail.
Task<std::string> Leg::handshake() {
    broken_ = true;
    if (SSL_set_fd(ssl_.get(), socket_.native_handle()) != 1)
        co_return tls::openssl_error();
    for (;;) {
        if (!socket_.is_open())
            co_return "closed";
        ERR_clear_error();
        errno = 0;
        const int returned = SSL_do_handshake(ssl_.get());
        if (returned == 1)
            break;
        error_code ec;
        auto wait = Socket::wait_read;
        result(returned, wait, ec);
        if (!would_block(ec)) {
            const auto text = tls::handshake_error(*ssl_);
            co_return text.empty() ? ec.message() : text;
        }
        co_await socket_.async_wait(wait, capture(ec));
        if (ec)
            co_return ec.message();
    }
    broken_ = false;
    co_return std::string();
}

bool Leg::agreed_on_protocol() const {
    const unsigned char* name = nullptr;
    unsigned length = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &length);
    return length > 0;
}

// What an OpenSSL call that `returned` this means: bytes, or `ec`. For would_block, `wait` is what
// the socket has to be ready for.
std::size_t Leg::result(int returned, Socket::wait_type& wait, error_code& ec) {
    ec = {};
    if (returned > 0)
        return static_cast<std::size_t>(returned);
    switch (SSL_get_error(ssl_.get(), returned)) {
        case SSL_ERROR_WANT_READ:
            wait = Socket::wait_read;
            ec = net::error::would_block;
            break;
        case SSL_ERROR_WANT_WRITE:
            wait = Socket::wait_write;
            ec = net::error::would_block;
            break;
        case SSL_ERROR_ZERO_RETURN:
            ec = net::error::eof;
            break;
        case SSL_ERROR_SYSCALL:
            ec = io_error();
            broken_ = true;
            break;
        default:
            ec = net::error::connection_aborted;
            broken_ = true;
    }
    return 0;
}

std::size_t Leg::read_now(char* to, std::size_t room, error_code& ec) {
    if (!ssl_)
        return socket_.read_some(net::buffer(to, room), ec);
    if (!socket_.is_open()) {  // its descriptor may be another's by now
        ec = net::error::bad_descriptor;
        return 0;
    }
    ERR_clear_error();
    errno = 0;
    wait_to_read_ = Socket::wait_read;
    const int wanted = static_cast<int>(std::min<std::size_t>(room, INT_MAX));
    return result(SSL_read(ssl_.get(), to, wanted), wait_to_read_, ec);
}

// Waits for the socket to have something, or for TLS to be able to write what it has to before.
// SSL_read() says that it wants to read only when the socket had nothing (SSL_MODE_AUTO_RETRY).
void Leg::start_wait(Suspended task) {
    reads_ = 0;
    if (!drained_ || interrupted_)  // it has had its turn
        net::post(socket_.get_executor(), std::move(task));
    else if (wait_to_read_ == Socket::wait_read)
        readiness_.wait(socket_, wait_error_, std::move(task));
    else
        socket_.async_wait(wait_to_read_,
                           [this, rest = std::move(task)](const error_code& ec) mutable {
                               wait_error_ = ec;
                               rest();
                           });
}

std::string_view Leg::read(BufferPool& pool, std::optional<BufferPool::Buffer>& block,
                           error_code& ec) {
    ++reads_;
    ec = std::exchange(wait_error_, {});
    drained_ = supposed_ = false;
    if (std::exchange(again_, false) && ec == net::error::operation_aborted && socket_.is_open())
        ec = {};
    if (std::exchange(interrupted_, false))
        ec = net::error::operation_aborted;
    if (!ec)
        ec = std::exchange(read_error_, {});
    if (ec)
        return {};
    const auto bytes = ssl_ ? read_encrypted(pool, block, ec) : read_plain(pool, block, ec);
    drained_ = drained_ || would_block(ec);
    return bytes;
}

std::string_view Leg::read_plain(BufferPool& pool, std::optional<BufferPool::Buffer>& block,
                                 error_code& ec) {
    auto n = read_now(little_.data(), little_.size(), ec);
    short_ = n < little_.size();
    if (short_ || ec)
        return {little_.data(), n};
    block.emplace(pool.take());
    std::memcpy(block->data(), little_.data(), n);
    const auto more = read_now(block->data() + n, BufferPool::buffer_size - n, read_error_);
    n += more;
    short_ = n < BufferPool::buffer_size;
    if (would_block(read_error_)) {
        read_error_ = {};
        drained_ = true;
    }
    return {block->data(), n};
}

std::string_view Leg::read_encrypted(BufferPool& pool, std::optional<BufferPool::Buffer>& block,
                                     error_code& ec) {
    block.emplace(pool.take());
    const auto n = read_now(block->data(), BufferPool::buffer_size, ec);
    if (ec)
        block.reset();
    return ec ? std::string_view() : std::string_view{block->data(), n};
}

void Leg::interrupt() {
    interrupted_ = true;
    error_code ignored;
    socket_.cancel(ignored);
}

void Leg::expect_nothing() {
    if (ssl_ || !short_ || drained_ || read_error_)
        return;
    drained_ = supposed_ = true;
}

// Of an end or an error that epoll has told of together with bytes, epoll does not tell again.
void Leg::look_again() {
    if (!supposed_ || writing_ || !socket_.is_open())
        return;
    char ignored = 0;
    error_code ec;
    socket_.receive(net::buffer(&ignored, 1), Socket::message_peek, ec);
    supposed_ = false;
    if (would_block(ec))
        return;
    again_ = true;
    drained_ = false;
    if (ec != net::error::eof)
        read_error_ = ec;  // told once
    socket_.cancel(ec);
}

std::size_t Leg::write_now(std::string_view bytes, error_code& ec) {
    std::size_t written = 0;
    if (!ssl_) {
        written = socket_.write_some(net::buffer(bytes), ec);
    } else if (!socket_.is_open() || bytes.empty()) {
        ec = bytes.empty() ? error_code() : error_code(net::error::bad_descriptor);
    } else {
        ERR_clear_error();
        errno = 0;
        wait_to_write_ = Socket::wait_write;
        const int size = static_cast<int>(std::min<std::size_t>(bytes.size(), INT_MAX));
        written = result(SSL_write(ssl_.get(), bytes.data(), size), wait_to_write_, ec);
    }
    if (!would_block(ec))
        return written;
    ec = {};
    return 0;
}

Task<error_code> Leg::write(std::string_view bytes) {
    error_code ec;
    for (;;) {
        bytes.remove_prefix(write_now(bytes, ec));
        if (ec || bytes.empty())
            co_return ec;
        writing_ = true;
        co_await socket_.async_wait(wait_to_write_, capture(ec));
        writing_ = false;
        if (ec)
            co_return ec;
    }
}

// Tells the peer that the end of what was sent is the true end.
void Leg::say_goodbye() {
    if (!ssl_ || broken_ || !socket_.is_open())
        return;
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
}

void Leg::shutdown_send() {
    say_goodbye();
    error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
}

void Leg::close() {
    say_goodbye();
    error_code ignored;
    socket_.close(ignored);
}

}  // namespace muster::wire
