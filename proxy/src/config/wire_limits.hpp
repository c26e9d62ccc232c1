// The `[[wire_limit]]` tables of proxy.toml. Internal to the config room, like routes.hpp.
#pragma once

#include "config/routes.hpp"

namespace muster::config {

// Adds one table to what it excepts a user or a database from; throws LineError.
void read_wire_limit(const toml::table& table, WireLimits& limits);

}  // namespace muster::config
