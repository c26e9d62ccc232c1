// Reading a request's body: from JSON to the values of columns, with errors that name the member.
#pragma once

#include "write/form.hpp"

namespace muster::write {

// The members that a body gave, by their place in the form. An alias stands at its column's first
// place.
struct Values {
    MemberSet given = 0;
    MemberSet nulls = 0;
    Datum values[64];

    bool has(int member) const { return (given >> member & 1) != 0; }
    bool is_null(int member) const { return (nulls >> member & 1) != 0; }
};

enum class Purpose : uint8_t { Create, Update };

// Checks the body, given as json or null, against the form. Values are allocated in the current
// context.
void read_body(const text* body, const Form& form, Purpose purpose, Values& values);

// The type that a kind's values have as parameters.
Oid parameter_type(Kind kind);

// Reads a UUID in its usual form, with or without hyphens.
bool parse_uuid(std::string_view digits, Datum* uuid);

}  // namespace muster::write
