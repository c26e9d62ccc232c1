// The endpoints of the admin door.
#include "http/admin.hpp"

#include <boost/asio/post.hpp>

#include "http/problem.hpp"
#include "http/url.hpp"

namespace muster::http {
namespace {

// Few clients, small requests: the public door's limits, but for the number of connections.
config::Http limits(const config::Config& config) {
    config::Http limits = config.http;
    limits.max_connections = 100;
    return limits;
}

}  // namespace

Admin::Admin(Runtime& runtime, const config::Config& config, const metrics::Registry& registry,
             Ready ready)
    : runtime_(runtime), config_(config) {
    server_ = Server::make(
        runtime.context(0), limits(config),
        [&registry, ready = std::make_shared<Ready>(std::move(ready))](Exchange& exchange) {
            return handle(registry, *ready, exchange);
        },
        std::make_shared<std::atomic<std::size_t>>(0));
}

Task<Response> Admin::handle(const metrics::Registry& registry, const Ready& ready,
                             Exchange& exchange) {
    const auto target = parse_target(exchange.target);
    if (!target) {
        co_return respond(target.error().status, target.error().detail);
    }
    const auto& segments = target.value().segments;
    if (auto health = co_await answer_health(segments, std::string(exchange.method), true, ready)) {
        co_return *std::move(health);
    }
    if (segments.size() != 1 || segments[0] != "metrics") {
        co_return respond(404,
                          "there is nothing at this path; there are /metrics, /health, "
                          "/health/live and /health/ready");
    }
    if (exchange.method != "GET" && exchange.method != "HEAD") {
        Response refused = respond(405, "metrics are read with GET or HEAD");
        refused.headers.emplace_back("Allow", "GET, HEAD");
        co_return refused;
    }
    Response response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.text = registry.text();
    co_return response;
}

std::optional<std::string> Admin::start() {
    Listeners listeners;
    return start(listeners);
}

std::optional<std::string> Admin::start(Listeners& listeners) {
    const config::Endpoint& listen = config_.admin.listen;
    const auto sockets = listeners.open("admin", listen.host, listen.port, 1);
    if (!sockets) {
        return "admin.listen: " + sockets.error();
    }
    server_->listen(sockets.value().front());
    server_->start();
    return std::nullopt;
}

void Admin::stop() {
    net::post(runtime_.context(0), [server = server_] { server->stop(); });
}

}  // namespace muster::http
