// The value that a reading function returns: a row (body json, next text), made in place around its body
// so that a large document is not copied once more.
#pragma once

#include "read/server.hpp"
#include "json/arena.hpp"

namespace muster::read {

// An arena in the current memory context in which the body is to be written next.
json::Arena begin_answer(std::size_t body_size);

// Completes the row around the body; no next means null. The arena must not be used any more.
Datum finish_answer(json::Arena& arena, const text* next);

// The row (NULL, NULL), in the current memory context.
Datum empty_answer();

}  // namespace muster::read
