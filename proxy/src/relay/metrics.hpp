// The relay's counts, as /metrics shows them.
#pragma once

#include "metrics/registry.hpp"
#include "relay/relay.hpp"

namespace muster::relay {

// Adds the series of `relay`, which has to outlive the last scrape.
void publish_metrics(metrics::Registry& registry, const Relay& relay);

}  // namespace muster::relay
