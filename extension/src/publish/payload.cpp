// Payloads: which columns they hold, and what is done about rows that are too big.
#include "publish/payload.hpp"

#include "json/escape.hpp"

namespace muster::publish {
namespace {

constexpr size_t max_payload = 1024 * 1024;

// A key's text longer than this is cut: it names a row, it does not carry one.
constexpr size_t max_bare_text = 8192;

bool is_varlena(const Column& column) {
    return !column.by_value && column.length == -1;
}

// Whether two values are the same, bit for bit. Two pointers to one out-of-line value need no
// fetching.
bool same(const Column& column, Datum before, Datum after) {
    if (is_varlena(column)) {
        auto* a = reinterpret_cast<varlena*>(DatumGetPointer(before));
        auto* b = reinterpret_cast<varlena*>(DatumGetPointer(after));
        if (VARATT_IS_EXTERNAL_ONDISK(a) && VARATT_IS_EXTERNAL_ONDISK(b) &&
            memcmp(a, b, VARSIZE_EXTERNAL(a)) == 0) {
            return true;
        }
    }
    return datum_image_eq(before, after, column.by_value, column.length);
}

// The size of a value before it is fetched and unpacked. Its JSON is seldom shorter.
size_t raw_size(const Column& column, const Row& row) {
    return is_varlena(column) && !row.is_null(column) ? toast_raw_datum_size(row.value(column)) : 0;
}

// Writes JSON objects member by member, and gives up, rather than unpack anything, once they are
// too big.
struct ObjectWriter {
    json::Arena out;
    bool first;
    size_t raw;

    void member(const Column& column, const Row& row) {
        raw += raw_size(column, row);
        if (too_big()) {
            return;
        }
        separate();
        out.put(column.member, column.member_length);
        if (row.is_null(column)) {
            out.put("null");
        } else {
            column.writer.write(out, row.value(column), column.writer);
        }
    }

    void separate() {
        if (!first) {
            out.put(',');
        }
        first = false;
    }

    void open() {
        out.put('{');
        first = true;
    }

    void close() {
        out.put('}');
        first = false;
    }

    bool too_big() const { return raw > max_payload || out.used > max_payload; }
    std::string_view text() const { return {out.data, out.used}; }
};

ObjectWriter start_object() {
    ObjectWriter writer = {json::make_arena(256), true, 0};
    writer.open();
    return writer;
}

// What stands in for a payload that is too big: the key, if that is not too big itself.
std::string_view truncated_payload(const Config& config, const Row& row) {
    ObjectWriter writer = start_object();
    for (int key : config.key) {
        writer.member(config.columns[key], row);
    }
    if (writer.too_big()) {
        return "{\"truncated\":true}";
    }
    writer.separate();
    writer.out.put("\"truncated\":true");
    writer.close();
    return writer.text();
}

// Sets what the text of values depends on, until the returned level is left. An error leaves it
// too.
int enter_settings_of_keys() {
    static constexpr const char* settings[][2] = {
        {"TimeZone", "UTC"},     {"DateStyle", "ISO"},        {"IntervalStyle", "postgres"},
        {"bytea_output", "hex"}, {"extra_float_digits", "1"}, {"lc_monetary", "C"}};
    const int level = NewGUCNestLevel();
    for (const auto& [name, value] : settings) {
        set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    }
    return level;
}

// Appends a value as its type writes it.
void put_output(json::Arena& out, const Column& column, Datum value) {
    if (column.plain_output) {
        out.put(std::string_view(OutputFunctionCall(column.output, value)));
        return;
    }
    const int level = enter_settings_of_keys();
    const char* text = OutputFunctionCall(column.output, value);
    AtEOXact_GUC(true, level);
    out.put(std::string_view(text));
}

// Appends a value as bare text, which is the same whatever the session's settings are: what JSON
// has as a number, a time or a uuid as it stands there, without quotes, and everything else as its
// type writes it.
void put_bare(json::Arena& out, const Column& column, Datum value) {
    switch (column.writer.type) {
        case TEXTOID:
        case VARCHAROID:
        case BPCHAROID: {
            text* string = DatumGetTextPP(value);
            out.put(VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));
            return;
        }
        case INT2OID:
        case INT4OID:
        case INT8OID:
        case FLOAT4OID:
        case FLOAT8OID:
        case NUMERICOID:
        case UUIDOID:
        case DATEOID:
        case TIMESTAMPOID:
        case TIMESTAMPTZOID: {
            const size_t start = out.used;
            column.writer.write(out, value, column.writer);
            if (out.data[start] == '"') {
                out.used -= 2;
                memmove(out.data + start, out.data + start + 1, out.used - start);
            }
            return;
        }
        default:
            put_output(out, column, value);
    }
}

// Cuts a text that is too long, and puts a hash of the whole in the place of the rest, so that two
// keys that begin alike stay two keys.
void shorten(json::Arena& out) {
    const uint64 hash = hash_bytes_extended(reinterpret_cast<const unsigned char*>(out.data),
                                            static_cast<int>(out.used), 0);
    constexpr size_t hash_length = 17;
    constexpr auto kept = static_cast<int>(max_bare_text - hash_length);
    out.used = static_cast<size_t>(pg_mbcliplen(out.data, static_cast<int>(out.used), kept));
    char text[hash_length + 1];
    snprintf(text, sizeof(text), "#%016llx", static_cast<unsigned long long>(hash));
    out.put(std::string_view(text, hash_length));
}

// Appends one column of a key that has several: a null is \N, and commas and backslashes within a
// value are escaped by a backslash, so that no two keys have the same text.
void put_key_part(json::Arena& out, const Column& column, const Row& row) {
    if (row.is_null(column)) {
        out.put("\\N");
        return;
    }
    for (const char c : bare_text(column, row)) {
        if (c == ',' || c == '\\') {
            out.put('\\');
        }
        out.put(c);
    }
}

}  // namespace

Difference compare(const Config& config, const Row& before, const Row& after) {
    auto* changed =
        static_cast<bool*>(palloc(sizeof(bool) * static_cast<size_t>(Max(config.column_count, 1))));
    Difference difference{changed, false, false};
    for (int i = 0; i < config.column_count; i++) {
        const Column& column = config.columns[i];
        if (!column.watched) {
            changed[i] = false;
            continue;
        }
        const bool was_null = before.is_null(column);
        changed[i] = was_null != after.is_null(column) ||
                     (!was_null && !same(column, before.value(column), after.value(column)));
        difference.any = difference.any || changed[i];
        difference.key = difference.key || (changed[i] && column.in_key);
    }
    return difference;
}

std::string_view change_payload(const Config& config, const Row& row, bool deleted,
                                const Difference* difference) {
    ObjectWriter writer = start_object();
    if (config.payload == Payload::Key) {
        for (int i : config.key) {
            writer.member(config.columns[i], row);
        }
    } else if (config.payload == Payload::Row || config.names_shown ||
               (!deleted && difference == nullptr)) {
        for (int i : config.shown) {
            writer.member(config.columns[i], row);
        }
    }
    if (config.payload == Payload::Changes && difference != nullptr) {
        writer.separate();
        writer.out.put("\"updates\":");
        writer.open();
        for (int i = 0; i < config.column_count; i++) {
            if (difference->changed[i] && config.columns[i].published) {
                writer.member(config.columns[i], row);
            }
        }
        writer.close();
    }
    writer.close();
    return writer.too_big() ? truncated_payload(config, row) : writer.text();
}

std::string_view json_column(const Config& config, const Row& row, int column) {
    if (column < 0 || row.is_null(config.columns[column])) {
        return "{}";
    }
    if (raw_size(config.columns[column], row) > max_payload) {
        return truncated_payload(config, row);
    }
    json::Arena out = json::make_arena(256);
    config.columns[column].writer.write(out, row.value(config.columns[column]),
                                        config.columns[column].writer);
    return out.used > max_payload ? truncated_payload(config, row)
                                  : std::string_view(out.data, out.used);
}

std::string_view bare_text(const Column& column, const Row& row) {
    if (row.is_null(column)) {
        return {};
    }
    if (raw_size(column, row) > max_payload) {
        return "(too long)";
    }
    json::Arena out = json::make_arena(64);
    put_bare(out, column, row.value(column));
    if (out.used > max_bare_text) {
        shorten(out);
    }
    return {out.data, out.used};
}

std::string_view key_text(const Config& config, const Row& row) {
    if (config.key.count == 1) {
        return bare_text(config.columns[config.key.items[0]], row);
    }
    json::Arena out = json::make_arena(128);
    for (int i = 0; i < config.key.count; i++) {
        if (i > 0) {
            out.put(',');
        }
        put_key_part(out, config.columns[config.key.items[i]], row);
    }
    return {out.data, out.used};
}

}  // namespace muster::publish
