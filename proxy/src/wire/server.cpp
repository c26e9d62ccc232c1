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

void Server::start() {
    auto port = shared_->settings.listen.port;
    for (const auto& worker : workers_) {
        worker->listen(port);
        port = worker->port();
    }
    for (const auto& worker : workers_)
        worker->start();
}

std::uint16_t Server::port() const {
    return workers_.front()->port();
}

void Server::stop(TimePoint deadline) {
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
        sum.connections += counters.connections.get();
        sum.refused += counters.refused.get();
        sum.cancels += counters.cancels.get();
        sum.upstream_failures += counters.upstream_failures.get();
        sum.queries += counters.queries.get();
        sum.client_bytes += counters.client_bytes.get();
        sum.client_messages += counters.client_messages.get();
        sum.server_bytes += counters.server_bytes.get();
        sum.server_messages += counters.server_messages.get();
    }
    return sum;
}

}  // namespace muster::wire
