// What a caller asks for with `fields`: names of columns and children, and paths into JSON values.
//
//   fields  = path { "," path }
//   path    = segment { "." segment }
//   segment = bare text without , . or " (blanks around it do not count), or "quoted text" with ""
//   for "
//
// The paths are kept as a tree. A path that is asked for whole contains what else is asked for
// beneath.
#pragma once

#include "json/arena.hpp"

namespace muster::json {

struct Field {
    std::string_view name;
    std::int32_t index;  // which element of an array the name means, or -1
    bool whole;          // everything beneath is asked for
    Field* children;     // null exactly when whole
    Field* next;         // the next one beside it, in the order asked

    const Field* find(std::string_view wanted) const;
};

// Reads `fields` into a tree in the current memory context, and returns its root, whose children
// are the first segments. Returns null when the text is blank: everything is asked for. A text that
// is no list of paths is an error, 22023. The tree's names point into the text unless they were
// quoted.
const Field* parse_fields(std::string_view text);

}  // namespace muster::json
