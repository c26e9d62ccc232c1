// A strict JSON reader for tests.
#include "harness/json.hpp"

#include <cstdint>
#include <ostream>
#include <stdexcept>

namespace muster::test {
namespace {

void append_utf8(std::string& to, std::uint32_t code) {
    const auto byte = [&](std::uint32_t value) { to.push_back(static_cast<char>(value)); };
    if (code < 0x80) {
        byte(code);
    } else if (code < 0x800) {
        byte(0xc0 | code >> 6);
        byte(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        byte(0xe0 | code >> 12);
        byte(0x80 | (code >> 6 & 0x3f));
        byte(0x80 | (code & 0x3f));
    } else {
        byte(0xf0 | code >> 18);
        byte(0x80 | (code >> 12 & 0x3f));
        byte(0x80 | (code >> 6 & 0x3f));
        byte(0x80 | (code & 0x3f));
    }
}

std::string quoted(const std::string& text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            result.push_back('\\');
        result.push_back(c);
    }
    return result + '"';
}

}  // namespace

// Recursive descent; every function leaves `at_` behind what it has read.
class Json::Reader {
  public:
    explicit Reader(std::string_view text) : text_(text) {}

    Json document() {
        Json result = value(0);
        space();
        if (at_ != text_.size())
            fail("more behind the document");
        return result;
    }

  private:
    [[noreturn]] void fail(const std::string& what) const {
        const auto from = at_ < 30 ? 0 : at_ - 30;
        throw std::runtime_error("no JSON at byte " + std::to_string(at_) + ": " + what + " near " +
                                 std::string(text_.substr(from, 60)));
    }

    char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

    void space() {
        while (at_ < text_.size() && std::string_view(" \t\r\n").find(peek()) != text_.npos)
            ++at_;
    }

    void expect(std::string_view word) {
        if (text_.substr(at_, word.size()) != word)
            fail("expected " + std::string(word));
        at_ += word.size();
    }

    Json value(int depth) {
        if (depth > 1000)
            fail("too deep");
        space();
        Json result;
        const auto literal = [&](Type type, std::string_view word) {
            expect(word);
            result.type_ = type;
            result.text_ = word;
        };
        switch (peek()) {
            case '{':
                members(result, depth);
                break;
            case '[':
                elements(result, depth);
                break;
            case '"':
                result.type_ = Type::string;
                result.text_ = string();
                break;
            case 't':
                literal(Type::boolean, "true");
                break;
            case 'f':
                literal(Type::boolean, "false");
                break;
            case 'n':
                literal(Type::null, "null");
                break;
            default:
                result.type_ = Type::number;
                result.text_ = number();
        }
        return result;
    }

    // True at the end of a list that has `count` items so far.
    bool list_ends(char closing, std::size_t count) {
        space();
        if (peek() == closing) {
            ++at_;
            return true;
        }
        if (count > 0)
            expect(",");
        return false;
    }

    void members(Json& object, int depth) {
        object.type_ = Type::object;
        expect("{");
        while (!list_ends('}', object.items_.size())) {
            space();
            object.names_.push_back(string());
            space();
            expect(":");
            object.items_.push_back(value(depth + 1));
        }
    }

    void elements(Json& array, int depth) {
        array.type_ = Type::array;
        expect("[");
        while (!list_ends(']', array.items_.size()))
            array.items_.push_back(value(depth + 1));
    }

    std::string string() {
        std::string result;
        expect("\"");
        while (peek() != '"') {
            if (at_ == text_.size() || static_cast<unsigned char>(peek()) < 0x20)
                fail("unfinished string or control character");
            if (peek() != '\\') {
                result.push_back(text_[at_++]);
                continue;
            }
            ++at_;
            constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
            const auto index = letters.find(peek());
            if (index != letters.npos && at_ < text_.size()) {
                result.push_back(meanings[index]);
                ++at_;
            } else {
                append_utf8(result, escaped_code());
            }
        }
        ++at_;
        return result;
    }

    std::uint32_t escaped_code() {
        const auto high = four_digits();
        if (high < 0xd800 || high > 0xdfff)
            return high;
        expect("\\");
        const auto low = four_digits();
        if (high > 0xdbff || low < 0xdc00 || low > 0xdfff)
            fail("lone surrogate");
        return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    }

    std::uint32_t four_digits() {
        expect("u");
        const auto digits = text_.substr(at_, 4);
        if (digits.size() < 4 || digits.find_first_not_of("0123456789abcdefABCDEF") != digits.npos)
            fail("four hexadecimal digits expected");
        at_ += 4;
        return static_cast<std::uint32_t>(std::stoul(std::string(digits), nullptr, 16));
    }

    std::string number() {
        const auto begin = at_;
        const auto digits = [&] {
            const auto first = at_;
            while (peek() >= '0' && peek() <= '9')
                ++at_;
            if (at_ == first)
                fail("value expected");
            return at_ - first;
        };
        if (peek() == '-')
            ++at_;
        const bool zero = peek() == '0';
        if (digits() > 1 && zero)
            fail("leading zero");
        if (peek() == '.') {
            ++at_;
            digits();
        }
        if (peek() == 'e' || peek() == 'E') {
            ++at_;
            if (peek() == '+' || peek() == '-')
                ++at_;
            digits();
        }
        return std::string(text_.substr(begin, at_ - begin));
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

Json Json::parse(std::string_view text) {
    return Reader(text).document();
}

const std::string& Json::text() const {
    if (is_array() || is_object())
        throw std::runtime_error("not a scalar: " + dump());
    return text_;
}

bool Json::has(std::string_view name) const {
    for (const auto& known : names_) {
        if (known == name)
            return true;
    }
    return false;
}

const Json& Json::operator[](std::string_view name) const {
    for (std::size_t i = 0; i < names_.size(); ++i) {
        if (names_[i] == name)
            return items_[i];
    }
    throw std::runtime_error("no member \"" + std::string(name) + "\" in " + dump());
}

std::string Json::dump() const {
    if (is_string())
        return quoted(text_);
    if (!is_array() && !is_object())
        return text_;
    std::string result(1, is_array() ? '[' : '{');
    for (std::size_t i = 0; i < items_.size(); ++i) {
        if (i > 0)
            result += ',';
        if (is_object())
            result += quoted(names_[i]) + ':';
        result += items_[i].dump();
    }
    return result + (is_array() ? ']' : '}');
}

std::ostream& operator<<(std::ostream& out, const Json& json) {
    return out << json.dump();
}

}  // namespace muster::test
