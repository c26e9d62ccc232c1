// A strict JSON reader for tests. Numbers and literals keep their text, objects their order, so
// that two documents compare equal only if a client could not tell them apart.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace muster::test {

class Json {
  public:
    enum class Type { null, boolean, number, string, array, object };

    // Throws std::runtime_error, with the place, for anything RFC 8259 does not allow.
    static Json parse(std::string_view text);

    Type type() const { return type_; }
    bool is_null() const { return type_ == Type::null; }
    bool is_string() const { return type_ == Type::string; }
    bool is_object() const { return type_ == Type::object; }
    bool is_array() const { return type_ == Type::array; }

    // The value of a string, the text of a number, `true`, `false` or `null`; throws for others.
    const std::string& text() const;

    // Items of an array or members of an object; 0 for others.
    std::size_t size() const { return items_.size(); }
    // Throws for what is not there.
    const Json& operator[](std::size_t index) const { return items_.at(index); }
    const Json& operator[](std::string_view name) const;
    bool has(std::string_view name) const;
    const std::vector<std::string>& names() const { return names_; }
    std::vector<Json>::const_iterator begin() const { return items_.begin(); }
    std::vector<Json>::const_iterator end() const { return items_.end(); }

    bool operator==(const Json&) const = default;
    // Equal to the value of a string, or the text of a number or literal.
    friend bool operator==(const Json& json, std::string_view text) { return json.text() == text; }

    // Written back, without white space.
    std::string dump() const;

  private:
    class Reader;

    Type type_ = Type::null;
    std::string text_ = "null";
    std::vector<std::string> names_;  // of an object's members
    std::vector<Json> items_;
};

// How Boost.Test prints one.
std::ostream& operator<<(std::ostream& out, const Json& json);

}  // namespace muster::test
