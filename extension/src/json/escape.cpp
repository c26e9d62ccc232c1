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

// Copies `width` bytes, or those before the first that needs an escape together with that one.
// Always writes 16 bytes.
template <int width>
void put_block(char*& to, const char*& from, __m128i bytes) {
    const unsigned escapes = escapes_in(bytes) & ((1U << width) - 1);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
    if (escapes == 0) [[likely]] {
        to += width;
        from += width;
        return;
    }
    const int clean = __builtin_ctz(escapes);
    to = put_escape(to + clean, static_cast<unsigned char>(from[clean]));
    from += clean + 1;
}

char* put_escaped(char* to, const char* from, const char* end) {
    while (end - from >= 16) {
        put_block<16>(to, from, _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    }
    while (end - from >= 8) {
        put_block<8>(to, from, _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
    }
    while (end - from >= 4) {
        int four;
        std::memcpy(&four, from, 4);
        put_block<4>(to, from, _mm_cvtsi32_si128(four));
    }
    while (from < end) {
        to = put_byte(to, *from++);
    }
    return to;
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
