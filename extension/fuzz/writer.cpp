// Compiled twice, like the writer itself: the second time with MUSTER_PORTABLE and in a namespace
// of another name.
#include "writer.hpp"

#include "json/escape.hpp"
#include "json/jsonb.hpp"
#include "json/scalar.hpp"

namespace muster::fuzzed {
namespace {

using fuzz::Written;
using json::Arena;
using json::make_arena;

Written written(const Arena& out) {
    return {out.data, out.used};
}

Written string(std::size_t capacity, std::string_view text) {
    Arena out = make_arena(capacity);
    json::put_string(out, text);
    return written(out);
}

Written int64(std::size_t capacity, std::int64_t value) {
    Arena out = make_arena(capacity);
    json::put_int64(out, value);
    return written(out);
}

Written float4(std::size_t capacity, float value) {
    Arena out = make_arena(capacity);
    json::put_float4(out, value);
    return written(out);
}

Written float8(std::size_t capacity, double value) {
    Arena out = make_arena(capacity);
    json::put_float8(out, value);
    return written(out);
}

Written numeric(std::size_t capacity, std::string_view stored) {
    Arena out = make_arena(capacity);
    json::put_numeric(out, stored.data(), stored.size());
    return written(out);
}

Written uuid(std::size_t capacity, const unsigned char* bytes) {
    Arena out = make_arena(capacity);
    pg_uuid_t value;
    std::memcpy(value.data, bytes, UUID_LEN);
    json::put_uuid(out, value);
    return written(out);
}

Written bytea(std::size_t capacity, std::string_view bytes) {
    Arena out = make_arena(capacity);
    json::put_hex_bytea(out, bytes.data(), bytes.size());
    return written(out);
}

Written bits(std::size_t capacity, std::string_view bytes, std::size_t count) {
    Arena out = make_arena(capacity);
    json::put_bits(out, reinterpret_cast<const unsigned char*>(bytes.data()), count);
    return written(out);
}

Written date(std::size_t capacity, std::int32_t value) {
    Arena out = make_arena(capacity);
    json::put_date(out, value);
    return written(out);
}

Written timestamp(std::size_t capacity, std::int64_t value, bool offset) {
    Arena out = make_arena(capacity);
    json::put_timestamp(out, value, offset);
    return written(out);
}

Written jsonb(std::size_t capacity, const char* container) {
    Arena out = make_arena(capacity);
    json::put_jsonb(out, {container});
    return written(out);
}

Written jsonb_fields(std::size_t capacity, const char* container, std::string_view text,
                     bool document) {
    Arena out = make_arena(capacity);
    const json::Field* fields = json::parse_fields(text);
    if (fields == nullptr) {
        return {};
    }
    const bool found = document ? json::put_jsonb_document(out, {container}, *fields)
                                : json::put_jsonb_fields(out, {container}, *fields);
    return found ? written(out) : Written{};
}

void put_paths(Arena& out, const json::Field& field, std::string_view path) {
    for (const json::Field* child = field.children; child != nullptr; child = child->next) {
        Arena longer = make_arena(16);
        longer.put(path);
        if (!path.empty()) {
            longer.put('.');
        }
        json::put_string(longer, child->name);
        if (child->whole != (child->children == nullptr)) {
            out.put("neither whole nor in parts: ");
        }
        if (child->whole) {
            out.put(longer.data, longer.used);
            out.put(',');
        } else {
            put_paths(out, *child, {longer.data, longer.used});
        }
    }
}

Written paths(std::size_t capacity, std::string_view text) {
    Arena out = make_arena(capacity);
    const json::Field* fields = json::parse_fields(text);
    if (fields == nullptr) {
        return {};
    }
    put_paths(out, *fields, "");
    return written(out);
}

}  // namespace

constexpr fuzz::Writer make_writer(const char* name) {
    return {name,  string, int64, float4,    float8, numeric,      uuid,
            bytea, bits,   date,  timestamp, jsonb,  jsonb_fields, paths};
}

}  // namespace muster::fuzzed

#ifdef MUSTER_PORTABLE
const fuzz::Writer fuzz::portable = muster::fuzzed::make_writer("portable");
#else
const fuzz::Writer fuzz::fast = muster::fuzzed::make_writer("fast");
#endif
