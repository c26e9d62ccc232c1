// muster.event_counts: how many events an aggregate has is the sum of its rows' n.
//
// Every change of the number is a row of its own, so that writers of one aggregate touch nothing in
// common, and who sees which rows is decided by the same rule as for the events themselves. Now and
// then a writer replaces rows that everybody it can know of is done with by their sum: it folds
// them.
//
// All of this goes through the table's access method and not through queries: neither writers nor
// readers need a right on the table, and nothing is planned.
#pragma once

#include "count/server.hpp"

namespace muster::count {

// Adds rows to the table, as part of the current transaction. Nothing of it is released on an error
// but by the transaction's end.
struct Writer {
    // Adds a row, and sometimes folds those that the aggregate has.
    void add(const pg_uuid_t& aggregate, std::int64_t n);
    // Folds at most fold_limit rows of the aggregate that are visible to a new snapshot and that no
    // other transaction is folding, without waiting. Returns how many are gone.
    int fold(const pg_uuid_t& aggregate);
    void close();

    Relation table;
    Relation index;  // null if it is gone: then nothing is folded
    ResultRelInfo target;
    EState* estate;
    TupleTableSlot* slot;

  private:
    void insert(const pg_uuid_t& aggregate, std::int64_t n);
};

Writer open_writer();

constexpr int fold_limit = 256;

// Sums of aggregates under the active snapshot.
struct Reader {
    // Returns 0 where the rows say less: a number of events is never negative.
    std::int64_t sum(const pg_uuid_t& aggregate);
    void close();

    Relation table;
    Relation index;
    IndexScanDesc scan;
    TupleTableSlot* slot;
};

// Whether there is an index to read by. The reader must be closed if so.
bool open_reader(Reader& reader);

}  // namespace muster::count
