// The blocking HTTP client.
#include "servers/http_client.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace muster::test {

std::string HttpAnswer::header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
}

HttpClient::HttpClient(unsigned short port)
    : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval limit{20, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        const std::string reason = std::strerror(errno);
        ::close(socket_);
        throw std::runtime_error("cannot connect to port " + std::to_string(port) + ": " + reason);
    }
}

HttpClient::~HttpClient() {
    ::close(socket_);
}

void HttpClient::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) {
            throw std::runtime_error(std::string("cannot send: ") + std::strerror(errno));
        }
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
}

// Reads some more; false at the end of the connection.
bool HttpClient::fill() {
    char bytes[16384];
    const ssize_t size = ::recv(socket_, bytes, sizeof bytes, 0);
    if (size < 0 && errno != ECONNRESET) {
        throw std::runtime_error(std::string("cannot read: ") + std::strerror(errno));
    }
    if (size <= 0) {
        return false;
    }
    buffer_.append(bytes, static_cast<std::size_t>(size));
    return true;
}

HttpAnswer HttpClient::read(bool head) {
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
        if (!fill()) {
            throw std::runtime_error("the connection ended in an answer's head: " + buffer_);
        }
    }
    HttpAnswer answer;
    answer.status = std::stoi(buffer_.substr(9, 3));
    std::size_t line = buffer_.find("\r\n") + 2;
    while (line < end + 2) {
        const std::size_t next = buffer_.find("\r\n", line);
        const std::size_t colon = buffer_.find(": ", line);
        std::string name = buffer_.substr(line, colon - line);
        for (char& c : name) {
            c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        }
        answer.headers[name] = buffer_.substr(colon + 2, next - colon - 2);
        line = next + 2;
    }
    buffer_.erase(0, end + 4);
    const std::string length = answer.header("content-length");
    const std::size_t size = head || length.empty() ? 0 : std::stoul(length);
    while (buffer_.size() < size) {
        if (!fill()) {
            throw std::runtime_error("the connection ended in an answer's body");
        }
    }
    answer.body = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return answer;
}

HttpAnswer HttpClient::request(const std::string& method, const std::string& target,
                               const std::string& headers, std::optional<std::string> body) {
    std::string text = method + " " + target + " HTTP/1.1\r\nHost: test\r\n" + headers;
    if (body) {
        text += "Content-Length: " + std::to_string(body->size()) + "\r\n";
    }
    send(text + "\r\n" + body.value_or(""));
    return read(method == "HEAD");
}

bool HttpClient::closed() {
    return buffer_.empty() && !fill();
}

void HttpClient::finish() {
    ::shutdown(socket_, SHUT_WR);
}

}  // namespace muster::test
