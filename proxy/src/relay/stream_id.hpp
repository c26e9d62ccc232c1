// The ids that the relay gives.
#pragma once

#include "redis/stream_id.hpp"

namespace muster::relay {

using redis::StreamId;

}  // namespace muster::relay
