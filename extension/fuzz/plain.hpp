// What the writer is to write, in the plainest way: strings that grow, no bytes of the server's,
// and not fast. It shares no code with the writer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fuzz {

// A JSON value. An object's keys stand as jsonb has them: in order, and each once.
struct Value {
    enum class Kind { Null, False, True, Number, String, Array, Object };
    Kind kind = Kind::Null;
    std::string text;  // of a string, or a number as decimal digits
    std::vector<std::string> keys;
    std::vector<Value> children;  // elements, or the values of the keys
};

// Names one beneath the other.
using Path = std::vector<std::string>;

std::string plain_string(std::string_view text);

// As jsonb_out() has it.
std::string plain_json(const Value& value);

// What the paths find, of which there is at least one and none is empty; at least {} or [] if
// `always` is set.
std::optional<std::string> plain_project(const Value& value, const std::vector<Path>& paths,
                                         bool always);

// Reads `fields`. No paths at all are everything; nothing means that the text is no list of paths.
std::optional<std::vector<Path>> plain_paths(std::string_view text);

// Without those that another one contains, in the order in which they are first asked for.
std::vector<Path> distinct_paths(const std::vector<Path>& paths);

// A day since 2000-01-01, and microseconds since then; nothing outside of the years 1 to 9999.
std::optional<std::string> plain_date(std::int32_t day);
std::optional<std::string> plain_timestamp(std::int64_t microseconds);

}  // namespace fuzz
