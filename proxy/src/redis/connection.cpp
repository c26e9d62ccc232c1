// Connecting to Redis: addresses, authentication, the connection's name.
#include "redis/connection.hpp"

#include <fstream>

#include <boost/asio/ip/address.hpp>

#include "redis/link.hpp"
#include "runtime/resolve.hpp"

namespace muster::redis {

namespace {

Error refused(std::string message) {
    return {Error::Kind::refused, std::move(message)};
}

// The first line of the file. Read at each connect, so that a changed password needs no restart.
std::optional<std::string> read_password(const std::string& path) {
    std::ifstream file(path);
    std::string password;
    if (!std::getline(file, password))
        return std::nullopt;
    if (!password.empty() && password.back() == '\r')
        password.pop_back();
    return password;
}

// Sends one command of the greeting and turns an error reply into an Error.
Task<std::optional<Error>> greet(Link& link, std::vector<std::string_view> words,
                                 TimePoint deadline) {
    auto reply = co_await link.send(words, deadline);
    if (!reply)
        co_return std::move(reply).error();
    if (reply.value().is_error())
        co_return refused(std::string(words.front()) + ": " + std::string(reply.value().error()));
    co_return std::nullopt;
}

}  // namespace

Connection::Connection(std::shared_ptr<Link> link) : link_(std::move(link)) {}

Connection::~Connection() {
    link_->close();
}

Task<Outcome<std::unique_ptr<Connection>>> Connection::connect(net::io_context& context,
                                                               config::Redis configuration,
                                                               std::string name,
                                                               TimePoint deadline) {
    const std::string& host = configuration.address.host;
    std::uint16_t port = configuration.address.port;
    std::vector<std::string> addresses;
    error_code ec;
    if (host.starts_with('/')) {
        addresses.push_back(host);
        port = 0;
    } else if (net::ip::make_address(host, ec); !ec) {
        addresses.push_back(host);
    } else {
        addresses = co_await resolve_name(host, deadline);
    }
    if (addresses.empty())
        co_return Error{Error::Kind::not_sent, "could not resolve host name \"" + host + "\""};

    std::string password;
    if (!configuration.password_file.empty()) {
        auto read = read_password(configuration.password_file);
        if (!read)
            co_return refused("could not read the password file \"" + configuration.password_file +
                              "\"");
        password = std::move(*read);
    }

    std::optional<Error> last;
    auto left = static_cast<Clock::rep>(addresses.size());
    for (const std::string& address : addresses) {
        const TimePoint now = Clock::now();
        const auto link = std::make_shared<Link>(context);
        last = co_await link->open(address, port, now + (deadline - now) / left--);
        if (last)
            continue;
        if (!configuration.password_file.empty()) {
            std::vector<std::string_view> words{"AUTH"};
            if (!configuration.username.empty())
                words.push_back(configuration.username);
            words.push_back(password);
            last = co_await greet(*link, std::move(words), deadline);
        }
        if (!last) {
            std::vector<std::string_view> words{"CLIENT", "SETNAME", name};
            last = co_await greet(*link, std::move(words), deadline);
            // The name is only for CLIENT LIST: a user whose ACL forbids it does without.
            if (last && last->message.find("NOPERM") != std::string::npos)
                last.reset();
        }
        if (!last)
            co_return std::unique_ptr<Connection>(new Connection(link));
        if (last->kind == Error::Kind::refused)
            break;
    }
    co_return std::move(*last);
}

Task<Outcome<Reply>> Connection::send(std::span<const std::string_view> words, TimePoint deadline) {
    return link_->send(words, deadline);
}

bool Connection::connected() const {
    return link_->open();
}

std::size_t Connection::in_flight() const {
    return link_->in_flight();
}

}  // namespace muster::redis
