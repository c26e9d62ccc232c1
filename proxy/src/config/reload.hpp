// Which settings take effect while the process runs.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace muster::config {

// Gives the settings of `wanted` that only a restart can change the values that `running` has.
// Returns the names of those that differed: "http.listen". Routes can all change.
std::vector<std::string> keep_what_needs_restart(Config& wanted, Config running);

}  // namespace muster::config
