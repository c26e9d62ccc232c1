#include "wire/server.hpp"

#include <boost/asio/post.hpp>

#include "wire/worker.hpp"

namespace muster::wire {

Server::Server(const std::vector<net::io_context*>& contexts, const config::Wire& settings)
    : shared_(std::make_shared<Shared>(settings)) {
    for (auto* context : contexts)
        workers_.push_back(std::make_shared<Worker>(*context, shared_));
}

Server::~Server() = default;

std::optional<std::string> Server::start() {
    if (auto error = reload_certificates())
        return error;
    const auto& listen = shared_->settings.listen;
    auto endpoint = resolve_listen(listen.host, listen.port);
    if (!endpoint)
        return "wire.listen: " + endpoint.error();
    if (auto error = taken(endpoint.value()))
        return "wire.listen: " + *error;
    for (const auto& worker : workers_) {
        if (auto error = worker->listen(endpoint.value()))
            return "wire.listen: " + *error;
        endpoint.value().port(worker->port());  // the one chosen, if any would do
    }
    port_ = endpoint.value().port();
    if (auto error = listen_on_unix_socket())
        return "wire.socket_directory: " + *error;
    for (const auto& worker : workers_)
        worker->start();
    return std::nullopt;
}

std::optional<std::string> Server::listen_on_unix_socket() {
    const auto& directory = shared_->settings.socket_directory;
    if (directory.empty())
        return std::nullopt;
    auto error = unix_listener_.open(directory, port_);
    for (const auto& worker : workers_) {
        if (!error)
            error = worker->listen(unix_listener_);
    }
    return error;
}

std::optional<std::string> Server::reload_certificates() {
    return shared_->tls.load(shared_->settings);
}

void Server::stop(TimePoint deadline) {
    unix_listener_.close();
    for (const auto& worker : workers_)
        net::post(worker->context(), [worker, deadline] { worker->drain(deadline); });
}

Stats Server::stats() const {
    Stats sum;
    sum.sockets_now = shared_->sockets.load(std::memory_order_relaxed);
    sum.connections_now = shared_->sessions.load(std::memory_order_relaxed);
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
