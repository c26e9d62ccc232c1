// Bytes and bits: uuids, bytea and bit strings. They are written where they are to stay, so that
// the size of a large value is looked at before anything is made of it.
#include "json/scalar.hpp"

#include "json/simd.hpp"

namespace muster::json {
namespace {

// How many bytes are made digits at a time.
constexpr int block = 16;
static_assert(block == UUID_LEN);

#ifdef MUSTER_SSE2

// Writes 16 bytes as 32 hexadecimal digits.
void put_hex(char* to, const unsigned char* bytes) {
    const __m128i from = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
    const __m128i low_bits = _mm_set1_epi8(0x0F);
    const __m128i high = _mm_and_si128(_mm_srli_epi16(from, 4), low_bits);
    const __m128i low = _mm_and_si128(from, low_bits);
    const auto digits = [](__m128i values) {
        const __m128i letters = _mm_cmpgt_epi8(values, _mm_set1_epi8(9));
        return _mm_add_epi8(_mm_add_epi8(values, _mm_set1_epi8('0')),
                            _mm_and_si128(letters, _mm_set1_epi8('a' - '0' - 10)));
    };
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), digits(_mm_unpacklo_epi8(high, low)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 16), digits(_mm_unpackhi_epi8(high, low)));
}

#else

void put_hex(char* to, const unsigned char* bytes) {
    static constexpr char hex[] = "0123456789abcdef";
    for (int i = 0; i < block; i++) {
        to[2 * i] = hex[bytes[i] >> 4];
        to[2 * i + 1] = hex[bytes[i] & 15];
    }
}

#endif

}  // namespace

void put_uuid(Arena& out, const pg_uuid_t& value) {
    char digits[2 * UUID_LEN];
    put_hex(digits, value.data);
    char* to = out.reserve(38);
    to[0] = '"';
    std::memcpy(to + 1, digits, 8);
    to[9] = '-';
    std::memcpy(to + 10, digits + 8, 4);
    to[14] = '-';
    std::memcpy(to + 15, digits + 12, 4);
    to[19] = '-';
    std::memcpy(to + 20, digits + 16, 4);
    to[24] = '-';
    std::memcpy(to + 25, digits + 20, 12);
    to[37] = '"';
    out.commit(to + 38);
}

void put_hex_bytea(Arena& out, const char* bytes, std::size_t length) {
    // \x with its backslash escaped
    constexpr std::string_view begin = "\"\\\\x";
    char* to = out.reserve(begin.size() + 2 * length + 1);
    std::memcpy(to, begin.data(), begin.size());
    to += begin.size();
    const auto* from = reinterpret_cast<const unsigned char*>(bytes);
    for (; length >= block; length -= block) {
        put_hex(to, from);
        from += block;
        to += 2 * block;
    }
    unsigned char last[block] = {};
    char digits[2 * block];
    std::memcpy(last, from, length);
    put_hex(digits, last);
    std::memcpy(to, digits, 2 * length);
    to += 2 * length;
    *to++ = '"';
    out.commit(to);
}

void put_bits(Arena& out, const unsigned char* bits, std::size_t count) {
    char* to = out.reserve(count + 2);
    *to++ = '"';
    for (std::size_t i = 0; i < count; i++) {
        *to++ = (bits[i / BITS_PER_BYTE] >> (7 - i % BITS_PER_BYTE) & 1) == 0 ? '0' : '1';
    }
    *to++ = '"';
    out.commit(to);
}

}  // namespace muster::json
