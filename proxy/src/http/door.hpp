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
         cache::Cache* cache = nullptr, push::Hub* hub = nullptr);

    // Opens the listeners and serves. Returns why it cannot.
    std::optional<std::string> start();
    // Stops accepting and lets requests in hand end. From any thread.
    void stop();

    std::uint16_t port() const { return servers_.front()->port(); }
    // Whether the first thread is ready, for the admin door.
    Ready ready() const {
        return [handler = handlers_.front()] { return handler->health().ready(); };
    }

  private:
    static Task<> check_when_reached(std::shared_ptr<RequestHandler> handler,
                                     std::shared_ptr<Shared> shared);

    Runtime& runtime_;
    const config::Config& config_;
    std::shared_ptr<Shared> shared_;
    std::vector<std::shared_ptr<RequestHandler>> handlers_;
    std::vector<std::shared_ptr<Server>> servers_;
};

}  // namespace muster::http
