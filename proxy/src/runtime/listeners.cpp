// The protocol of sd_listen_fds(3), and sharing sockets out among threads.
#include "runtime/listeners.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <spdlog/spdlog.h>

#include "runtime/listener.hpp"
#include "runtime/successor.hpp"

namespace muster {
namespace {

constexpr int first_descriptor = 3;  // SD_LISTEN_FDS_START
constexpr int most_descriptors = 4096;

// The number in a variable, which is taken out of the environment; -1 if there is none.
long take_number(const char* variable) {
    const char* const text = std::getenv(variable);
    long number = -1;
    if (text != nullptr) {
        std::from_chars(text, text + std::strlen(text), number);
        ::unsetenv(variable);
    }
    return number;
}

std::string take_text(const char* variable) {
    const char* const text = std::getenv(variable);
    std::string taken = text == nullptr ? "" : text;
    ::unsetenv(variable);
    return taken;
}

bool listens(int descriptor) {
    int yes = 0;
    socklen_t size = sizeof yes;
    return ::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &yes, &size) == 0 && yes != 0;
}

}  // namespace

std::uint16_t port_of(int descriptor) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        return 0;
    }
    if (address.ss_family == AF_INET6) {
        return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
    }
    return address.ss_family == AF_INET
               ? ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port)
               : 0;
}

Listeners Listeners::handed_over() {
    Listeners listeners;
    const long process = take_number("LISTEN_PID");
    const long count = take_number("LISTEN_FDS");
    std::string names = take_text("LISTEN_FDNAMES");
    // A process that starts another cannot tell it its number: it has a variable of its own.
    const bool ours = process == ::getpid() || std::getenv(predecessor_variable) != nullptr;
    if (!ours || count <= 0 || count > most_descriptors) {
        return listeners;
    }
    for (int i = 0; i < count; ++i) {
        const std::size_t end = std::min(names.find(':'), names.size());
        const Socket socket{names.substr(0, end), first_descriptor + i};
        names.erase(0, end + 1);
        if (::fcntl(socket.descriptor, F_SETFD, FD_CLOEXEC) != 0 || !listens(socket.descriptor)) {
            spdlog::warn("descriptor {}, which was handed over, is no listening socket",
                         socket.descriptor);
            continue;
        }
        listeners.given_.push_back(socket);
    }
    return listeners;
}

Listeners::Listeners(Listeners&& other) noexcept
    : given_(std::exchange(other.given_, {})), open_(std::exchange(other.open_, {})) {}

Listeners::~Listeners() {
    for (const Socket& socket : given_) {
        ::close(socket.descriptor);
    }
}

Result<std::vector<std::vector<int>>, std::string> Listeners::open(const std::string& name,
                                                                   const std::string& host,
                                                                   std::uint16_t port,
                                                                   unsigned threads) {
    std::vector<int> sockets;
    std::erase_if(given_, [&](const Socket& socket) {
        const bool named = socket.name == "http" || socket.name == "admin" ||
                           socket.name == "wire" || socket.name == "wire-unix";
        const bool ours = named ? socket.name == name : port_of(socket.descriptor) == port;
        if (ours) {
            sockets.push_back(socket.descriptor);
        }
        return ours;
    });
    std::vector<std::vector<int>> by_thread(threads);
    if (sockets.empty()) {
        auto endpoint = resolve_listen(host, port);
        if (!endpoint) {
            return std::move(endpoint).error();
        }
        if (auto error = taken(endpoint.value())) {
            return *std::move(error);
        }
        for (unsigned i = 0; i < threads; ++i) {
            auto opened = open_socket(endpoint.value());
            if (!opened) {
                return std::move(opened).error();
            }
            endpoint.value().port(port_of(opened.value()));  // the one chosen, if any would do
            sockets.push_back(opened.value());
        }
    } else if (port != 0 && port_of(sockets.front()) != port) {
        spdlog::warn("{}.listen is port {}, but the socket handed over listens on port {}", name,
                     port, port_of(sockets.front()));
    }
    for (const int socket : sockets) {
        open_.push_back({name, socket});
    }
    for (std::size_t i = 0; i < std::max<std::size_t>(threads, sockets.size()); ++i) {
        int descriptor = sockets[i % sockets.size()];
        if (i >= sockets.size()) {
            descriptor = ::fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
            if (descriptor < 0) {
                return std::string(std::strerror(errno));
            }
        }
        by_thread[i % threads].push_back(descriptor);
    }
    return by_thread;
}

int Listeners::take(const std::string& name) {
    for (auto socket = given_.begin(); socket != given_.end(); ++socket) {
        if (socket->name == name) {
            const int descriptor = socket->descriptor;
            given_.erase(socket);
            return descriptor;
        }
    }
    return -1;
}

void Listeners::close_unused() {
    for (const Socket& socket : std::exchange(given_, {})) {
        spdlog::warn("the socket \"{}\" on port {}, which was handed over, is no door's",
                     socket.name, port_of(socket.descriptor));
        ::close(socket.descriptor);
    }
}

}  // namespace muster
