// Payloads: which columns they hold, and what is done about rows that are too big.
#include "publish/payload.hpp"

#include "publish/value.hpp"

namespace muster::publish {
namespace {

constexpr size_t max_payload = 1024 * 1024;

// An aggregate id or tag longer than this is cut: it names a row, it does not carry one.
constexpr int max_bare_text = 8192;

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
    StringInfoData out;
    bool first = true;
    size_t raw = 0;

    void member(const Column& column, const Row& row) {
        raw += raw_size(column, row);
        if (too_big()) {
            return;
        }
        separate();
        appendBinaryStringInfo(&out, column.member, static_cast<int>(column.member_length));
        if (row.is_null(column)) {
            appendStringInfoString(&out, "null");
        } else {
            append_json(&out, column, row.value(column));
        }
    }

    void separate() {
        if (!first) {
            appendStringInfoChar(&out, ',');
        }
        first = false;
    }

    void open() {
        appendStringInfoChar(&out, '{');
        first = true;
    }

    void close() {
        appendStringInfoChar(&out, '}');
        first = false;
    }

    bool too_big() const { return raw > max_payload || static_cast<size_t>(out.len) > max_payload; }
    std::string_view text() const { return {out.data, static_cast<size_t>(out.len)}; }
};

ObjectWriter start_object() {
    ObjectWriter writer;
    initStringInfo(&writer.out);
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
    appendStringInfoString(&writer.out, "\"truncated\":true");
    writer.close();
    return writer.text();
}

}  // namespace

Difference compare(const Config& config, const Row& before, const Row& after) {
    auto* changed =
        static_cast<bool*>(palloc(sizeof(bool) * static_cast<size_t>(Max(config.column_count, 1))));
    bool any = false;
    for (int i = 0; i < config.column_count; i++) {
        const Column& column = config.columns[i];
        const bool was_null = before.is_null(column);
        changed[i] = was_null != after.is_null(column) ||
                     (!was_null && !same(column, before.value(column), after.value(column)));
        any = any || (changed[i] && !column.ignored);
    }
    return {changed, any};
}

std::string_view change_payload(const Config& config, const Row& row, bool deleted,
                                const Difference* difference) {
    const bool whole =
        config.shows_all && (config.payload == Payload::Row ||
                             (config.payload == Payload::Changes && !deleted && !difference));
    ObjectWriter writer = start_object();
    if (whole) {
        for (int i = 0; i < config.column_count; i++) {
            writer.member(config.columns[i], row);
        }
    } else {
        for (int i : config.payload == Payload::Key ? config.key : config.shown) {
            writer.member(config.columns[i], row);
        }
    }
    if (config.payload == Payload::Changes && difference != nullptr) {
        writer.separate();
        appendStringInfoString(&writer.out, "\"updates\":");
        writer.open();
        for (int i = 0; i < config.column_count; i++) {
            if (difference->changed[i] && !config.columns[i].ignored) {
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
    StringInfoData out;
    initStringInfo(&out);
    append_json(&out, config.columns[column], row.value(config.columns[column]));
    if (static_cast<size_t>(out.len) > max_payload) {
        return truncated_payload(config, row);
    }
    return {out.data, static_cast<size_t>(out.len)};
}

std::string_view bare_text(const Column& column, const Row& row) {
    if (row.is_null(column)) {
        return {};
    }
    if (raw_size(column, row) > max_payload) {
        return "(too long)";
    }
    StringInfoData out;
    initStringInfo(&out);
    append_bare_text(&out, column, row.value(column));
    if (out.len > max_bare_text) {
        out.len = pg_mbcliplen(out.data, out.len, max_bare_text);
    }
    return {out.data, static_cast<size_t>(out.len)};
}

std::string_view key_text(const Config& config, const Row& row) {
    if (config.key.count == 1) {
        return bare_text(config.columns[config.key.items[0]], row);
    }
    StringInfoData out;
    initStringInfo(&out);
    for (int i = 0; i < config.key.count; i++) {
        const std::string_view part = bare_text(config.columns[config.key.items[i]], row);
        if (i > 0) {
            appendStringInfoChar(&out, ',');
        }
        appendBinaryStringInfo(&out, part.data(), static_cast<int>(part.size()));
    }
    return {out.data, static_cast<size_t>(out.len)};
}

}  // namespace muster::publish
