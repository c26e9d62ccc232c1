// Where to go on: a decision from what Redis holds and what PostgreSQL keeps, without I/O.
//
// Redis is the only memory of what was published; PostgreSQL is the only memory of what happened.
// The last id of the stream names a tick, and a tick can be read again at any time with the same
// result, so publishing goes on exactly behind that id, or, when PostgreSQL does not know that
// tick, begins a new generation with a `reset`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "relay/stream_id.hpp"

namespace muster::relay {

// The newest row of muster.generation.
struct Recorded {
    std::uint64_t number = 0;
    std::uint64_t first_tick = 0;
    bool same_history = false;  // it is of this cluster, timeline and database
    bool announced = false;     // its reset has been published
};

struct Facts {
    std::optional<Recorded> recorded;
    StreamId last;  // of the stream; 0-0 if there is none
    StreamId ours;  // the last one that is of the recorded generation; 0-0 if there is none
    std::uint64_t oldest_tick = 0;  // kept; there is always one
    std::uint64_t newest_tick = 0;
    // About `ours.tick()`:
    bool our_tick_kept = false;
    bool our_tick_complete = false;      // `ours` is its last entry
    std::uint64_t tick_before_ours = 0;  // the kept one before it; 0 if none
    // Ticks after this one hold all that a full stream would: an empty one is not filled from
    // before.
    std::uint64_t refill_after = 0;
    // All up to this tick has been published by this relay; 0: it does not know.
    std::uint64_t published = 0;
    StreamId known;  // the greatest id that this relay has ever seen published
    // The first tick that saw all the changes that were dropped unpublished; 0 if none ever were.
    std::uint64_t dropped_tick = 0;
};

struct Plan {
    std::uint64_t generation = 0;
    bool new_generation = false;  // record it, with `base` as its first tick and `reason`
    bool reset = false;           // publish the generation's reset entry, which stands at `base`
    std::uint64_t base = 0;       // the ticks after this one are to be published
    std::uint64_t skip = 0;       // entries of the first of them that are published already
    std::string reason;
};

// Returns nothing if the stream's ids are used up: no higher generation is possible.
std::optional<Plan> decide(const Facts& facts);

}  // namespace muster::relay
