// The HTTP door: one server, pool and key cache a thread, over shared routes.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "http/request_handler.hpp"
#include "http/server.hpp"
#include "metrics/registry.hpp"
#include "runtime/listeners.hpp"
#include "runtime/runtime.hpp"

namespace muster::http {

class Door {
  public:
    // `routes_checked` says that the routes were found to fit the database before; otherwise they
    // are checked at the first connection, and the process is not ready until then. `limiter`,
    // `timing`, `cache` and `hub` live as long as the runtime runs; without a cache, which is null,
    // every read is made, and without a hub there are no live updates.
    Door(Runtime& runtime, const config::Config& config, metrics::Registry& registry,
         limit::Limiter& limiter, timing::Timing& timing, RedisProbe redis, bool routes_checked,
         cache::Cache* cache = nullptr, push::Hub* hub = nullptr, AccessLog* access_log = nullptr);

    // Listens and serves. Returns why it cannot.
    std::optional<std::string> start(Listeners& listeners);
    std::optional<std::string> start();
    // Answers requests by another configuration from now on: its routes, [http] but for the
    // address, [database] and the limiter. Connections stay, and requests in hand end as they
    // began. From one thread with stop(), before it.
    void reload(const config::Config& config, std::shared_ptr<limit::Limiter> limiter,
                bool routes_checked);
    // Stops accepting and lets requests in hand end. From any thread.
    void stop();

    std::uint16_t port() const { return servers_.front()->port(); }
    // Whether the first thread is ready, for the admin door, which runs on it.
    Ready ready() const {
        return [this] { return ready_of(handlers_.front()); };
    }

  private:
    using HandlerPtr = std::shared_ptr<RequestHandler>;

    std::shared_ptr<Shared> share(const config::Config& config,
                                  std::shared_ptr<limit::Limiter> limiter, bool routes_checked);
    HandlerPtr make_handler(unsigned thread, const config::Config& config,
                            std::shared_ptr<Shared> shared);
    void check_later(const HandlerPtr& handler, std::shared_ptr<Shared> shared);
    static Task<Readiness> ready_of(HandlerPtr handler);
    static Task<> check_when_reached(HandlerPtr handler, std::shared_ptr<Shared> shared);

    Runtime& runtime_;
    const config::Endpoint listen_;
    metrics::Registry& registry_;
    timing::Timing& timing_;
    const RedisProbe redis_;
    cache::Cache* const cache_;
    push::Hub* const hub_;
    AccessLog* const access_log_;
    const std::shared_ptr<KnownKeys> known_keys_;  // a reload in an outage must not forget them
    std::shared_ptr<Shared> shared_;               // the newest
    std::vector<HandlerPtr> handlers_;             // each is its thread's, once that runs
    std::vector<std::shared_ptr<Server>> servers_;
};

}  // namespace muster::http
