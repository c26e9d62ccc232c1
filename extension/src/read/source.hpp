// Where the users' tables are: the schema that create_tables() recorded.
#pragma once

#include "read/table.hpp"

namespace muster::read {

struct Source {
    NameData schema;
    Oid schema_id;
    const char* quoted_schema;  // as it stands in SQL

    // The table's oid. It is an error if there is none.
    Oid relation(const char* name) const;
};

// Finds the schema, in the current memory context. Without one the error says what to run.
Source find_source();

// The same for the planner: false, and no error, if there is none.
bool look_for_source(Source& source);

struct ColumnFacts {
    AttrNumber number;
    Oid type;  // domains are looked through
    bool nullable;
};

// Looks a column of the table up. A missing one is an error.
ColumnFacts column_facts(Oid relation, const char* column);

// Whether the table has a column of that name that is not a system column.
bool has_column(Oid relation, std::string_view name);

}  // namespace muster::read
