// The admin door: metrics, query figures and health for those who operate the process, on an
// address of their own and without keys.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "config/config.hpp"
#include "http/health.hpp"
#include "http/server.hpp"
#include "metrics/registry.hpp"
#include "runtime/listeners.hpp"
#include "runtime/runtime.hpp"
#include "timing/statements.hpp"

namespace muster::http {

class Admin {
  public:
    // What it tells about. All outlive the runtime's run. Without `statements` there is no
    // /queries.
    struct Sources {
        const metrics::Registry& registry;
        Ready ready;
        timing::Statements* statements = nullptr;
    };

    // Served by the first thread, on which `ready` is asked too.
    Admin(Runtime& runtime, const config::Config& config, Sources sources);

    // Listens and serves. Returns why it cannot.
    std::optional<std::string> start(Listeners& listeners);
    std::optional<std::string> start();
    void stop();

    std::uint16_t port() const { return server_->port(); }

  private:
    static Task<Response> handle(const Sources& sources, Exchange& exchange);

    Runtime& runtime_;
    const config::Config& config_;
    std::shared_ptr<Server> server_;
};

}  // namespace muster::http
