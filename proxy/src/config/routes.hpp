// The `[[route]]` tables of proxy.toml. Internal to the config room: it is all that shows toml++.
#pragma once

#include <string>
#include <vector>

#include <toml++/toml.h>

#include "config/config.hpp"

namespace muster::config {

// A mistake at a line of the file, thrown within the room and reported by load().
struct LineError {
    unsigned line;
    std::string message;
};

// Reads one route; throws LineError.
Route read_route(const toml::table& table);

// Refuses routes that share a name or answer the same method and path; throws LineError.
void check_routes_differ(const std::vector<Route>& routes);

}  // namespace muster::config
