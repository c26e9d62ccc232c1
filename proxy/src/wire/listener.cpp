#include "wire/listener.hpp"

#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace muster::wire {
namespace {

std::string cannot_listen(const std::string& path, int error) {
    return "cannot listen on " + path + ": " + std::generic_category().message(error);
}

// Whether a process accepts connections on `path`.
bool alive(const net::local::stream_protocol::endpoint& endpoint) {
    net::io_context context;
    net::local::stream_protocol::socket probe(context);
    error_code ec;
    probe.connect(endpoint, ec);
    return !ec;
}

}  // namespace

UnixListener::~UnixListener() {
    close();
}

std::optional<std::string> UnixListener::open(const std::string& directory, std::uint16_t port,
                                              int given) {
    const auto path = directory + "/.s.PGSQL." + std::to_string(port);
    if (path.size() >= sizeof(sockaddr_un::sun_path))
        return "the path of a Unix socket is too long: " + path;
    if (given >= 0) {
        descriptor_ = given;
        path_ = path;
        return std::nullopt;
    }
    const net::local::stream_protocol::endpoint endpoint(path);
    if (alive(endpoint))
        return cannot_listen(path, EADDRINUSE);
    struct stat file {};
    if (::lstat(path.c_str(), &file) == 0 && S_ISSOCK(file.st_mode))
        ::unlink(path.c_str());
    descriptor_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor_ < 0 ||
        ::bind(descriptor_, endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0)
        return cannot_listen(path, errno);
    path_ = path;
    if (::chmod(path.c_str(), 0777) != 0 || ::listen(descriptor_, SOMAXCONN) != 0)
        return cannot_listen(path, errno);
    return std::nullopt;
}

std::optional<std::string> UnixListener::share(UnixAcceptor& acceptor) const {
    const int mine = ::fcntl(descriptor_, F_DUPFD_CLOEXEC, 0);
    if (mine < 0)
        return cannot_listen(path_, errno);
    error_code ec;
    acceptor.assign(net::local::stream_protocol(), mine, ec);
    if (!ec)
        return std::nullopt;
    ::close(mine);
    return cannot_listen(path_, ec.value());
}

void UnixListener::close(bool keep_file) {
    if (!path_.empty() && !keep_file)
        ::unlink(path_.c_str());
    path_.clear();
    if (descriptor_ >= 0)
        ::close(descriptor_);
    descriptor_ = -1;
}

}  // namespace muster::wire
