// The statements of the writing functions: made once for each shape of body and kept planned.
#pragma once

#include "read/source.hpp"
#include "write/body.hpp"

extern "C" {
#include "lib/stringinfo.h"
}

namespace muster::write {

// Which statement is meant: for one form (or item), variant and set of members there is one text.
struct Shape {
    const void* subject;
    int variant;
    MemberSet members;
};

// A statement in the making: its text and the parameters it binds.
struct Statement {
    const char* schema;  // quoted
    StringInfoData text;
    Datum values[66];
    Oid types[66];
    char nulls[66];
    int parameters = 0;

    // Adds a parameter and returns its number for the text.
    int bind(Oid type, Datum value, bool is_null = false);

    // Adds a comma, unless a list has just been opened.
    void separate();
};

// An empty statement on the tables of the source, which must outlive it.
Statement start_statement(const read::Source& source);

// Executes the statement in the current SPI connection, with a plan kept from before if there is
// one. The text must depend on the shape and the source's schema alone. Returns whether a row came
// back, of which *result (in SPI's memory; null gives *is_null) is the first column.
bool execute(const Shape& shape, const read::Source& source, Statement& statement, Datum* result,
             bool* is_null);

}  // namespace muster::write
