// The check of the routes before they are served: on a connection of its own.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"
#include "runtime/asio.hpp"

namespace muster::http {

struct StartCheck {
    bool reached = false;               // the database could be asked
    std::string reason;                 // why not
    std::vector<std::string> mistakes;  // "proxy.toml:12: route …"
};

// Describes every route's call on `config.database`, which takes the connect timeout and 10 s at
// most.
Task<StartCheck> check_start(net::io_context& context, const config::Config& config);

// The same, blocking.
StartCheck start_check(const config::Config& config);

}  // namespace muster::http
