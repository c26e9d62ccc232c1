// SQL's tokens, as PostgreSQL's scanner (scan.l) cuts them, without a copy or an allocation.
//
// What is nothing to the server, whitespace and comments, is nothing here. Any text has tokens:
// what is not closed reaches to the end of the text, and what the server would refuse is taken for
// something. Strings are read as with standard_conforming_strings on, its default.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace muster::timing {

class SqlLexer {
  public:
    enum class Kind : std::uint8_t {
        end,
        word,       // keyword or identifier
        quoted,     // identifier in double quotes, with them: "a", U&"a"
        number,     // 1, .5, 1e-3, 0x1F
        string,     // 'a', E'a', B'1', X'f', N'a', U&'a', $$a$$, $tag$a$tag$
        parameter,  // $1
        op,         // operator: +, <>, ->>
        mark,       // one of ( ) [ ] , ; : . and any other character
    };

    explicit SqlLexer(std::string_view text) : at_(text.data()), end_(at_ + text.size()) {}

    // Goes to the next token and says what it is.
    Kind next() {
        skip_blanks();
        begin_ = at_;
        if (at_ == end_) {
            return Kind::end;
        }
        switch (class_of(*at_)) {
            case Class::letter:
                return word();
            case Class::digit:
                return number();
            case Class::op:
                return operators();
            case Class::quote:
                return plain_string();
            case Class::double_quote:
                return quoted();
            case Class::dollar:
                return dollar();
            default:
                break;
        }
        if (*at_ == '.' && at_ + 1 < end_ && class_of(at_[1]) == Class::digit) {
            return number();
        }
        ++at_;
        return Kind::mark;
    }

    // The token that next() went to.
    std::string_view text() const { return {begin_, static_cast<std::size_t>(at_ - begin_)}; }
    const char* begin() const { return begin_; }
    const char* end() const { return at_; }

  private:
    enum class Class : std::uint8_t {
        other,
        blank,
        letter,  // begins a word
        digit,
        op,
        quote,
        double_quote,
        dollar,
    };

    static constexpr std::array<Class, 256> classes = [] {
        std::array<Class, 256> all{};
        for (std::size_t c = 0; c < all.size(); ++c) {
            const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
            all[c] = letter || c == '_' || c >= 0x80 ? Class::letter
                     : c >= '0' && c <= '9'          ? Class::digit
                                                     : Class::other;
        }
        for (const char c : {' ', '\t', '\n', '\r', '\f', '\v'}) {
            all[static_cast<unsigned char>(c)] = Class::blank;
        }
        for (const char c : std::string_view("~!@#^&|`?+-*/%<>=")) {
            all[static_cast<unsigned char>(c)] = Class::op;
        }
        all['\''] = Class::quote;
        all['"'] = Class::double_quote;
        all['$'] = Class::dollar;
        return all;
    }();
    static constexpr std::array<bool, 256> in_words = [] {
        std::array<bool, 256> all{};
        for (std::size_t c = 0; c < all.size(); ++c) {
            all[c] = classes[c] == Class::letter || classes[c] == Class::digit || c == '$';
        }
        return all;
    }();

    static Class class_of(char c) { return classes[static_cast<unsigned char>(c)]; }
    static bool in_word(char c) { return in_words[static_cast<unsigned char>(c)]; }
    bool follows(char c, std::ptrdiff_t ahead = 1) const {
        return end_ - at_ > ahead && at_[ahead] == c;
    }

    void skip_blanks() {
        for (;;) {
            while (at_ < end_ && class_of(*at_) == Class::blank) {
                ++at_;
            }
            if (at_ == end_ || !begins_comment()) {
                return;
            }
            skip_comment();
        }
    }
    bool begins_comment() const {
        return (*at_ == '-' && follows('-')) || (*at_ == '/' && follows('*'));
    }

    Kind word() {
        const char* at = at_;
        do {
            ++at;
        } while (at < end_ && in_word(*at));
        at_ = at;
        if (at - begin_ == 1 && at < end_ && (*at == '\'' || *at == '&')) {
            return prefixed();
        }
        return Kind::word;
    }

    // Seldom taken ways, kept out of line.
    void skip_comment();
    Kind prefixed();
    Kind number();
    Kind operators();
    Kind plain_string();
    Kind escape_string();
    Kind quoted();
    Kind dollar();
    void skip_quoted(char quote);

    const char* begin_ = nullptr;
    const char* at_;
    const char* end_;
};

}  // namespace muster::timing
