// What tells SQL statements apart, whatever their values: a hash over the tokens, in one pass.
//
// Values (numbers, strings and parameters, alike) count by their place only; whitespace, comments,
// the case of words and a semicolon at the end do not count. In places where nothing but an operand
// can stand, NULL, TRUE and FALSE are values, and a sign before a number is part of it. Elements of
// IN (...), ARRAY[...] and VALUES ... that equal the one before them do not count, so that lists of
// any length are one statement. The tokens are PostgreSQL's (sql_lexer.hpp); its grammar is not
// asked.
//
// The same in every process and version of the proxy as long as this file does not change.
#pragma once

#include <cstdint>
#include <string_view>

namespace muster::timing {

// `cut`: the statement goes on behind `text`. Then the last token, of which the rest may be
// missing, does not count, nor does the element of a list that it is in. Never 0.
std::uint64_t token_hash(std::string_view text, bool cut = false);

}  // namespace muster::timing
