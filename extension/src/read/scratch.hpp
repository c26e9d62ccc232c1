// The session's buffers for text on its way into an answer. They are kept between calls, because
// taking megabytes from the system and giving them back each time costs more than filling them.
#pragma once

#include "read/server.hpp"
#include "json/arena.hpp"

namespace muster::read {

// Defines muster.kept_memory. Once per backend, from _PG_init.
void init_scratch();

// Moves a buffer into the current memory context: a kept one, or a new one if all are in use, by
// this call or further up the stack. Should an error end the call, it goes with that context.
json::Arena take_scratch();

// Keeps the buffer for later calls, unless it has grown past what
// muster.kept_memory allows it.
void keep_scratch(const json::Arena& arena);

}  // namespace muster::read
