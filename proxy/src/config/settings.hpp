// The settings that are plain values: which there are, their types and ranges, and where in the
// Config each goes. The file and the command line both set values through this one table.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/config.hpp"

namespace muster::config {

// A value as written; what type it must have is the setting's business.
using Value = std::variant<std::string, std::int64_t, double, bool>;

// One `key = value` of the file, in `[section]` (empty: above all sections).
struct Setting {
    struct Access {
        // Stores `value`, or says what is allowed instead, e.g. "must be an integer from 1 to
        // 65535".
        std::function<std::optional<std::string>(const Value&)> store;
        // The value there is, as store() takes it.
        std::function<Value()> read;
    };

    std::string_view section;
    std::string_view key;
    Access access;
    bool text = false;    // takes a string as it is
    bool secret = false;  // never shown in a message

    std::string name() const;  // "http.listen"
};

// Every setting of `config`, which must outlive the table.
std::vector<Setting> settings(Config& config);

// Reads a duration such as "250ms"; nothing if it is none or above a day.
std::optional<milliseconds> read_duration(std::string_view text);

// Reads what was written on the command line as the type that `setting` takes.
Value read_value(const Setting& setting, const std::string& text);

// The value as it stands in messages: "5", "\"often\"".
std::string shown(const Value& value);

}  // namespace muster::config
