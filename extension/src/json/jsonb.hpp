// Writing stored jsonb, whole or by paths, straight from its bytes.
#pragma once

#include "json/fields.hpp"

namespace muster::json {

// A jsonb container (object, array, or the array around a lone scalar) as stored, after the varlena
// header. Its bytes need not be aligned, so that short values are read where the tuple has them.
struct JsonbBytes {
    const char* container;
};

// Detoasts the value if it is compressed or stored outside its row.
JsonbBytes jsonb_bytes(Datum value);

// Appends the value as jsonb_out() writes it.
void put_jsonb(Arena& out, JsonbBytes value);

// Appends what of the value the paths beneath `fields` ask for, and returns whether there was any.
// Nothing else of it is looked at. An object nests as in the document and has the members in
// the order asked for; a path that leads nowhere is left out, and so is an object in which nothing
// was found. In an array a number picks an element; every other name is asked of each element that
// is an object or array, and each of those is written, as {} or [] if it has nothing of it.
bool put_jsonb_fields(Arena& out, JsonbBytes value, const Field& fields);

// The same for a document: an object or array is always written, be it as {} or [].
bool put_jsonb_document(Arena& out, JsonbBytes value, const Field& fields);

}  // namespace muster::json
