// JSON after RFC 8259.
#include "push/json_reader.hpp"

#include <algorithm>
#include <charconv>

namespace muster::push {
namespace {

void append_utf8(std::string& out, unsigned code) {
    const auto add = [&](unsigned byte) { out += static_cast<char>(byte); };
    if (code < 0x80) {
        add(code);
    } else if (code < 0x800) {
        add(0xc0 | code >> 6);
        add(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        add(0xe0 | code >> 12);
        add(0x80 | (code >> 6 & 0x3f));
        add(0x80 | (code & 0x3f));
    } else {
        add(0xf0 | code >> 18);
        add(0x80 | (code >> 12 & 0x3f));
        add(0x80 | (code >> 6 & 0x3f));
        add(0x80 | (code & 0x3f));
    }
}

// A number, by the grammar: -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
bool is_number(std::string_view text) {
    const auto digits = [&] {
        const std::size_t n = std::min(text.find_first_not_of("0123456789"), text.size());
        text.remove_prefix(n);
        return n;
    };
    const auto one_of = [&](std::string_view set) {
        const bool found = !text.empty() && set.find(text.front()) != std::string_view::npos;
        text.remove_prefix(found ? 1 : 0);
        return found;
    };
    one_of("-");
    const bool zero = text.starts_with('0');
    const std::size_t whole = digits();
    if (whole == 0 || (zero && whole > 1) || (one_of(".") && digits() == 0)) {
        return false;
    }
    if (one_of("eE")) {
        one_of("+-");
        if (digits() == 0) {
            return false;
        }
    }
    return text.empty();
}

}  // namespace

void JsonReader::skip_space() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
}

bool JsonReader::sees(char c) {
    skip_space();
    return rest_.starts_with(c);
}

bool JsonReader::take(char c) {
    const bool found = sees(c);
    rest_.remove_prefix(found ? 1 : 0);
    return found;
}

bool JsonReader::at_end() {
    skip_space();
    return rest_.empty();
}

std::optional<std::string> JsonReader::string() {
    if (!take('"')) {
        return std::nullopt;
    }
    std::string out;
    while (!rest_.empty()) {
        const char c = rest_.front();
        rest_.remove_prefix(1);
        if (c == '"') {
            return out;
        }
        if (static_cast<unsigned char>(c) < 0x20 || (c == '\\' && !escape(out))) {
            return std::nullopt;
        }
        if (c != '\\') {
            out += c;
        }
    }
    return std::nullopt;
}

// What follows a backslash.
bool JsonReader::escape(std::string& out) {
    if (rest_.empty()) {
        return false;
    }
    const char c = rest_.front();
    rest_.remove_prefix(1);
    constexpr std::string_view short_forms = "\"\\/bfnrt";
    constexpr std::string_view meant = "\"\\/\b\f\n\r\t";
    if (const auto at = short_forms.find(c); at != std::string_view::npos) {
        out += meant[at];
        return true;
    }
    if (c != 'u') {
        return false;
    }
    const auto unit = code_unit();
    if (!unit) {
        return false;
    }
    unsigned code = *unit;
    if (code >= 0xd800 && code < 0xe000) {  // half of a surrogate pair
        if (code >= 0xdc00 || !rest_.starts_with("\\u")) {
            return false;
        }
        rest_.remove_prefix(2);
        const auto low = code_unit();
        if (!low || *low < 0xdc00 || *low >= 0xe000) {
            return false;
        }
        code = 0x10000 + ((code - 0xd800) << 10) + (*low - 0xdc00);
    }
    append_utf8(out, code);
    return true;
}

std::optional<unsigned> JsonReader::code_unit() {
    if (rest_.size() < 4) {
        return std::nullopt;
    }
    unsigned code = 0;
    const char* const end = rest_.data() + 4;
    const auto [stop, error] = std::from_chars(rest_.data(), end, code, 16);
    if (error != std::errc() || stop != end) {
        return std::nullopt;
    }
    rest_.remove_prefix(4);
    return code;
}

std::optional<std::uint64_t> JsonReader::number() {
    skip_space();
    std::uint64_t value = 0;
    const char* const end = rest_.data() + rest_.size();
    const auto [stop, error] = std::from_chars(rest_.data(), end, value);
    if (error != std::errc()) {
        return std::nullopt;
    }
    rest_.remove_prefix(static_cast<std::size_t>(stop - rest_.data()));
    return value;
}

bool JsonReader::skip_value(int levels) {
    if (sees('"')) {
        return string().has_value();
    }
    if (levels > 0 && take('{')) {
        return skip_members('}', levels - 1);
    }
    if (levels > 0 && take('[')) {
        return skip_members(']', levels - 1);
    }
    const std::string_view word =
        rest_.substr(0, std::min(rest_.find_first_of(" \t\r\n,]}:"), rest_.size()));
    rest_.remove_prefix(word.size());
    return word == "true" || word == "false" || word == "null" || is_number(word);
}

bool JsonReader::skip_members(char close, int levels) {
    if (take(close)) {
        return true;
    }
    do {
        if (close == '}' && (!string() || !take(':'))) {
            return false;
        }
        if (!skip_value(levels)) {
            return false;
        }
    } while (take(','));
    return take(close);
}

}  // namespace muster::push
