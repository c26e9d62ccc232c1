// What fetching every kind of child takes. For children.cpp and the files of the kinds.
#pragma once

#include "read/children.hpp"
#include "read/columns.hpp"

namespace muster::read {

struct Fetch {
    const Page& page;
    const Source& source;
    MemoryContext row_context;
    json::Arena& out;

    // The keys that children are fetched for.
    const UuidMap& keys() const { return page.keys; }
    // The paths asked for within a child, or null for all of it.
    const json::Field* fields(const ChildSet& set) const {
        return page.request->fields_of(set.name);
    }
};

static_assert(std::is_trivially_destructible_v<Fetch>);

// Runs the form's statement for a set of keys. Without keys there is nothing to ask.
void run_for(Form form, const Source& source, const UuidMap& keys, Receiver& receiver,
             SelectList columns = all_columns);

// Appends the row as an object.
Segment put_object(json::Arena& out, const json::RowWriter& writer, TupleTableSlot* slot);

template <class T>
T* make_zeros(std::size_t count) {
    return static_cast<T*>(MemoryContextAllocExtended(CurrentMemoryContext, sizeof(T) * count,
                                                      MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
}

template <class T>
T* make_array(std::size_t count) {
    return static_cast<T*>(MemoryContextAllocHuge(CurrentMemoryContext, sizeof(T) * (count + 1)));
}

// Puts rows, each of which has a member `key`, in the order of their keys, those of a key in the
// order they came. Those of key k are then from starts[k] to starts[k + 1].
template <class Row>
const Row** group_by_key(const List<Row>& rows, std::uint32_t keys, std::uint32_t*& starts) {
    starts = make_zeros<std::uint32_t>(keys + 2UL);
    for (const Row& row : rows) {
        starts[row.key + 2]++;
    }
    for (std::uint32_t k = 0; k < keys; k++) {
        starts[k + 2] += starts[k + 1];
    }
    auto* grouped = make_array<const Row*>(rows.count);
    for (const Row& row : rows) {
        grouped[starts[row.key + 1]++] = &row;
    }
    return grouped;
}

void fetch_goals(const Fetch& fetch, ChildSet& set);
void fetch_tools(const Fetch& fetch, ChildSet& set);

}  // namespace muster::read
