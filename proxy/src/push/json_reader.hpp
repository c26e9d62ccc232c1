// Reads JSON from left to right, as far as its user wants to know it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace muster::push {

// Each function skips white space and reads what it names; if that is not what comes next, it
// reads nothing that matters: the text is to be given up.
class JsonReader {
  public:
    explicit JsonReader(std::string_view text) : rest_(text) {}

    // One of the characters { } [ ] , :
    bool take(char c);
    // A string, its escapes resolved into UTF-8. Bytes outside of ASCII are taken as they are.
    std::optional<std::string> string();
    // A number without a sign, a fraction or an exponent.
    std::optional<std::uint64_t> number();
    // Any value, nested by 32 levels at most.
    bool skip_value(int levels = 32);
    // Whether nothing but white space is left.
    bool at_end();
    // Whether this character is next.
    bool sees(char c);

  private:
    void skip_space();
    bool escape(std::string& out);
    std::optional<unsigned> code_unit();
    bool skip_members(char close, int levels);

    std::string_view rest_;
};

}  // namespace muster::push
