// The check of the routes before the process serves: on a connection and an event loop of its own.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace muster::http {

struct StartCheck {
    bool reached = false;               // the database could be asked
    std::string reason;                 // why not
    std::vector<std::string> mistakes;  // "proxy.toml:12: route …"
};

// Describes every route's call on `config.database`. Blocks, at most for the connect timeout and 10
// s.
StartCheck start_check(const config::Config& config);

}  // namespace muster::http
