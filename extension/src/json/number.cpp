// Numbers. Integers and floats use the server's own digit routines; a numeric is written straight
// from its stored form, which pg_upgrade keeps the same from one version to the next.
#include "json/scalar.hpp"

namespace muster::json {
namespace {

// The stored form, from src/backend/utils/adt/numeric.c: a header of 16 bits (short) or 32 (long),
// then the digits to the base 10,000 of which the first stands for 10,000 ^ weight.
constexpr unsigned sign_mask = 0xC000;
constexpr unsigned sign_negative = 0x4000;
constexpr unsigned sign_short = 0x8000;
constexpr unsigned sign_special = 0xC000;
constexpr unsigned long_dscale_mask = 0x3FFF;
constexpr unsigned short_sign_mask = 0x2000;
constexpr unsigned short_dscale_mask = 0x1F80;
constexpr unsigned short_dscale_shift = 7;
constexpr unsigned short_weight_sign_mask = 0x0040;
constexpr unsigned short_weight_mask = 0x003F;
constexpr unsigned extended_mask = 0xF000;
constexpr unsigned special_positive_infinity = 0xD000;
constexpr unsigned special_negative_infinity = 0xF000;
constexpr int digits_per_group = 4;

unsigned load16(const char* from) {
    std::uint16_t value;
    std::memcpy(&value, from, sizeof(value));
    return value;
}

struct Digits {
    const char* stored;
    int count;

    // Groups outside the stored ones are zero.
    unsigned group(int i) const { return i >= 0 && i < count ? load16(stored + 2 * i) : 0; }
};

char* put_group(char* to, unsigned group) {
    to[0] = static_cast<char>('0' + group / 1000);
    to[1] = static_cast<char>('0' + group / 100 % 10);
    to[2] = static_cast<char>('0' + group / 10 % 10);
    to[3] = static_cast<char>('0' + group % 10);
    return to + digits_per_group;
}

char* put_leading_group(char* to, unsigned group) {
    char digits[digits_per_group];
    put_group(digits, group);
    const int skipped = group >= 1000 ? 0 : group >= 100 ? 1 : group >= 10 ? 2 : 3;
    for (int i = skipped; i < digits_per_group; i++) {
        *to++ = digits[i];
    }
    return to;
}

// A float's text is not a JSON number only for NaN and the infinities.
bool is_number(double value) {
    return __builtin_isfinite(value) != 0;
}

void put_quoted(Arena& out, const char* text) {
    out.put('"');
    out.put(std::string_view(text));
    out.put('"');
}

}  // namespace

void put_int64(Arena& out, std::int64_t value) {
    char* to = out.reserve(MAXINT8LEN + 1);
    out.commit(to + pg_lltoa(value, to));
}

void put_float4(Arena& out, float value) {
    if (extra_float_digits > 0 && is_number(value)) {
        char* to = out.reserve(FLOAT_SHORTEST_DECIMAL_LEN);
        out.commit(to + float_to_shortest_decimal_bufn(value, to));
        return;
    }
    char* text = DatumGetCString(DirectFunctionCall1(float4out, Float4GetDatum(value)));
    if (is_number(value)) {
        out.put(std::string_view(text));
    } else {
        put_quoted(out, text);
    }
}

void put_float8(Arena& out, double value) {
    if (extra_float_digits > 0 && is_number(value)) {
        char* to = out.reserve(DOUBLE_SHORTEST_DECIMAL_LEN);
        out.commit(to + double_to_shortest_decimal_bufn(value, to));
        return;
    }
    char* text = DatumGetCString(DirectFunctionCall1(float8out, Float8GetDatum(value)));
    if (is_number(value)) {
        out.put(std::string_view(text));
    } else {
        put_quoted(out, text);
    }
}

void put_numeric(Arena& out, const char* stored, std::size_t length) {
    const unsigned header = load16(stored);
    if ((header & sign_mask) == sign_special) {
        const unsigned special = header & extended_mask;
        put_quoted(out, special == special_positive_infinity   ? "Infinity"
                        : special == special_negative_infinity ? "-Infinity"
                                                               : "NaN");
        return;
    }

    const bool is_short = (header & sign_mask) == sign_short;
    const std::size_t header_size = is_short ? 2 : 4;
    const Digits digits{stored + header_size, static_cast<int>((length - header_size) / 2)};
    bool negative;
    int weight;
    int scale;
    if (is_short) {
        negative = (header & short_sign_mask) != 0;
        weight = static_cast<int>(header & short_weight_mask);
        if ((header & short_weight_sign_mask) != 0) {
            weight -= static_cast<int>(short_weight_mask) + 1;
        }
        scale = static_cast<int>((header & short_dscale_mask) >> short_dscale_shift);
    } else {
        negative = (header & sign_mask) == sign_negative;
        weight = static_cast<std::int16_t>(load16(stored + 2));
        scale = static_cast<int>(header & long_dscale_mask);
    }

    // A sign, the groups before the point, the point, and the scale rounded up to whole groups.
    const std::size_t whole =
        weight < 0 ? 1 : static_cast<std::size_t>(weight + 1) * digits_per_group;
    char* to = out.reserve(whole + static_cast<std::size_t>(scale) + digits_per_group + 2);
    if (negative) {
        *to++ = '-';
    }
    if (weight < 0) {
        *to++ = '0';
    } else {
        to = put_leading_group(to, digits.group(0));
        for (int i = 1; i <= weight; i++) {
            to = put_group(to, digits.group(i));
        }
    }
    if (scale > 0) {
        *to++ = '.';
        char* const end = to + scale;
        for (int i = weight + 1; to < end; i++) {
            to = put_group(to, digits.group(i));
        }
        to = end;
    }
    out.commit(to);
}

}  // namespace muster::json
