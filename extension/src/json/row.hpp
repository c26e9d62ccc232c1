// Rows as the members of a JSON object. The list of members is made from a row set's descriptor
// each time it is run, since tables change between runs.
#pragma once

#include "json/value.hpp"

namespace muster::json {

struct Member {
    const char* key;       // `,"name":null`, escaped, and room to read it in blocks
    std::size_t key_size;  // with the comma and without the null
    AttrNumber attribute;  // from 1
    ValueWriter writer;
    const Field* fields;  // the paths asked for within, or null for the whole value
};

struct RowWriter {
    Member* members;
    int count;
    AttrNumber last_attribute;  // the highest one written

    // Appends the members with commas between them and without braces. Values are detoasted and
    // converted in the current memory context.
    void put(Arena& out, TupleTableSlot* slot) const;
};

// An empty writer with room for all columns of the descriptor, in the current memory context.
RowWriter make_row_writer(TupleDesc descriptor);

// Adds a column of the descriptor to a row's members. `fields` as in Member.
void add_member(RowWriter& row, TupleDesc descriptor, AttrNumber attribute, const Field* fields);

}  // namespace muster::json
