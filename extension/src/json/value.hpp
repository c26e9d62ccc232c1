// How a value of a type is written: as to_json() would under TimeZone = UTC and DateStyle = ISO,
// whatever the session's are. The way is chosen once for a column and then used for all its values.
#pragma once

#include "json/server.hpp"
#include "json/fields.hpp"

namespace muster::json {

struct ValueWriter;

// Appends a value that is not null. Whatever it allocates goes into the current memory context.
using WriteValue = void (*)(Arena& out, Datum value, const ValueWriter& writer);

struct ValueWriter {
    WriteValue write;
    Oid type;  // domains are looked through
    // What some ways of writing need besides, made with the writer:
    FmgrInfo* function;          // an output function or a cast to json
    const ValueWriter* element;  // of an array
    std::int16_t element_length;
    bool element_by_value;
    char element_align;
};

// Chooses the way for a type, in the current memory context. The writer lives as long as that.
ValueWriter choose_writer(Oid type);

// The same, but a timestamp without time zone is one in UTC, and says so.
ValueWriter choose_writer_of_utc(Oid type);

// Appends what of a value that is not null the paths beneath `fields` ask for, and returns whether
// there was any. Of a jsonb only that is looked at; other types are made jsonb first.
bool put_value_fields(Arena& out, Datum value, const ValueWriter& writer, const Field& fields);

}  // namespace muster::json
