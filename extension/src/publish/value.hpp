// One column's value as JSON, as to_json() would write it under TimeZone = UTC.
#pragma once

#include "publish/config.hpp"

namespace muster::publish {

// to_json() for one type, made in the current memory context.
FmgrInfo* to_json_function(Oid type);

// Appends the value, which is not null.
void append_json(StringInfo out, const Column& column, Datum value);

// Appends the value as it stands in a JSON string, without the quotes: dates in ISO 8601, whatever
// DateStyle says, and everything else as its type writes it.
void append_bare_text(StringInfo out, const Column& column, Datum value);

}  // namespace muster::publish
