// Counting events as they are written, so that reading a number costs the same for any number. The
// files of this folder, from the bottom: counts (the table), batch (a statement's changes), trigger
// (what the events' triggers do, and whether their work can be relied on).
#pragma once

#include "count/server.hpp"

namespace muster::count {

// Whether muster.event_counts says under the active snapshot how many of the relation's rows each
// aggregate has.
bool counted(Relation events);

// Registers the callbacks. Once per backend, from _PG_init.
void init();

}  // namespace muster::count
