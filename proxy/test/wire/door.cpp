// A wire door in the test's own process, and raw TCP clients of it.
#include "wire/door.hpp"

#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/runtime.hpp"
#include "servers/process.hpp"
#include "wire/bytes.hpp"

namespace muster::test {
namespace {

std::vector<std::unique_ptr<net::io_context>> make_contexts() {
    std::vector<std::unique_ptr<net::io_context>> contexts;
    for (int i = 0; i < 2; ++i)
        contexts.push_back(std::make_unique<net::io_context>(1));
    return contexts;
}

std::vector<net::io_context*> pointers(const std::vector<std::unique_ptr<net::io_context>>& all) {
    std::vector<net::io_context*> result;
    for (const auto& context : all)
        result.push_back(context.get());
    return result;
}

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

Door::Door(config::Wire settings, timing::Timing* timing)
    : contexts_(make_contexts()),
      server_(
          pointers(contexts_),
          [&] {
              settings.listen = {"127.0.0.1", 0};
              return settings;
          }(),
          timing) {
    prepare_process();
    if (const auto error = server_.start())
        throw std::runtime_error(*error);
    for (const auto& context : contexts_) {
        guards_.emplace_back(context->get_executor());
        threads_.emplace_back([&context] { context->run(); });
    }
}

Door::~Door() {
    for (const auto& context : contexts_)
        context->stop();
    for (auto& thread : threads_)
        thread.join();
}

std::string Door::conninfo(const std::string& rest) const {
    return "host=127.0.0.1 port=" + std::to_string(port()) + " " + rest;
}

void Door::wait_until_empty() const {
    wait_until("the door to be empty", [this] { return server_.stats().sockets_now == 0; });
}

RawClient::RawClient(unsigned short port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    if (fd_ < 0 || ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        fail("connect");
    const timeval bound{30, 0};
    const int on = 1;
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof bound);
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

RawClient::RawClient(RawClient&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

bool RawClient::try_send(std::string_view bytes) {
    while (!bytes.empty()) {
        const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n < 0)
            return false;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

void RawClient::send(std::string_view bytes) {
    if (!try_send(bytes))
        fail("send");
}

std::string RawClient::receive(std::size_t wanted) {
    std::string bytes;
    char chunk[4096];
    while (bytes.size() < wanted) {
        const auto n = ::recv(fd_, chunk, std::min(sizeof chunk, wanted - bytes.size()), 0);
        if (n < 0 && errno != ECONNRESET)
            fail("recv");
        if (n <= 0)
            break;
        bytes.append(chunk, static_cast<std::size_t>(n));
    }
    return bytes;
}

void RawClient::half_close() {
    ::shutdown(fd_, SHUT_WR);
}

void RawClient::close() {
    if (fd_ >= 0)
        ::close(std::exchange(fd_, -1));
}

void RawClient::reset() {
    const linger at_once{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
}

std::string startup_message(const std::string& user, const std::string& database) {
    std::string body;
    wire::append_uint32(body, 3u << 16);
    for (const auto& text : {std::string("user"), user, std::string("database"), database})
        body.append(text).push_back('\0');
    body.push_back('\0');
    std::string bytes;
    wire::append_uint32(bytes, static_cast<std::uint32_t>(body.size() + 4));
    return bytes + body;
}

std::string message(char type, std::string_view body) {
    std::string bytes(1, type);
    wire::append_uint32(bytes, static_cast<std::uint32_t>(body.size() + 4));
    return bytes.append(body);
}

long resident() {
    const auto status = read_file("/proc/self/status");
    return std::stol(status.substr(status.find("VmRSS:") + 6));
}

std::string error_state(std::string_view bytes) {
    constexpr std::string_view field{"\0C", 2};
    const auto at = bytes.find(field);
    return at == std::string_view::npos ? "" : std::string(bytes.substr(at + 2, 5));
}

}  // namespace muster::test
