// How a reading function returns its row (body json, next text), and others their rows.
#pragma once

#include "read/scratch.hpp"

namespace muster::read {

// The session's buffer, with room for the row's header before the body that is to be written.
json::Arena begin_body();

// Returns the row and keeps the buffer; no next means null, else it has a header of four bytes.
Datum finish_body(FunctionCallInfo fcinfo, json::Arena& row, const text* next);

// Returns the row (NULL, NULL).
Datum empty_answer(FunctionCallInfo fcinfo);

// The rows that a set-returning function returns, empty at first, in the memory that its caller
// asks for. They are of the type that the descriptor says. Beyond so many kilobytes they go to
// disk.
Tuplestorestate* begin_rows(FunctionCallInfo fcinfo, TupleDesc descriptor,
                            int kilobytes = work_mem);

}  // namespace muster::read
