// The opaque text that says where a page ended: base64url of the table's number and the last row's
// keys.
#pragma once

#include "read/table.hpp"

namespace muster::read {

// The keys of the row after which a page begins.
struct Cursor {
    bool is_null;           // the first key is null
    Timestamp created_at;   // of Order::Newest
    std::string_view name;  // of Order::Name
    pg_uuid_t id;
};

// The cursor's text, in the current memory context.
text* encode_cursor(const Table& table, const Cursor& cursor);

// Reads a cursor that encode_cursor() gave for this table. Anything else is an error, 22023.
Cursor decode_cursor(const Table& table, std::string_view encoded);

}  // namespace muster::read
