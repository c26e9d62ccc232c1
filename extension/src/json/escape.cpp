// Escaping looks for the few bytes that need it many at a time: 16 with SSE2, else 8 in a word.
#include "json/escape.hpp"

#include "json/simd.hpp"

namespace muster::json {
namespace {

// The longest escape is \u00XX.
constexpr std::size_t longest_escape = 6;
// How much is looked at, and may be written, at a time.
constexpr std::size_t block = 16;
// Room is made for this much text at a time, so that a long text is not charged six times its
// length.
constexpr std::size_t chunk = 1024;

bool needs_escape(unsigned char c) {
    return c < 0x20 || c == '"' || c == '\\';
}

char* put_escape(char* to, unsigned char c) {
    static constexpr char hex[] = "0123456789abcdef";
    *to++ = '\\';
    switch (c) {
        case '\b':
            *to++ = 'b';
            break;
        case '\f':
            *to++ = 'f';
            break;
        case '\n':
            *to++ = 'n';
            break;
        case '\r':
            *to++ = 'r';
            break;
        case '\t':
            *to++ = 't';
            break;
        case '"':
        case '\\':
            *to++ = static_cast<char>(c);
            break;
        default:
            std::memcpy(to, "u00", 3);
            to[3] = hex[c >> 4];
            to[4] = hex[c & 15];
            to += 5;
    }
    return to;
}

char* put_byte(char* to, char c) {
    if (needs_escape(static_cast<unsigned char>(c))) [[unlikely]] {
        return put_escape(to, static_cast<unsigned char>(c));
    }
    *to = c;
    return to + 1;
}

#ifdef MUSTER_SSE2

// A bit for each of the 16 bytes that needs an escape.
unsigned escapes_in(__m128i bytes) {
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    const __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    const __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    return static_cast<unsigned>(
        _mm_movemask_epi8(_mm_or_si128(control, _mm_or_si128(quote, backslash))));
}

// Copies 16 bytes, or those before the first that needs an escape together with that one. Always
// writes 16 bytes.
void put_block(char*& to, const char*& from, __m128i bytes) {
    const unsigned escapes = escapes_in(bytes);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
    if (escapes == 0) [[likely]] {
        to += 16;
        from += 16;
        return;
    }
    const int clean = __builtin_ctz(escapes);
    to = put_escape(to + clean, static_cast<unsigned char>(from[clean]));
    from += clean + 1;
}

template <class Word>
Word load(const char* from) {
    Word word;
    std::memcpy(&word, from, sizeof(word));
    return word;
}

char* put_bytes(char* to, const char* from, std::size_t n) {
    for (const char* const end = from + n; from < end;) {
        to = put_byte(to, *from++);
    }
    return to;
}

// Copies 1 to 2 words' worth of bytes, as two words that overlap in the middle: that takes no loop
// and reads nothing beyond them.
template <class Word>
char* put_words(char* to, const char* from, std::size_t n) {
    Word words[2];
    std::memcpy(&words[0], from, sizeof(Word));
    std::memcpy(&words[1], from + n - sizeof(Word), sizeof(Word));
    const __m128i bytes =
        sizeof(Word) == 8
            ? _mm_set_epi64x(static_cast<long long>(words[1]), static_cast<long long>(words[0]))
            : _mm_set1_epi64x(
                  static_cast<long long>(static_cast<std::uint64_t>(words[1]) << 32 | words[0]));
    if (escapes_in(bytes) != 0) [[unlikely]] {
        return put_bytes(to, from, n);
    }
    std::memcpy(to, &words[0], sizeof(Word));
    std::memcpy(to + n - sizeof(Word), &words[1], sizeof(Word));
    return to + n;
}

// Copies fewer than 16 bytes.
char* put_rest(char* to, const char* from, std::size_t n) {
    return n >= 8   ? put_words<std::uint64_t>(to, from, n)
           : n >= 4 ? put_words<std::uint32_t>(to, from, n)
                    : put_bytes(to, from, n);
}

char* put_escaped(char* to, const char* from, const char* end) {
    while (end - from >= 16) {
        put_block(to, from, _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    }
    return put_rest(to, from, static_cast<std::size_t>(end - from));
}

#else

// Whether any of the 8 bytes needs an escape. It may say so of a word that has none after a byte
// above 0x7f; such a word is then looked at byte by byte.
bool may_need_escape(std::uint64_t bytes) {
    constexpr std::uint64_t ones = 0x0101010101010101;
    constexpr std::uint64_t highs = 0x8080808080808080;
    const std::uint64_t quote = bytes ^ (ones * '"');
    const std::uint64_t backslash = bytes ^ (ones * '\\');
    return ((((bytes - ones * 0x20) & ~bytes) | ((quote - ones) & ~quote) |
             ((backslash - ones) & ~backslash)) &
            highs) != 0;
}

char* put_escaped(char* to, const char* from, const char* end) {
    while (end - from >= 8) {
        std::uint64_t bytes;
        std::memcpy(&bytes, from, 8);
        if (!may_need_escape(bytes)) {
            std::memcpy(to, from, 8);
            to += 8;
            from += 8;
            continue;
        }
        for (int i = 0; i < 8; i++) {
            to = put_byte(to, *from++);
        }
    }
    while (from < end) {
        to = put_byte(to, *from++);
    }
    return to;
}

#endif

}  // namespace

void put_string(Arena& out, const char* text, std::size_t length) {
    const char* const end = text + length;
    std::size_t n = Min(length, chunk);
    char* to = out.reserve(n * longest_escape + block + 2);
    *to++ = '"';
    to = put_escaped(to, text, text + n);
    while (text + n < end)
        [[unlikely]] {
            out.commit(to);
            text += n;
            n = Min(static_cast<std::size_t>(end - text), chunk);
            to = put_escaped(out.reserve(n * longest_escape + block + 1), text, text + n);
        }
    *to++ = '"';
    out.commit(to);
}

}  // namespace muster::json
