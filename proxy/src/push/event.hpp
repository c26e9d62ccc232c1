// A message of the relay, as live clients get it: read once and shared by all of them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "redis/stream_id.hpp"

namespace muster::push {

using redis::StreamId;

struct Event {
    StreamId id;
    StreamId previous;   // the id of the entry before it in the stream
    bool reset = false;  // events were taken back or lost: who follows them has to read anew
    std::string event_type;
    std::string aggregate_type;
    std::string aggregate_id;
    std::string json;  // what is sent, on one line

    // What it weighs in a queue, in bytes.
    std::size_t weight() const { return json.size() + 256; }

    // Reads a message of the stream or channel; null if it is none. The relay writes the members
    // that matter first. A reset of the relay becomes one of ours.
    static std::shared_ptr<const Event> parse(std::string_view message);
    // What a client is told whose place in the stream is lost: to read the tables anew, and that
    // the events behind `id` follow. `reason` needs no escapes.
    static std::shared_ptr<const Event> make_reset(StreamId id, StreamId previous,
                                                   std::string_view reason);
};

using EventPtr = std::shared_ptr<const Event>;

// Up to which tick a heartbeat of the relay says that everything has been published.
std::optional<std::uint64_t> tick_of_heartbeat(std::string_view message);

}  // namespace muster::push
