// What a statement on the events has changed so far: one number per aggregate, written when the
// statement ends, so that a bulk load of a million events of ten thousand aggregates leaves ten
// thousand rows.
#pragma once

#include "count/server.hpp"

namespace muster::count {

// A statement begins or ends. Only what is between the two is gathered: a statement that names a
// partition instead of the table, and rows that replication brings, have no begin and no end, and
// are written at once.
void begin_statement();
void end_statement();

// The aggregate has gained or lost an event.
void add(const pg_uuid_t& aggregate, std::int64_t n);

// Whether a statement on the events is being executed further up the stack. Its rows are there for
// who takes a new snapshot, and are not counted yet.
bool in_statement();

// Registers what keeps this right when transactions end. Once per backend.
void batch_init();

}  // namespace muster::count
