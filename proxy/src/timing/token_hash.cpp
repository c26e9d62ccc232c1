// The hash: each token is folded in by a multiplication of 64 by 64 to 128 bits, as wyhash does.
#include "timing/token_hash.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

#include "timing/sql_lexer.hpp"

namespace muster::timing {
namespace {

using Kind = SqlLexer::Kind;

// Odd numbers without a pattern, one for each kind of thing that is folded in: digits of pi.
constexpr std::uint64_t seed = 0x243f6a8885a308d3;
constexpr std::uint64_t of_chunk = 0x13198a2e03707345;
constexpr std::uint64_t of_word = 0xa4093822299f31d1;
constexpr std::uint64_t of_quoted = 0x082efa98ec4e6c89;
constexpr std::uint64_t of_symbol = 0x452821e638d01377;
constexpr std::uint64_t of_value = 0xbe5466cf34e90c6d;
constexpr std::uint64_t of_element = 0xc0ac29b7c97c50dd;

std::uint64_t fold(std::uint64_t hash, std::uint64_t data, std::uint64_t constant) {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(hash ^ data) * constant;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// A text of at most eight bytes as a number, to compare it and to fold it in.
constexpr std::uint64_t packed(std::string_view text) {
    std::uint64_t number = 0;
    for (std::size_t i = text.size(); i-- > 0;) {
        number = number << 8 | static_cast<unsigned char>(text[i]);
    }
    return number;
}

// Up to eight bytes at `at`, the rest zero. Nothing at or behind `end` is touched.
std::uint64_t load(const char* at, std::size_t n, const char* end) {
    if (end - at < 8) {
        return packed({at, n});
    }
    std::uint64_t number = 0;
    std::memcpy(&number, at, 8);
    if constexpr (std::endian::native == std::endian::big) {
        number = __builtin_bswap64(number);
    }
    return n < 8 ? number & ((std::uint64_t{1} << (8 * n)) - 1) : number;
}

// Sets bit 5 of every ASCII byte from 64 up: letters become small, and nothing else that stands in
// a word changes into another of its kind.
std::uint64_t lower(std::uint64_t bytes) {
    return bytes | ((bytes & 0x4040404040404040 & ~(bytes >> 1)) >> 1);
}

constexpr std::uint64_t word_in = packed("in");
constexpr std::uint64_t word_array = packed("array");
constexpr std::uint64_t word_values = packed("values");
constexpr std::uint64_t word_null = packed("null");
constexpr std::uint64_t word_true = packed("true");
constexpr std::uint64_t word_false = packed("false");

class Hasher {
  public:
    explicit Hasher(std::string_view text) : lexer_(text), end_(text.data() + text.size()) {}

    std::uint64_t hash_all(bool cut) {
        for (;;) {
            const Kind kind = lexer_.next();
            if (kind == Kind::end || (cut && lexer_.end() == end_)) {
                break;
            }
            take(kind);
        }
        if (cut) {
            return lists_ > 0 ? lists_open_[0].outside : hash_;
        }
        if (after_ == After::minus || after_ == After::plus) {
            fold_pending();
        }
        while (lists_ > 0) {
            end_list();
        }
        return hash_;
    }

  private:
    // What the last token was, as far as the next one depends on it.
    enum class After : std::uint8_t {
        other,
        in,  // its list would open here
        array,
        values,
        value,
        operand,  // nothing but an operand can follow
        // From here on something is left to do before the next token.
        closed,     // a closing bracket
        minus,      // a sign, if a number follows
        plus,       // likewise
        semicolon,  // counts if anything follows
    };

    // A list that is under way. While it is, hash_ is of the element alone.
    struct List {
        int depth;              // how many brackets are open around an element
        bool values;            // of VALUES: ends with the first bracket that no comma follows
        std::uint64_t outside;  // of all before the element
        std::uint64_t last;     // of the element before it
    };
    // In each other; what is deeper is no list.
    static constexpr std::size_t most_lists = 16;

    void take(Kind kind) {
        switch (kind) {
            case Kind::word:
                take_word();
                break;
            case Kind::quoted:
                begin_token();
                fold_text(of_quoted, false);
                after_ = After::other;
                break;
            case Kind::number:
                if (after_ == After::minus || after_ == After::plus) {
                    after_ = After::operand;  // its sign
                }
                take_value();
                break;
            case Kind::string:
                if (after_ != After::value) {  // else it goes on, on another line
                    take_value();
                }
                break;
            case Kind::parameter:
                take_value();
                break;
            case Kind::op:
                take_operator();
                break;
            default:
                take_mark(*lexer_.begin());
                break;
        }
    }

    void take_word() {
        const auto size = static_cast<std::size_t>(lexer_.end() - lexer_.begin());
        if (size > 8) {
            begin_token();
            fold_text(of_word, true);
            after_ = After::other;
            return;
        }
        const std::uint64_t word = lower(load(lexer_.begin(), size, end_));
        if ((word == word_null || word == word_true || word == word_false) && operand_expected()) {
            take_value();
            return;
        }
        begin_token();
        hash_ = fold(hash_, word, of_word);
        after_ = word == word_in       ? After::in
                 : word == word_array  ? After::array
                 : word == word_values ? After::values
                                       : After::other;
    }

    void take_value() {
        begin_token();
        hash_ = fold(hash_, 0, of_value);
        after_ = After::value;
    }

    void take_operator() {
        const char first = *lexer_.begin();
        const bool sign = operand_expected() && lexer_.text().size() == 1;
        begin_token();
        if (sign && (first == '-' || first == '+')) {
            after_ = first == '-' ? After::minus : After::plus;
        } else {
            fold_text(of_symbol, false);
            after_ = After::operand;
        }
    }

    void take_mark(char mark) {
        switch (mark) {
            case '(':
            case '[':
                open(mark);
                break;
            case ')':
            case ']':
                fold_pending();
                while (lists_ > 0 && current().depth == depth_) {
                    end_list();
                }
                --depth_;
                fold_mark(mark);
                after_ = After::closed;
                break;
            case ',':
                fold_pending();
                if (lists_ > 0 && current().depth == depth_) {
                    end_element();
                } else {
                    fold_mark(mark);
                }
                after_ = After::operand;
                break;
            case ';':
                if (after_ != After::semicolon) {
                    begin_token();
                    after_ = After::semicolon;
                }
                break;
            default:
                begin_token();
                fold_mark(mark);
                after_ = After::other;
                break;
        }
    }

    void open(char bracket) {
        if (after_ == After::values && bracket == '(') {
            begin_list(true);
        }
        const bool opens_list = bracket == '(' ? after_ == After::in  //
                                               : after_ == After::array;
        begin_token();
        fold_mark(bracket);
        ++depth_;
        if (opens_list) {
            begin_list(false);
        }
        after_ = After::operand;
    }

    bool operand_expected() const {
        return after_ == After::operand || after_ == After::minus || after_ == After::plus;
    }

    // Whatever the last token has left to do, before a token other than a closing bracket or comma.
    void begin_token() {
        if (after_ < After::closed) {
            return;
        }
        fold_pending();
        if (after_ == After::closed && lists_ > 0 && current().values &&
            current().depth == depth_) {
            end_list();
        }
    }
    void fold_pending() {
        if (after_ > After::closed) {
            fold_mark(after_ == After::minus ? '-' : after_ == After::plus ? '+' : ';');
        }
    }
    void fold_mark(char mark) { hash_ = fold(hash_, static_cast<unsigned char>(mark), of_symbol); }
    void fold_text(std::uint64_t constant, bool lowered) {
        const char* at = lexer_.begin();
        const auto chunk = [&](std::size_t n) {
            const std::uint64_t bytes = load(at, n, end_);
            return lowered ? lower(bytes) : bytes;
        };
        for (; lexer_.end() - at > 8; at += 8) {
            hash_ = fold(hash_, chunk(8), of_chunk);
        }
        hash_ = fold(hash_, chunk(static_cast<std::size_t>(lexer_.end() - at)), constant);
    }

    List& current() { return lists_open_[lists_ - 1]; }
    void begin_list(bool values) {
        if (lists_ < most_lists) {
            lists_open_[lists_++] = {depth_, values, hash_, 0};
            hash_ = seed;
        }
    }
    void end_element() {
        List& list = current();
        if (hash_ != list.last) {
            list.last = hash_;
            list.outside = fold(list.outside, hash_, of_element);
        }
        hash_ = seed;
    }
    void end_list() {
        end_element();
        hash_ = current().outside;
        --lists_;
    }

    SqlLexer lexer_;
    const char* const end_;
    std::uint64_t hash_ = seed;
    After after_ = After::other;
    int depth_ = 0;  // brackets that are open
    std::size_t lists_ = 0;
    std::array<List, most_lists> lists_open_;
};

}  // namespace

std::uint64_t token_hash(std::string_view text, bool cut) {
    const std::uint64_t hash = Hasher(text).hash_all(cut);
    return hash == 0 ? 1 : hash;
}

}  // namespace muster::timing
