// The `[[route]]` tables of proxy.toml. Internal to the config room: it is all that shows toml++.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

#include "config/config.hpp"

namespace muster::config {

// A mistake at a line of the file, thrown within the room and reported by load().
struct LineError {
    unsigned line;
    std::string message;
};

// The line that a node begins at.
unsigned line_of(const toml::node& node);

// Refuses what is not among `known`; throws LineError. `what` names the table, as in "a route".
void refuse_unknown_keys(const toml::table& table, std::initializer_list<std::string_view> known,
                         const std::string& what);

// Reads one route; throws LineError.
Route read_route(const toml::table& table);

// Whether the door, with live updates enabled, answers the route's path itself.
bool is_live_path(const Route& route);

// Refuses routes that share a name or answer the same method and path; throws LineError.
void check_routes_differ(const std::vector<Route>& routes);

}  // namespace muster::config
