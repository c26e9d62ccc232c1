// Listening sockets shared by threads.
#include "runtime/listener.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/socket.h>

namespace muster {
namespace {

std::string cannot_listen(const net::ip::tcp::endpoint& endpoint, const error_code& ec) {
    return "cannot listen on " + endpoint.address().to_string() + ":" +
           std::to_string(endpoint.port()) + ": " + ec.message();
}

}  // namespace

Result<net::ip::tcp::endpoint, std::string> resolve_listen(const std::string& host,
                                                           std::uint16_t port) {
    net::io_context context;
    TcpResolver resolver(context.get_executor());
    error_code ec;
    const auto found =
        resolver.resolve(host, std::to_string(port), net::ip::tcp::resolver::passive, ec);
    if (ec || found.empty()) {
        return "cannot resolve \"" + host + "\": " + ec.message();
    }
    return found.begin()->endpoint();
}

std::optional<std::string> taken(const net::ip::tcp::endpoint& endpoint) {
    if (endpoint.port() == 0) {
        return std::nullopt;
    }
    net::io_context context;
    TcpAcceptor probe(context.get_executor());
    error_code ec;
    probe.open(endpoint.protocol(), ec);
    if (!ec) {
        probe.set_option(net::socket_base::reuse_address(true), ec);
    }
    if (!ec) {
        probe.bind(endpoint, ec);
    }
    if (ec) {
        return cannot_listen(endpoint, ec);
    }
    return std::nullopt;
}

Result<int, std::string> open_socket(const net::ip::tcp::endpoint& endpoint) {
    net::io_context context;
    TcpAcceptor acceptor(context.get_executor());
    error_code ec;
    acceptor.open(endpoint.protocol(), ec);
    if (!ec) {
        acceptor.set_option(net::socket_base::reuse_address(true), ec);
    }
    const int yes = 1;
    if (!ec &&
        ::setsockopt(acceptor.native_handle(), SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes) != 0) {
        ec.assign(errno, boost::system::system_category());
    }
    if (!ec) {
        acceptor.bind(endpoint, ec);
    }
    if (!ec) {
        acceptor.listen(net::socket_base::max_listen_connections, ec);
    }
    const int descriptor = ec ? -1 : acceptor.release(ec);
    if (ec) {
        return cannot_listen(endpoint, ec);
    }
    ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    return descriptor;
}

void adopt(TcpAcceptor& acceptor, int descriptor) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size);
    acceptor.assign(address.ss_family == AF_INET6 ? net::ip::tcp::v6() : net::ip::tcp::v4(),
                    descriptor);
}

}  // namespace muster
