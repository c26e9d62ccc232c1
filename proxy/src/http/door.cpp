// Starting and stopping the door's threads.
#include "http/door.hpp"

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

namespace muster::http {
namespace {

using namespace std::chrono_literals;

constexpr auto check_pause = 250ms;
constexpr auto check_deadline = 10s;

using AllCounters = std::vector<std::shared_ptr<const ServerCounters>>;

double total(const AllCounters& counters, metrics::Counter ServerCounters::*which) {
    std::uint64_t all = 0;
    for (const auto& one : counters) {
        all += ((*one).*which).value();
    }
    return static_cast<double>(all);
}

Handler handler_function(std::shared_ptr<RequestHandler> handler) {
    return [handler = std::move(handler)](Exchange& exchange) { return handler->handle(exchange); };
}

}  // namespace

Door::Door(Runtime& runtime, const config::Config& config, metrics::Registry& registry,
           limit::Limiter& limiter, timing::Timing& timing, RedisProbe redis, bool routes_checked,
           cache::Cache* cache, push::Hub* hub, AccessLog* access_log)
    : runtime_(runtime),
      listen_(config.http.listen),
      registry_(registry),
      timing_(timing),
      redis_(std::move(redis)),
      cache_(cache),
      hub_(hub),
      access_log_(access_log),
      known_keys_(std::make_shared<KnownKeys>(config.http.key_grace)),
      shared_(share(config, {std::shared_ptr<void>(), &limiter}, routes_checked)) {
    const auto connections = std::make_shared<std::atomic<std::size_t>>(0);
    for (unsigned i = 0; i < runtime.threads(); ++i) {
        handlers_.push_back(make_handler(i, config, shared_));
        servers_.push_back(Server::make(runtime.context(i), config.http,
                                        handler_function(handlers_.back()), connections));
    }
    registry.gauge("http_connections", "Open connections of clients.", {},
                   [connections] { return static_cast<double>(connections->load()); });
    AllCounters counters;  // not the servers: those hold what holds the registry
    for (const auto& server : servers_) {
        counters.push_back(server->counters());
    }
    const auto counter = [&](const char* name, const char* help,
                             metrics::Counter ServerCounters::*which) {
        registry.counter(name, help, {}, [counters, which] { return total(counters, which); });
    };
    counter("http_connections_accepted_total", "Connections accepted.", &ServerCounters::accepted);
    counter("http_connections_refused_total", "Connections above max_connections.",
            &ServerCounters::refused);
    counter("http_connections_timeouts_total", "Connections closed because the client was slow.",
            &ServerCounters::timeouts);
    counter("http_requests_malformed_total", "Requests refused for being no valid HTTP.",
            &ServerCounters::malformed);
}

std::shared_ptr<Shared> Door::share(const config::Config& config,
                                    std::shared_ptr<limit::Limiter> limiter, bool routes_checked) {
    auto shared =
        std::make_shared<Shared>(config, registry_, runtime_.threads(), std::move(limiter),
                                 known_keys_, timing_, cache_, hub_, access_log_);
    if (routes_checked) {
        shared->route_state.checked({});
    }
    return shared;
}

Door::HandlerPtr Door::make_handler(unsigned thread, const config::Config& config,
                                    std::shared_ptr<Shared> shared) {
    return std::make_shared<RequestHandler>(runtime_.context(thread), thread, config.database,
                                            std::move(shared), redis_);
}

void Door::check_later(const HandlerPtr& handler, std::shared_ptr<Shared> shared) {
    if (!shared->route_state.is_checked()) {
        spawn(runtime_.context(0), "the check of routes",
              check_when_reached(handler, std::move(shared)));
    }
}

std::optional<std::string> Door::start() {
    Listeners listeners;
    return start(listeners);
}

std::optional<std::string> Door::start(Listeners& listeners) {
    const auto sockets = listeners.open("http", listen_.host, listen_.port, runtime_.threads());
    if (!sockets) {
        return "http.listen: " + sockets.error();
    }
    for (unsigned i = 0; i < runtime_.threads(); ++i) {
        servers_[i]->listen(sockets.value()[i]);
        servers_[i]->start();
    }
    check_later(handlers_.front(), shared_);
    return std::nullopt;
}

void Door::reload(const config::Config& config, std::shared_ptr<limit::Limiter> limiter,
                  bool routes_checked) {
    known_keys_->set_grace(config.http.key_grace);
    const auto before = std::exchange(shared_, share(config, std::move(limiter), routes_checked));
    before->replaced.store(true, std::memory_order_relaxed);
    for (unsigned i = 0; i < runtime_.threads(); ++i) {
        net::post(runtime_.context(i), [this, i, config, shared = shared_] {
            handlers_[i] = make_handler(i, config, shared);
            servers_[i]->change(config.http, handler_function(handlers_[i]));
            if (i == 0) {
                check_later(handlers_[i], shared);
            }
        });
    }
}

void Door::stop() {
    shared_->stopping.store(true, std::memory_order_relaxed);
    for (unsigned i = 0; i < runtime_.threads(); ++i) {
        net::post(runtime_.context(i), [this, i] {
            servers_[i]->stop();
            handlers_[i]->stop();
        });
    }
}

Task<Readiness> Door::ready_of(HandlerPtr handler) {
    co_return co_await handler->health().ready();
}

// Tries until the database could be asked, then says loudly what does not fit.
Task<> Door::check_when_reached(std::shared_ptr<RequestHandler> handler,
                                std::shared_ptr<Shared> shared) {
    Timer pause(co_await net::this_coro::executor);
    while (!shared->stopping.load(std::memory_order_relaxed) &&
           !shared->replaced.load(std::memory_order_relaxed)) {
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
