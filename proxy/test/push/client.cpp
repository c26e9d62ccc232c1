// Live clients for tests.
#include "push/client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <stdexcept>

#include <boost/asio/connect.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http/string_body.hpp>

namespace muster::test {

namespace beast = boost::beast;

std::string member(const std::string& json, const std::string& name) {
    const std::string before = "\"" + name + "\":\"";
    const std::size_t at = json.find(before);
    if (at == std::string::npos) {
        return "";
    }
    const std::size_t from = at + before.size();
    return json.substr(from, json.find('"', from) - from);
}

std::optional<Told> LiveConnection::next_news() {
    for (;;) {
        auto told = next();
        if (!told || told->kind != "heartbeat") {
            return told;
        }
    }
}

SseConnection::SseConnection(unsigned short port, const std::string& target,
                             const std::string& headers, int receive_buffer)
    : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer > 0) {
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        throw std::runtime_error(std::string("cannot connect: ") + std::strerror(errno));
    }
    const std::string request = "GET " + target + " HTTP/1.1\r\nHost: test\r\n" + headers + "\r\n";
    if (::send(socket_, request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size())) {
        throw std::runtime_error("cannot send");
    }
    std::size_t end;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
        if (!fill(std::chrono::seconds(20))) {
            throw std::runtime_error("no answer: " + buffer_);
        }
    }
    answer = buffer_.substr(0, end + 4);
    buffer_.erase(0, end + 4);
    status = std::stoi(answer.substr(9, 3));
    if (status != 200) {
        const std::size_t length = answer.find("Content-Length: ");
        const std::size_t size =
            length == std::string::npos ? 0 : std::stoul(answer.substr(length + 16));
        while (buffer_.size() < size && fill(std::chrono::seconds(20))) {
        }
        answer += buffer_;
    }
}

SseConnection::~SseConnection() {
    ::close(socket_);
}

bool SseConnection::fill(std::chrono::milliseconds patience) {
    pollfd readable{socket_, POLLIN, 0};
    if (::poll(&readable, 1, static_cast<int>(patience.count())) <= 0) {
        throw std::runtime_error("nothing came in time");
    }
    char bytes[65536];
    const ssize_t size = ::recv(socket_, bytes, sizeof bytes, 0);
    if (size <= 0) {
        return false;
    }
    buffer_.append(bytes, static_cast<std::size_t>(size));
    return true;
}

std::optional<Told> SseConnection::next(std::chrono::milliseconds patience) {
    std::size_t end;
    while ((end = buffer_.find("\n\n")) == std::string::npos) {
        if (!fill(patience)) {
            return std::nullopt;  // a block that is not whole counts for nothing
        }
    }
    std::string block = buffer_.substr(0, end + 1);
    buffer_.erase(0, end + 2);
    Told told;
    bool retry = false;
    for (std::size_t at = 0; at < block.size();) {
        const std::size_t line_end = block.find('\n', at);
        const std::string line = block.substr(at, line_end - at);
        at = line_end + 1;
        if (line.starts_with("id: ")) {
            last_id_ = line.substr(4);
        } else if (line.starts_with("event: ")) {
            told.kind = line.substr(7);
        } else if (line.starts_with("data: ")) {
            told.text = line.substr(6);
        } else if (line.starts_with("retry: ")) {
            retry = true;
        } else if (!line.starts_with(":")) {
            throw std::runtime_error("not a line of an event stream: " + line);
        }
    }
    told.id = last_id_;
    if (told.kind.empty()) {
        told.kind = !told.text.empty() ? "event" : retry ? "subscribed" : "heartbeat";
    }
    return told;
}

WebSocketConnection::WebSocketConnection(unsigned short port, const std::string& target,
                                         const std::string& headers) {
    using boost::asio::ip::tcp;
    socket_.next_layer().connect(tcp::endpoint(boost::asio::ip::address_v4::loopback(), port));
    socket_.set_option(beast::websocket::stream_base::decorator(
        [headers](beast::websocket::request_type& request) {
            for (std::size_t at = 0; at < headers.size();) {
                const std::size_t end = headers.find("\r\n", at);
                const std::size_t colon = headers.find(": ", at);
                request.set(headers.substr(at, colon - at),
                            headers.substr(colon + 2, end - colon - 2));
                at = end + 2;
            }
        }));
    socket_.control_callback([this](beast::websocket::frame_type type, beast::string_view) {
        pongs += type == beast::websocket::frame_type::pong ? 1 : 0;
    });
    beast::websocket::response_type response;
    const auto ec =
        wait([&](auto done) { socket_.async_handshake(response, "test", target, std::move(done)); },
             std::chrono::seconds(20));
    status = static_cast<int>(response.result_int());
    answer = response.body();
    if (ec && status == 101) {
        throw std::runtime_error("the handshake failed: " + ec.message());
    }
}

template <class Start>
boost::system::error_code WebSocketConnection::wait(Start start,
                                                    std::chrono::milliseconds patience) {
    std::optional<boost::system::error_code> outcome;
    start([&](boost::system::error_code ec, auto...) { outcome = ec; });
    context_.restart();
    const auto give_up = std::chrono::steady_clock::now() + patience;
    while (!outcome && context_.run_one_until(give_up) != 0) {
    }
    if (!outcome) {
        boost::system::error_code ignored;
        socket_.next_layer().close(ignored);
        context_.run();
        throw std::runtime_error("nothing came in time");
    }
    return *outcome;
}

std::optional<Told> WebSocketConnection::next(std::chrono::milliseconds patience) {
    beast::flat_buffer buffer;
    const auto ec = wait([&](auto done) { socket_.async_read(buffer, std::move(done)); }, patience);
    if (ec) {
        return std::nullopt;
    }
    Told told;
    told.text = beast::buffers_to_string(buffer.data());
    told.kind = told.text.starts_with("{\"type\":\"") ? member(told.text, "type") : "event";
    told.id = member(told.text, told.kind == "overflow" ? "resume" : "id");
    return told;
}

void WebSocketConnection::send(const std::string& text, bool binary) {
    socket_.binary(binary);
    wait([&](auto done) { socket_.async_write(boost::asio::buffer(text), std::move(done)); },
         std::chrono::seconds(20));
}

void WebSocketConnection::ping() {
    wait(
        [&](auto done) {
            socket_.async_ping(beast::websocket::ping_data("hello"), std::move(done));
        },
        std::chrono::seconds(20));
}

void WebSocketConnection::close() {
    wait(
        [&](auto done) {
            socket_.async_close(beast::websocket::close_code::normal, std::move(done));
        },
        std::chrono::seconds(20));
}

}  // namespace muster::test
