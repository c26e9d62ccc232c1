// What a call asks for, checked.
#pragma once

#include "read/cursor.hpp"
#include "read/source.hpp"
#include "json/fields.hpp"

namespace muster::read {

struct Request {
    const Table* table;
    std::uint32_t filters;  // a bit for each filter given
    Datum filter_values[most_filters];
    std::int64_t limit;
    std::int64_t offset;
    bool has_cursor;
    Cursor cursor;
    std::uint32_t children;     // a bit for each of the table's children asked for
    const json::Field* fields;  // null: everything

    void filter_by(int which, Datum value) {
        filters |= 1U << which;
        filter_values[which] = value;
    }

    bool includes(ChildKind kind) const;

    // The fields asked of a child, or null for all of it.
    const json::Field* fields_of(std::string_view child) const;
};

Request make_request(const Table& table);

// The arguments that all lists have; null stands for the default. Wrong values are errors, 22023.
void take_page(Request& request, FunctionCallInfo fcinfo, int limit, int offset, int after);

// `include`: the children's names between commas. Null stands for `missing`.
void take_include(Request& request, FunctionCallInfo fcinfo, int argument,
                  std::string_view missing);

// `fields`. Names are checked by check_fields(), once the tables are found.
void take_fields(Request& request, FunctionCallInfo fcinfo, int argument);

// Refuses names in `fields` that the table and the children included do not have, and drops the
// children of which nothing is asked for.
void check_fields(Request& request, const Source& source);

// The text argument; it must not be null.
std::string_view text_argument(FunctionCallInfo fcinfo, int argument);

// The children that an `include` names. False if it names one that the table does not have, which
// is then `unknown`.
bool parse_include(const Table& table, std::string_view include, std::uint32_t& children,
                   std::string_view& unknown);

// How many rows a page has when it is not said.
constexpr std::int64_t default_limit = 100;

// What an agent's `include` is when it is not given.
constexpr std::string_view agent_includes = "goals,tools,event_count";

// A filter by an argument, unless that is null. The statuses of agents and executions are fixed,
// and others are refused.
void take_filter(Request& request, FunctionCallInfo fcinfo, int argument, int which);
void take_agent_status(Request& request, FunctionCallInfo fcinfo, int argument);
void take_execution_status(Request& request, FunctionCallInfo fcinfo, int argument);

}  // namespace muster::read
