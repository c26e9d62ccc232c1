// Saved plans and running them into a receiver of ours.
//
// A session keeps the plan of each statement, up to a number of them, and lets go of those that it
// has not used for longest. The server replans by itself when the tables beneath have changed.
//
// The SQL text names everything in full, operators too, so that the caller's search_path cannot put
// anything else in its place. That is why the SQL functions need no SET search_path, which would
// cost every call and make the saved plans stale each time.
#pragma once

#include "read/source.hpp"

namespace muster::read {

enum class Form : std::uint8_t {
    List,        // a page of a table
    Item,        // one row of it
    GoalsOf,     // goals of a page of agents
    LinksOf,     // which tools a page of agents may use
    ToolsOf,     // those tools
    AllTools,    // all tools, for when most of them are wanted
    EventCount,  // how many events each of a page of agents has
    AgentsOf,    // agents of a page of goals
    AgentCount,  // how many agents may use each of a page of tools
};

// Where a page begins.
enum class Start : std::uint8_t {
    Top,
    AfterKey,   // after a row whose first key is not null, up to the last such row
    AllNulls,   // the rows whose first key is null, which come last
    AfterNull,  // after one of those
};

// Everything that a statement's text depends on.
struct PlanKey {
    NameData schema;
    const char* columns;  // the select list that columns.hpp makes, or null; compared as text
    std::uint8_t table;
    Form form;
    std::uint8_t filters;  // a bit for each of the table's filters
    Start start;
    std::uint8_t limit_bits;  // LIMIT 2^limit_bits; 0 is no limit
    bool naive;               // created_at is a timestamp without time zone
    std::uint8_t padding[2];
};

constexpr int most_parameters = most_filters + 2;

struct Parameters {
    Oid types[most_parameters];
    Datum values[most_parameters];
    int count;

    void add(Oid type, Datum value) {
        types[count] = type;
        values[count] = value;
        count++;
    }
};

// Takes a statement's rows. What on_row() allocates is freed after the row.
struct Receiver {
    DestReceiver dest;  // must come first
    MemoryContext row_context;
    void (*on_start)(Receiver& self, TupleDesc descriptor);
    bool (*on_row)(Receiver& self, TupleTableSlot* slot);  // false: no more rows are wanted
};

// Sets what all receivers have in common.
void init_base(Receiver& self, MemoryContext row_context);

// Sets the callbacks of a receiver T, whose first member is `Receiver base`, to T's start() and
// row().
template <class T>
void init_receiver(T& self, MemoryContext row_context) {
    static_assert(std::is_trivially_destructible_v<T>);
    init_base(self.base, row_context);
    self.base.on_start = [](Receiver& base, TupleDesc descriptor) {
        reinterpret_cast<T&>(base).start(descriptor);
    };
    self.base.on_row = [](Receiver& base, TupleTableSlot* slot) {
        return reinterpret_cast<T&>(base).row(slot);
    };
}

// Runs the statement of that key on the caller's snapshot and with the caller's rights. `text` is
// called to make the SQL when there is no plan yet. Needs an SPI connection.
using MakeText = void (*)(StringInfo sql, const PlanKey& key, const Source& source,
                          const void* detail);
void run(const PlanKey& key, const Source& source, const Parameters& parameters, MakeText make_text,
         const void* detail, Receiver& receiver);

// Finds a result column that must have that type, domains looked through; `other` is another type
// that will do.
AttrNumber find_column(TupleDesc descriptor, const char* name, Oid type, Oid other = InvalidOid);

// Finds a result column that must hold text, varchar or char.
AttrNumber find_text_column(TupleDesc descriptor, const char* name);

// A uuid column's value. Keys are never null as create_tables() leaves them; should one be, it is
// taken for zeros.
pg_uuid_t uuid_of(TupleTableSlot* slot, AttrNumber attribute);

}  // namespace muster::read
