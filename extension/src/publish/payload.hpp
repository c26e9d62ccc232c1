// Turning rows into the JSON of a message.
#pragma once

#include "publish/config.hpp"

namespace muster::publish {

// One version of a row, all columns deformed.
struct Row {
    const Datum* values;
    const bool* nulls;

    bool is_null(const Column& column) const { return nulls[column.number - 1]; }
    Datum value(const Column& column) const { return values[column.number - 1]; }
};

// Which of Config::columns differ between two versions of a row, of those that are watched.
struct Difference {
    const bool* changed;
    bool any;
    bool key;  // what identifies the row changed
};

Difference compare(const Config& config, const Row& before, const Row& after);

// The payload of a change of the row. `difference` is null unless it was an update. When the
// payload would be over a megabyte, it is the key and "truncated": true.
std::string_view change_payload(const Config& config, const Row& row, bool deleted,
                                const Difference* difference);

// A JSON column's text, or `{}` where the row has none; a text over a megabyte is replaced like a
// payload.
std::string_view json_column(const Config& config, const Row& row, int column);

// A column's value as bare text, as it stands in aggregate ids and tags: the same for the same
// value in every session, and empty when null. A text over 8192 bytes is cut and ends in a hash of
// the whole; a value over a megabyte is not looked at.
std::string_view bare_text(const Column& column, const Row& row);

// The key as bare text. That of several columns is joined by commas and unambiguous: \N for a null,
// and a backslash before commas and backslashes within values.
std::string_view key_text(const Config& config, const Row& row);

}  // namespace muster::publish
