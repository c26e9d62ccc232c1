// Reading the configuration again while the process serves.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "http/start_check.hpp"
#include "metrics/registry.hpp"
#include "runtime/runtime.hpp"

namespace muster {

// A file with a mistake, or whose routes do not fit the database, changes nothing. All on the
// runtime's control thread.
class Reload {
  public:
    // Asks the database whether the routes fit it: http::check_start().
    using Check =
        std::function<Task<http::StartCheck>(net::io_context& context, const config::Config&)>;
    // Puts a configuration into effect in place of another; `routes_checked` says that the database
    // could be asked about its routes.
    using Apply = std::function<void(const config::Config& wanted, const config::Config& running,
                                     bool routes_checked)>;

    // `overrides` are the command line's, which hold for every file. Without `check`, routes are
    // not checked. Outlives the runtime's run.
    Reload(Runtime& runtime, metrics::Registry& registry, const config::Config& running,
           std::vector<std::string> overrides, Check check, Apply apply);

    // Reads the file. Asked while it is being read, reads it once more.
    void begin();

  private:
    Task<> run();
    Task<bool> reload();

    Runtime& runtime_;
    config::Config running_;
    const std::vector<std::string> overrides_;
    const Check check_;
    const Apply apply_;
    bool reading_ = false;
    bool again_ = false;
    metrics::Counter succeeded_;
    metrics::Counter failed_;
    metrics::Gauge last_;  // whether the last one succeeded
};

}  // namespace muster
