// The JSON of a message. What depends on the change alone is built by the server; what depends on
// the publishing (id, prev_id, epoch) is spliced in front of it here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "relay/stream_id.hpp"

namespace muster::relay {

// Identifies one session of a relay: 16 hexadecimal digits, random.
std::string make_epoch();

// `fixed` is a JSON object with at least one member, beginning with '{'.
std::string splice(StreamId id, StreamId previous, std::string_view epoch, std::string_view fixed);

// `snapshot` is pg_snapshot's text; every change visible in it has been published.
std::string heartbeat(std::string_view epoch, std::uint64_t tick, std::string_view snapshot);

}  // namespace muster::relay
