// Starting and stopping the door's threads.
#include "http/door.hpp"

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

namespace muster::http {
namespace {

using namespace std::chrono_literals;

constexpr auto check_pause = 250ms;
constexpr auto check_deadline = 10s;

double total(const std::vector<std::shared_ptr<Server>>& servers,
             metrics::Counter ServerCounters::*counter) {
    std::uint64_t all = 0;
    for (const auto& server : servers) {
        all += (server->counters().*counter).value();
    }
    return static_cast<double>(all);
}

}  // namespace

Door::Door(Runtime& runtime, const config::Config& config, metrics::Registry& registry,
           limit::Limiter& limiter, timing::Timing& timing, RedisProbe redis, bool routes_checked,
           cache::Cache* cache, push::Hub* hub)
    : runtime_(runtime),
      config_(config),
      shared_(std::make_shared<Shared>(config, registry, runtime.threads(), limiter, timing, cache,
                                       hub)) {
    if (routes_checked) {
        shared_->route_state.checked({});
    }
    const auto connections = std::make_shared<std::atomic<std::size_t>>(0);
    for (unsigned i = 0; i < runtime.threads(); ++i) {
        auto handler = std::make_shared<RequestHandler>(runtime.context(i), i, config.database,
                                                        shared_, redis);
        handlers_.push_back(handler);
        servers_.push_back(Server::make(
            runtime.context(i), config.http,
            [handler](Exchange& exchange) { return handler->handle(exchange); }, connections));
    }
    registry.gauge("http_connections", "Open connections of clients.", {},
                   [connections] { return static_cast<double>(connections->load()); });
    const auto counter = [&](const char* name, const char* help,
                             metrics::Counter ServerCounters::*which) {
        registry.counter(name, help, {},
                         [servers = servers_, which] { return total(servers, which); });
    };
    counter("http_connections_accepted_total", "Connections accepted.", &ServerCounters::accepted);
    counter("http_connections_refused_total", "Connections above max_connections.",
            &ServerCounters::refused);
    counter("http_connections_timeouts_total", "Connections closed because the client was slow.",
            &ServerCounters::timeouts);
    counter("http_requests_malformed_total", "Requests refused for being no valid HTTP.",
            &ServerCounters::malformed);
}

std::optional<std::string> Door::start() {
    auto endpoint = resolve_listen(config_.http.listen.host, config_.http.listen.port);
    if (!endpoint) {
        return "http.listen: " + endpoint.error();
    }
    if (auto error = taken(endpoint.value())) {
        return "http.listen: " + *error;
    }
    for (const auto& server : servers_) {
        if (auto error = server->listen(endpoint.value())) {
            return "http.listen: " + *error;
        }
        endpoint.value().port(server->port());  // the one chosen, if any would do
    }
    for (const auto& server : servers_) {
        server->start();
    }
    if (!shared_->route_state.is_checked()) {
        spawn(runtime_.context(0), "the check of routes",
              check_when_reached(handlers_.front(), shared_));
    }
    return std::nullopt;
}

void Door::stop() {
    shared_->stopping.store(true, std::memory_order_relaxed);
    for (unsigned i = 0; i < runtime_.threads(); ++i) {
        net::post(runtime_.context(i), [server = servers_[i], handler = handlers_[i]] {
            server->stop();
            handler->stop();
        });
    }
}

// Tries until the database could be asked, then says loudly what does not fit.
Task<> Door::check_when_reached(std::shared_ptr<RequestHandler> handler,
                                std::shared_ptr<Shared> shared) {
    Timer pause(co_await net::this_coro::executor);
    while (!shared->stopping.load(std::memory_order_relaxed)) {
        {
            const TimePoint deadline = Clock::now() + check_deadline;
            auto lease = co_await handler->pool().acquire(deadline);
            if (lease) {
                auto found = co_await check_routes(*lease.value().get(), shared->routes, deadline);
                if (found) {
                    for (const RouteMistake& mistake : found.value()) {
                        spdlog::critical("{}", mistake.message);
                    }
                    shared->route_state.checked(found.value());
                    spdlog::info("the routes have been checked against the database");
                    co_return;
                }
            }
        }
        pause.expires_after(check_pause);
        error_code ignored;
        co_await pause.async_wait(capture(ignored));
    }
}

}  // namespace muster::http
