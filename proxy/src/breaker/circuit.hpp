// A breaker as the process has it: configured, with its changes in the log and its state in the
// metrics.
#pragma once

#include <memory>
#include <string>

#include "breaker/breaker.hpp"
#include "config/config.hpp"
#include "metrics/registry.hpp"

namespace muster::breaker {

// `name` says what it is about, in the log and as a label: "database", "redis", "route
// list_agents".
std::shared_ptr<Breaker> make_circuit(const config::Breaker& config, metrics::Registry& registry,
                                      const std::string& name);

}  // namespace muster::breaker
