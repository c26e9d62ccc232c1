// The life of a connection, request by request.
#include "http/session.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <limits>
#include <random>

#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <spdlog/spdlog.h>

#include "http/header_value.hpp"
#include "http/problem.hpp"

namespace muster::http {
namespace {

namespace beast_http = boost::beast::http;
using namespace std::chrono_literals;

constexpr std::size_t first_read = 4096;
constexpr std::size_t kept_buffer = 16 * 1024;  // of an idle connection
constexpr std::size_t discardable = 64 * 1024;  // of an unwanted body, to keep the connection
constexpr std::size_t most_lingering = 64 * 1024 * 1024;  // read and forgotten before closing
constexpr auto linger_time = 1s;
constexpr auto last_request_time = 1s;  // when stopping, of an idle connection

std::string_view view(boost::beast::string_view text) {
    return {text.data(), text.size()};
}

bool is_http_error(const error_code& ec) {
    return ec.category() == beast_http::make_error_code(beast_http::error::bad_value).category();
}

// A client's own request id is used if it cannot do harm in a log or header.
bool is_request_id(std::string_view id) {
    return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("-_.:/+=@").find(c) != std::string_view::npos;
    });
}

std::string new_request_id() {
    thread_local std::mt19937_64 random{std::random_device{}()};
    constexpr std::string_view hex = "0123456789abcdef";
    std::string id;
    for (int half = 0; half < 2; ++half) {
        for (std::uint64_t bits = random(), i = 0; i < 16; ++i, bits >>= 4) {
            id += hex[bits & 15];
        }
    }
    return id;
}

// The Date header's value, formatted once a second.
const std::string& http_date() {
    thread_local std::time_t formatted = 0;
    thread_local std::string date;
    const std::time_t now = std::time(nullptr);
    if (now != formatted) {
        std::tm fields{};
        gmtime_r(&now, &fields);
        std::array<char, 64> text{};
        const std::size_t length =
            std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &fields);
        date.assign(text.data(), length);
        formatted = now;
    }
    return date;
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
    out += name;
    out += ": ";
    for (char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        out += byte < 0x20 || byte == 0x7f ? ' ' : c;  // no value can start another header
    }
    out += "\r\n";
}

}  // namespace

Session::Session(std::shared_ptr<Server> server, TcpSocket socket)
    : server_(std::move(server)), socket_(std::move(socket)) {
    error_code ignored;
    peer = socket_.remote_endpoint(ignored).address();
    set(State::idle, Clock::now() + server_->config_.idle_timeout);
    server_->begin(*this);
}

Session::~Session() {
    server_->end(*this);
}

Task<> Session::run(std::shared_ptr<Server> server, TcpSocket socket) {
    Session session(std::move(server), std::move(socket));
    while (co_await session.serve_one()) {
    }
    session.close();
}

void Session::set(State state, TimePoint limit) {
    state_ = state;
    limit_ = limit;
}

void Session::sweep(TimePoint now) {
    const bool waits = state_ != State::handling && state_ != State::continuing;
    if (waits && now >= limit_ && socket_.is_open()) {
        if (!server_->stopping_) {
            server_->counters_->timeouts.add();
        }
        close();
    }
}

// A connection with something in hand ends after its answer. An idle one has a moment in which a
// request that is on its way to us can arrive: closing at once would take that away from a client
// that sends one request after the other.
void Session::stop() {
    if (continuation_) {
        continuation_->stop();
    }
    if (state_ == State::idle) {
        limit_ = std::min(limit_, Clock::now() + last_request_time);
    }
}

void Session::close() {
    error_code ignored;
    socket_.close(ignored);
}

std::optional<std::string_view> Session::header(std::string_view name) const {
    const auto& fields = parser_->get();
    const auto found = fields.find(boost::beast::string_view(name.data(), name.size()));
    if (found == fields.end()) {
        return std::nullopt;
    }
    return view(found->value());
}

std::vector<std::string_view> Session::headers(std::string_view name) const {
    const auto [first, last] =
        parser_->get().equal_range(boost::beast::string_view(name.data(), name.size()));
    std::vector<std::string_view> values;
    for (auto field = first; field != last; ++field) {
        values.push_back(view(field->value()));
    }
    return values;
}

bool Session::has_body() const {
    const auto length = parser_->content_length();
    return parser_->chunked() || (length && *length > 0);
}

// Reads, answers and writes one request. Returns whether another may follow.
Task<bool> Session::serve_one() {
    if (!co_await read_head()) {
        co_return false;
    }
    begun = Clock::now();
    deadline = begun + server_->config_.request_timeout;
    set(State::handling, {});

    const auto handler = server_->handler_;  // as long as what it has begun goes on
    std::optional<Response> response = head_mistake();
    const bool malformed = response.has_value();
    if (malformed) {
        server_->counters_->malformed.add();
    } else {
        try {
            response = co_await (*handler)(*this);
        } catch (const std::exception& error) {
            spdlog::error("request {} failed: {}", request_id, error.what());
        }
        if (!response) {
            response = respond(500,
                               "the request failed in the proxy; its log has the reason "
                               "under this request id");
        }
    }
    if (gone_) {
        co_return false;
    }
    // What is left of an unwanted body is read past if it is short and surely on its way.
    const auto left = parser_->content_length_remaining();
    const bool skippable =
        parser_->is_done() || (left && *left <= discardable && !header("Expect").has_value());
    const bool keep = !malformed && !body_failed_ && skippable && !server_->stopping_ &&
                      !response->continuation && parser_->get().keep_alive();
    if (!co_await write(*response, keep)) {
        co_return false;
    }
    ++served_;
    if (response->continuation) {
        co_await go_on(std::move(response->continuation));
        co_return false;
    }
    if (keep) {
        co_return co_await discard_body();
    }
    if (!parser_->is_done() || buffer_.size() > 0) {
        co_await linger();
    }
    co_return false;
}

// Waits for a request and reads its head. What cannot be read is answered here.
Task<bool> Session::read_head() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(server_->config_.max_header_bytes));
    parser_->body_limit(server_->config_.max_body_bytes);
    body.clear();
    answered = {};
    body_read_ = false;
    head_only_ = false;
    error_code ec;
    if (buffer_.size() == 0) {
        if (buffer_.capacity() > kept_buffer) {
            buffer_.shrink_to_fit();
        }
        const auto patience = server_->config_.idle_timeout;
        set(State::idle, Clock::now() + (server_->stopping_ ? std::min<Clock::duration>(
                                                                  patience, last_request_time)
                                                            : patience));
        const std::size_t size =
            co_await socket_.async_read_some(buffer_.prepare(first_read), capture(ec));
        if (ec) {
            co_return false;
        }
        buffer_.commit(size);
    }
    set(State::reading, Clock::now() + server_->config_.read_timeout);
    co_await beast_http::async_read_header(socket_, buffer_, *parser_, capture(ec));
    const auto& head = parser_->get();
    method = view(head.method_string());
    target = view(head.target());
    const auto given = header("X-Request-Id");
    request_id = given && is_request_id(*given) ? std::string(*given) : new_request_id();
    head_only_ = method == "HEAD";
    if (!ec) {
        co_return true;
    }
    if (!is_http_error(ec) || ec == beast_http::error::end_of_stream ||
        ec == beast_http::error::partial_message) {
        co_return false;
    }
    if (ec == beast_http::error::body_limit) {
        co_return co_await refuse(413, "the body is larger than " +
                                           std::to_string(server_->config_.max_body_bytes) +
                                           " bytes");
    }
    if (ec == beast_http::error::header_limit || ec == beast_http::error::buffer_overflow) {
        co_return co_await refuse(431, "the request's head is larger than " +
                                           std::to_string(server_->config_.max_header_bytes) +
                                           " bytes");
    }
    co_return co_await refuse(400, "the request is not valid HTTP: " + ec.message());
}

// Answers what is no request, and ends the connection.
Task<bool> Session::refuse(unsigned status, std::string detail) {
    server_->counters_->malformed.add();
    const Response response = respond(status, std::move(detail));
    if (co_await write(response, false)) {
        co_await linger();
    }
    co_return false;
}

// Counts them, and notes by the way what a look-up would cost each request more for than it is
// worth.
std::size_t Session::count_headers() {
    std::size_t count = 0;
    prefers = false;
    for (const auto& field : parser_->get()) {
        ++count;
        prefers |= field.name() == beast_http::field::prefer;
    }
    return count;
}

// What is wrong with a head that is well-formed; only what makes its meaning doubtful.
std::optional<Response> Session::head_mistake() {
    const auto& head = parser_->get();
    const auto count = [&](beast_http::field name) { return head.count(name); };
    if (count_headers() > server_->config_.max_headers) {
        return respond(431, "the request has more than " +
                                std::to_string(server_->config_.max_headers) + " headers");
    }
    if (count(beast_http::field::host) > 1 ||
        (head.version() >= 11 && count(beast_http::field::host) == 0)) {
        return respond(400, "the request must have one Host header");
    }
    // Two readings of where the body ends let one request hide in another.
    const std::size_t codings = count(beast_http::field::transfer_encoding);
    const std::size_t lengths = count(beast_http::field::content_length);
    if (codings > 0 && lengths > 0) {
        return respond(400, "the request has both Content-Length and Transfer-Encoding");
    }
    if (lengths > 1) {
        return respond(400, "the request has more than one Content-Length");
    }
    if (codings > 0 && (codings > 1 || head.version() < 11 ||
                        !equals_ignoring_case(*header("Transfer-Encoding"), "chunked"))) {
        return respond(400, "the only Transfer-Encoding understood is chunked, in HTTP/1.1");
    }
    const auto expect = header("Expect");
    if (expect && !equals_ignoring_case(*expect, "100-continue")) {
        return respond(417, "the only expectation understood is 100-continue");
    }
    return std::nullopt;
}

Task<std::optional<Response>> Session::receive_body() {
    error_code ec;
    if (!body_read_ && !parser_->is_done()) {
        set(State::reading, Clock::now() + server_->config_.read_timeout);
        if (header("Expect").has_value()) {
            static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
            co_await net::async_write(socket_, net::buffer(go_on), capture(ec));
        }
        if (!ec) {
            co_await beast_http::async_read(socket_, buffer_, *parser_, capture(ec));
        }
        set(State::handling, {});
        begun = Clock::now();
        deadline = begun + server_->config_.request_timeout;
    }
    if (!ec) {
        if (!body_read_) {
            body = std::move(parser_->get().body());
            body_read_ = true;
        }
        co_return std::nullopt;
    }
    body_failed_ = true;
    if (ec == beast_http::error::body_limit) {
        co_return respond(413, "the body is larger than " +
                                   std::to_string(server_->config_.max_body_bytes) + " bytes");
    }
    gone_ = !is_http_error(ec) || ec == beast_http::error::partial_message ||
            ec == beast_http::error::end_of_stream;
    co_return respond(400, "the body is not valid HTTP: " + ec.message());
}

Task<bool> Session::write(const Response& response, bool keep) {
    const TimePoint begun_writing = answered == TimePoint() ? Clock::now() : answered;
    set(State::writing, begun_writing + server_->config_.write_timeout);
    const std::string_view content = response.body();
    const bool bodyless = response.status == 204 || response.status == 304;
    const bool endless = response.continuation != nullptr;
    head_ = "HTTP/1.1 " + std::to_string(response.status) + " ";
    head_ += reason_of(response.status);
    head_ += "\r\n";
    append_header(head_, "Date", http_date());
    if (!bodyless && response.status != 101) {
        append_header(head_, "Content-Type", response.content_type);
    }
    if (!bodyless && !endless) {
        append_header(head_, "Content-Length", std::to_string(content.size()));
    }
    append_header(head_, "X-Request-Id", request_id);
    for (const auto& [name, value] : response.headers) {
        append_header(head_, name, value);
    }
    if (response.status == 101) {
        head_ += "Connection: Upgrade\r\n";
    } else if (!keep) {
        head_ += "Connection: close\r\n";
    } else if (parser_->get().version() < 11) {
        head_ += "Connection: keep-alive\r\n";
    }
    head_ += "\r\n";
    const std::array<net::const_buffer, 2> parts{
        net::buffer(head_),
        bodyless || head_only_ ? net::const_buffer() : net::buffer(content.data(), content.size())};
    // As much at a time as the socket takes, where Asio's transfer_all() means 64 KB.
    const auto whole = [](const error_code& failed, std::size_t) {
        return failed ? 0 : std::numeric_limits<std::size_t>::max();
    };
    error_code ec;
    co_await net::async_write(socket_, parts, whole, capture(ec));
    co_return !ec;
}

// Hands the connection over, with what was read of it already.
Task<> Session::go_on(std::shared_ptr<Continuation> continuation) {
    continuation_ = std::move(continuation);
    set(State::continuing, {});
    if (server_->stopping_) {
        continuation_->stop();
    }
    std::string received = boost::beast::buffers_to_string(buffer_.data());
    buffer_.clear();
    co_await continuation_->run(std::move(socket_), std::move(received));
}

// Reads past a body that the handler did not want.
Task<bool> Session::discard_body() {
    if (parser_->is_done()) {
        co_return true;
    }
    set(State::reading, Clock::now() + server_->config_.read_timeout);
    error_code ec;
    co_await beast_http::async_read(socket_, buffer_, *parser_, capture(ec));
    co_return !ec;
}

// Lets the client read its answer before the connection goes: closing with unread input would reset
// it and take the answer away.
Task<> Session::linger() {
    set(State::lingering, Clock::now() + linger_time);
    error_code ec;
    socket_.shutdown(net::socket_base::shutdown_send, ec);
    buffer_.clear();
    std::size_t forgotten = 0;
    while (!ec && forgotten < most_lingering) {
        forgotten += co_await socket_.async_read_some(buffer_.prepare(first_read), capture(ec));
    }
}

}  // namespace muster::http
