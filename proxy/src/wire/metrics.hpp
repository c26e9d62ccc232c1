// The wire door's counts, as /metrics shows them.
#pragma once

#include "metrics/registry.hpp"
#include "wire/server.hpp"

namespace muster::wire {

// Adds the series of `server`, which has to outlive the last scrape.
void publish_metrics(metrics::Registry& registry, const Server& server);

}  // namespace muster::wire
