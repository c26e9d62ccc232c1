// The bytes of a cursor: the table's number, its top bit set if the first key is null; the id; and
// unless it is null the first key, for a time its microseconds in network order, for a name its
// text.
#include "read/cursor.hpp"

namespace muster::read {
namespace {

constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t fixed_bytes = 1 + UUID_LEN;
constexpr std::uint8_t null_bit = 0x80;

// The longest cursor that can be right: a name is a whole text.
constexpr std::size_t longest_cursor = 1024 * 1024;

[[noreturn]] void report_broken(std::string_view encoded) {
    constexpr int longest_shown = 100;
    const int shown = pg_mbcliplen(encoded.data(), static_cast<int>(encoded.size()), longest_shown);
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("invalid cursor \"%.*s\"", shown, encoded.data()),
                    errhint("\"after\" takes the \"next\" of an earlier page of the same list.")));
    pg_unreachable();
}

text* encode(const std::uint8_t* bytes, std::size_t count) {
    const std::size_t size = (count * 4 + 2) / 3;
    auto* result = static_cast<text*>(palloc(VARHDRSZ + size));
    SET_VARSIZE(result, VARHDRSZ + size);
    char* to = VARDATA(result);
    unsigned bits = 0;
    int have = 0;
    for (std::size_t i = 0; i < count; i++) {
        bits = bits << 8 | bytes[i];
        for (have += 8; have >= 6; have -= 6) {
            *to++ = alphabet[bits >> (have - 6) & 63];
        }
    }
    if (have > 0) {
        *to = alphabet[bits << (6 - have) & 63];
    }
    return result;
}

int digit(char c) {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

struct Bytes {
    std::uint8_t* data;
    std::size_t count;
};

// Only the one text that encode() gives for the bytes is taken.
Bytes decode(std::string_view encoded) {
    if (encoded.size() > longest_cursor || encoded.size() % 4 == 1) {
        report_broken(encoded);
    }
    Bytes bytes{static_cast<std::uint8_t*>(palloc(encoded.size() + 1)), 0};
    unsigned bits = 0;
    int have = 0;
    for (char c : encoded) {
        const int value = digit(c);
        if (value < 0) {
            report_broken(encoded);
        }
        bits = bits << 6 | static_cast<unsigned>(value);
        have += 6;
        if (have >= 8) {
            have -= 8;
            bytes.data[bytes.count++] = static_cast<std::uint8_t>(bits >> have);
        }
    }
    if ((bits & ((1U << have) - 1)) != 0) {
        report_broken(encoded);
    }
    return bytes;
}

}  // namespace

text* encode_cursor(const Table& table, const Cursor& cursor) {
    const std::size_t size = fixed_bytes + sizeof(std::uint64_t) + cursor.name.size();
    auto* bytes = static_cast<std::uint8_t*>(palloc(size));
    bytes[0] = static_cast<std::uint8_t>(table.number | (cursor.is_null ? null_bit : 0));
    std::memcpy(bytes + 1, cursor.id.data, UUID_LEN);
    std::size_t count = fixed_bytes;
    if (!cursor.is_null && table.order == Order::Newest) {
        for (int shift = 56; shift >= 0; shift -= 8) {
            bytes[count++] =
                static_cast<std::uint8_t>(static_cast<std::uint64_t>(cursor.created_at) >> shift);
        }
    } else if (!cursor.is_null) {
        std::memcpy(bytes + count, cursor.name.data(), cursor.name.size());
        count += cursor.name.size();
    }
    return encode(bytes, count);
}

Cursor decode_cursor(const Table& table, std::string_view encoded) {
    const Bytes bytes = decode(encoded);
    if (bytes.count < fixed_bytes || (bytes.data[0] & ~null_bit) != table.number) {
        report_broken(encoded);
    }
    Cursor cursor{};
    cursor.is_null = (bytes.data[0] & null_bit) != 0;
    std::memcpy(cursor.id.data, bytes.data + 1, UUID_LEN);
    const std::uint8_t* key = bytes.data + fixed_bytes;
    const std::size_t length = bytes.count - fixed_bytes;
    if (cursor.is_null) {
        if (length != 0) {
            report_broken(encoded);
        }
    } else if (table.order == Order::Newest) {
        if (length != sizeof(std::uint64_t)) {
            report_broken(encoded);
        }
        std::uint64_t microseconds = 0;
        for (std::size_t i = 0; i < length; i++) {
            microseconds = microseconds << 8 | key[i];
        }
        cursor.created_at = static_cast<Timestamp>(microseconds);
        if (!TIMESTAMP_NOT_FINITE(cursor.created_at) && !IS_VALID_TIMESTAMP(cursor.created_at)) {
            report_broken(encoded);
        }
    } else {
        cursor.name = {reinterpret_cast<const char*>(key), length};
        if (!pg_verifymbstr(cursor.name.data(), static_cast<int>(length), true)) {
            report_broken(encoded);
        }
    }
    return cursor;
}

}  // namespace muster::read
