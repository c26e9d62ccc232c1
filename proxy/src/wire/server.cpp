#include "wire/server.hpp"

#include <boost/asio/post.hpp>

#include "wire/worker.hpp"

namespace muster::wire {
namespace {

constexpr const char* unix_socket_name = "wire-unix";

}  // namespace

Server::Server(const std::vector<net::io_context*>& contexts, const config::Wire& settings,
               timing::Timing* timing)
    : settings_(settings), shared_(std::make_shared<Shared>()) {
    for (unsigned i = 0; i < contexts.size(); ++i)
        workers_.push_back(std::make_shared<Worker>(*contexts[i], shared_, timing, i));
}

Server::~Server() = default;

std::optional<std::string> Server::start() {
    Listeners listeners;
    return start(listeners);
}

std::optional<std::string> Server::start(Listeners& listeners) {
    if (auto error = reload(settings_))
        return error;
    const auto& listen = settings_.listen;
    const auto threads = static_cast<unsigned>(workers_.size());
    const auto sockets = listeners.open("wire", listen.host, listen.port, threads);
    if (!sockets)
        return "wire.listen: " + sockets.error();
    port_ = port_of(sockets.value().front().front());
    for (unsigned i = 0; i < threads; ++i)
        workers_[i]->listen(sockets.value()[i]);
    if (auto error = listen_on_unix_socket(listeners))
        return "wire.socket_directory: " + *error;
    for (const auto& worker : workers_)
        worker->start();
    return std::nullopt;
}

std::optional<std::string> Server::listen_on_unix_socket(Listeners& listeners) {
    const auto& directory = settings_.socket_directory;
    if (directory.empty())
        return std::nullopt;
    auto error = unix_listener_.open(directory, port_, listeners.take(unix_socket_name));
    if (!error)
        listeners.add(unix_socket_name, unix_listener_.descriptor());
    for (const auto& worker : workers_) {
        if (!error)
            error = worker->listen(unix_listener_);
    }
    return error;
}

std::optional<std::string> Server::reload(const config::Wire& settings) {
    auto contexts = tls::load(settings);
    if (!contexts)
        return std::move(contexts).error();
    const auto terms = std::make_shared<const Terms>(Terms{settings, std::move(contexts).value()});
    for (const auto& worker : workers_)
        net::post(worker->context(), [worker, terms] { worker->adopt_terms(terms); });
    return std::nullopt;
}

void Server::stop(TimePoint deadline, bool replaced) {
    unix_listener_.close(replaced);
    for (const auto& worker : workers_)
        net::post(worker->context(), [worker, deadline] { worker->drain(deadline); });
}

Stats Server::stats() const {
    Stats sum;
    sum.sockets_now = shared_->sockets.load(std::memory_order_relaxed);
    sum.connections_now = shared_->sessions.load(std::memory_order_relaxed);
    sum.startups_now = shared_->startups.load(std::memory_order_relaxed);
    sum.cancels_now = shared_->cancels.load(std::memory_order_relaxed);
    for (const auto& worker : workers_) {
        const auto& counters = worker->counters();
        sum.connections += counters.connections.value();
        sum.refused += counters.refused.value();
        sum.cancels += counters.cancels.value();
        sum.upstream_failures += counters.upstream_failures.value();
        sum.queries += counters.queries.value();
        sum.client_bytes += counters.client_bytes.value();
        sum.client_messages += counters.client_messages.value();
        sum.server_bytes += counters.server_bytes.value();
        sum.server_messages += counters.server_messages.value();
    }
    return sum;
}

}  // namespace muster::wire
