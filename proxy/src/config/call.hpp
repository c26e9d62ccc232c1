// The `call` of a route: an SQL function call whose values are `$name`s, made into one statement
// with positional parameters.
//
// The text is PostgreSQL's own expression syntax, of which only the lexical surface is read here:
// a `$name` inside a literal, a quoted identifier, a comment or a dollar quote is left alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/result.hpp"

namespace muster::config {

// What one positional parameter is bound to: parameters[0] is $1.
struct CallParameter {
    // How the raw body is bound; `none` for everything that is not $body.
    enum class Body { none, json, jsonb, text, bytea };
    std::string name;
    Body body = Body::none;
};

struct Call {
    std::string sql;  // "muster.agent_json(id => $1::uuid)"
    std::vector<CallParameter> parameters;
};

// Compiles a call. The error says what is wrong with it, e.g. "unterminated string literal".
Result<Call, std::string> compile_call(std::string_view text);

}  // namespace muster::config
