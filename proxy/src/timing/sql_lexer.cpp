// The tokens that take more than a look at a character's class.
#include "timing/sql_lexer.hpp"

#include <algorithm>

namespace muster::timing {

using Kind = SqlLexer::Kind;

void SqlLexer::skip_comment() {
    if (*at_ == '-') {
        at_ = std::find_if(at_, end_, [](char c) { return c == '\n' || c == '\r'; });
        return;
    }
    // Comments in comments are comments.
    int depth = 0;
    while (at_ < end_) {
        if (*at_ == '/' && follows('*')) {
            ++depth;
            at_ += 2;
        } else if (*at_ == '*' && follows('/')) {
            at_ += 2;
            if (--depth == 0) {
                break;
            }
        } else {
            ++at_;
        }
    }
}

// A word of one letter with a quote behind it, or U with &: mostly a string.
Kind SqlLexer::prefixed() {
    const char letter = static_cast<char>(*begin_ | 0x20);
    if (*at_ == '\'') {
        if (letter == 'e') {
            return escape_string();
        }
        if (letter == 'b' || letter == 'x' || letter == 'n') {
            return plain_string();
        }
    } else if (letter == 'u' && (follows('\'') || follows('"'))) {
        ++at_;
        return *at_ == '\'' ? plain_string() : quoted();
    }
    return Kind::word;
}

// Stands at the quote that opens and goes behind the one that closes; two quotes are one of the
// text.
void SqlLexer::skip_quoted(char quote) {
    do {
        ++at_;
        const auto* const found =
            static_cast<const char*>(std::memchr(at_, quote, static_cast<std::size_t>(end_ - at_)));
        if (found == nullptr) {
            at_ = end_;
            return;
        }
        at_ = found + 1;
    } while (at_ < end_ && *at_ == quote);
}

Kind SqlLexer::plain_string() {
    skip_quoted('\'');
    return Kind::string;
}

Kind SqlLexer::quoted() {
    skip_quoted('"');
    return Kind::quoted;
}

// E'...', where a backslash takes the next character with it.
Kind SqlLexer::escape_string() {
    for (++at_; at_ < end_; ++at_) {
        if (*at_ == '\\') {
            if (at_ + 1 < end_) {
                ++at_;
            }
        } else if (*at_ == '\'') {
            if (!follows('\'')) {
                ++at_;
                break;
            }
            ++at_;
        }
    }
    return Kind::string;
}

// Digits, a fraction, an exponent; and letters that follow, as in 0x1F and 1_000.
Kind SqlLexer::number() {
    const bool decimal = *at_ != '0' || !(follows('x') || follows('X'));
    for (; at_ < end_; ++at_) {
        const char c = *at_;
        if (c == '.') {
            if (follows('.')) {  // a range of PL/pgSQL
                break;
            }
        } else if (decimal && (c == 'e' || c == 'E') && (follows('+') || follows('-'))) {
            ++at_;
        } else if (!in_word(c) || c == '$') {
            break;
        }
    }
    return Kind::number;
}

// The longest run of operator characters before a comment. As in PostgreSQL, what ends in + or -
// gives that back unless it has a character that standard SQL's operators do not.
Kind SqlLexer::operators() {
    bool special = false;
    while (at_ < end_ && class_of(*at_) == Class::op && !(at_ > begin_ && begins_comment())) {
        special = special || std::string_view("~!@#^&|`?%").find(*at_) != std::string_view::npos;
        ++at_;
    }
    while (!special && at_ - begin_ > 1 && (at_[-1] == '+' || at_[-1] == '-')) {
        --at_;
    }
    return Kind::op;
}

// $1, $$...$$, $tag$...$tag$, or nothing of these.
Kind SqlLexer::dollar() {
    const char* tag = at_ + 1;
    if (tag < end_ && class_of(*tag) == Class::digit) {
        at_ = std::find_if(tag, end_, [](char c) { return class_of(c) != Class::digit; });
        return Kind::parameter;
    }
    while (tag < end_ && *tag != '$' && in_word(*tag)) {
        ++tag;
    }
    if (tag == end_ || *tag != '$') {
        ++at_;
        return Kind::mark;
    }
    const std::string_view delimiter{at_, static_cast<std::size_t>(tag + 1 - at_)};
    const std::string_view rest{tag + 1, static_cast<std::size_t>(end_ - tag - 1)};
    const std::size_t close = rest.find(delimiter);
    at_ = close == std::string_view::npos ? end_ : rest.data() + close + delimiter.size();
    return Kind::string;
}

}  // namespace muster::timing
