// Numbers of events without counting them.
#pragma once

#include "read/source.hpp"
#include "read/uuid_map.hpp"

namespace muster::read {

// Sums what muster.event_counts says of each key, under the active snapshot. Returns false, with
// nothing done, where only count(*) tells what this caller may know: under row security, without
// the right to read the events (count(*) then raises the error), and wherever the sums cannot be
// relied on.
bool sum_event_counts(const Source& source, const UuidMap& keys, std::int64_t* counts);

}  // namespace muster::read
