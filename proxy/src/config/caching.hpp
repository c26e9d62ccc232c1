// The `cache` and `writes` of a route. Internal to the config room.
#pragma once

#include <toml++/toml.h>

#include "config/config.hpp"

namespace muster::config {

// Reads both into `route`, whose parameters are known already; throws LineError.
void read_caching(Route& route, const toml::table& table);

}  // namespace muster::config
