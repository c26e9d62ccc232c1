// The admin door: metrics and health for those who operate the process, on an address of their own
// and without keys.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "config/config.hpp"
#include "http/door.hpp"
#include "metrics/registry.hpp"

namespace muster::http {

class Admin {
  public:
    // Served by the first thread. `registry` outlives the runtime's run.
    Admin(Runtime& runtime, const config::Config& config, const metrics::Registry& registry,
          const Door& door);

    // Opens the listener and serves. Returns why it cannot.
    std::optional<std::string> start();
    void stop();

    std::uint16_t port() const { return server_->port(); }

  private:
    static Task<Response> handle(const metrics::Registry& registry, RequestHandler& handler,
                                 Exchange& exchange);

    Runtime& runtime_;
    const config::Config& config_;
    std::shared_ptr<Server> server_;
};

}  // namespace muster::http
