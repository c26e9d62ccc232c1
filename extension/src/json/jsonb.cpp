// jsonb's stored form is described in the server's utils/jsonb.h: a header with the number of
// children, an entry of 32 bits for each (for objects first all keys, then all values), then their
// data.
#include "json/jsonb.hpp"

#include "json/escape.hpp"
#include "json/scalar.hpp"

namespace muster::json {
namespace {

std::uint32_t load32(const char* from) {
    std::uint32_t value;
    std::memcpy(&value, from, sizeof(value));
    return value;
}

struct Container {
    std::uint32_t header;
    const char* entries;
    const char* data;

    explicit Container(const char* bytes) : header(load32(bytes)), entries(bytes + sizeof(header)) {
        data = entries + sizeof(JEntry) * count() * (is_object() ? 2 : 1);
    }

    // Pairs of an object, elements of an array.
    std::uint32_t count() const { return header & JB_CMASK; }
    bool is_object() const { return (header & JB_FOBJECT) != 0; }
    bool is_scalar() const { return (header & JB_FSCALAR) != 0; }
    JEntry entry(std::uint32_t i) const { return load32(entries + sizeof(JEntry) * i); }

    // Where the data of the i-th child begins, before any padding. An entry has an offset now and
    // then, and else a length.
    std::uint32_t offset(std::uint32_t i) const {
        std::uint32_t sum = 0;
        while (i > 0) {
            const JEntry before = entry(--i);
            sum += JBE_OFFLENFLD(before);
            if (JBE_HAS_OFF(before)) {
                break;
            }
        }
        return sum;
    }

    static std::uint32_t end(JEntry entry, std::uint32_t begin) {
        return JBE_OFFLENFLD(entry) + (JBE_HAS_OFF(entry) ? 0 : begin);
    }
};

static_assert(std::is_trivially_destructible_v<Container>);

void put_container(Arena& out, const char* bytes);

// Numbers and containers begin at a multiple of four bytes.
std::uint32_t aligned(std::uint32_t offset) {
    return (offset + 3) & ~3U;
}

// Appends the child with that entry, whose data is from `begin` to `end`.
void put_child(Arena& out, const Container& parent, JEntry entry, std::uint32_t begin,
               std::uint32_t end) {
    switch (entry & JENTRY_TYPEMASK) {
        case JENTRY_ISSTRING:
            put_string(out, parent.data + begin, end - begin);
            break;
        case JENTRY_ISNUMERIC: {
            const char* numeric = parent.data + aligned(begin);
            const std::size_t header = VARATT_IS_1B(numeric) ? VARHDRSZ_SHORT : VARHDRSZ;
            put_numeric(out, numeric + header, end - aligned(begin) - header);
            break;
        }
        case JENTRY_ISBOOL_FALSE:
            out.put("false");
            break;
        case JENTRY_ISBOOL_TRUE:
            out.put("true");
            break;
        case JENTRY_ISNULL:
            out.put("null");
            break;
        case JENTRY_ISCONTAINER:
            put_container(out, parent.data + aligned(begin));
            break;
        default:
            elog(ERROR, "unknown jsonb entry %08x", entry);
    }
}

void put_array(Arena& out, const Container& array) {
    std::uint32_t begin = 0;
    for (std::uint32_t i = 0; i < array.count(); i++) {
        const JEntry entry = array.entry(i);
        const std::uint32_t end = Container::end(entry, begin);
        if (i > 0) {
            out.put(", ");
        }
        put_child(out, array, entry, begin, end);
        begin = end;
    }
}

void put_object(Arena& out, const Container& object) {
    const std::uint32_t count = object.count();
    std::uint32_t key_begin = 0;
    std::uint32_t begin = object.offset(count);
    for (std::uint32_t i = 0; i < count; i++) {
        if (i > 0) {
            out.put(", ");
        }
        const std::uint32_t key_end = Container::end(object.entry(i), key_begin);
        put_string(out, object.data + key_begin, key_end - key_begin);
        out.put(": ");
        key_begin = key_end;

        const JEntry entry = object.entry(count + i);
        const std::uint32_t end = Container::end(entry, begin);
        put_child(out, object, entry, begin, end);
        begin = end;
    }
}

// Appends a container without recursion. The server's text of it takes memory of its own, so that
// is only for what nests deeper than the stack: other writers take such values, and one row must
// not make a whole page unreadable.
void put_deep(Arena& out, const char* bytes) {
    // Its bytes are aligned unless the whole value is short, which then cannot nest deep by itself.
    if (reinterpret_cast<std::uintptr_t>(bytes) % alignof(JsonbContainer) != 0) {
        check_stack_depth();
    }
    char* text = JsonbToCString(
        nullptr, const_cast<JsonbContainer*>(reinterpret_cast<const JsonbContainer*>(bytes)), 0);
    out.put(std::string_view(text));
    pfree(text);
}

void put_container(Arena& out, const char* bytes) {
    if (stack_is_too_deep()) {
        put_deep(out, bytes);
        return;
    }
    const Container container(bytes);
    if (container.is_object()) {
        out.put('{');
        put_object(out, container);
        out.put('}');
    } else if (container.is_scalar()) {
        put_array(out, container);
    } else {
        out.put('[');
        put_array(out, container);
        out.put(']');
    }
}

// Which pair of the object has that key, or -1. Keys are sorted by length, then by their bytes.
std::int64_t find_key(const Container& object, std::string_view key) {
    std::uint32_t low = 0;
    std::uint32_t high = object.count();
    while (low < high) {
        const std::uint32_t middle = low + (high - low) / 2;
        const std::uint32_t begin = object.offset(middle);
        const std::size_t length = Container::end(object.entry(middle), begin) - begin;
        int order = length < key.size() ? -1 : length > key.size() ? 1 : 0;
        if (order == 0) {
            order = std::memcmp(object.data + begin, key.data(), length);
        }
        if (order == 0) {
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return -1;
}

bool put_fields_of_container(Arena& out, const char* bytes, const Field& fields,
                             bool even_if_empty);

// Appends the child in position i, or what `field` asks for of it. False when there is no such
// thing.
bool put_fields_of_child(Arena& out, const Container& parent, std::uint32_t i, const Field& field,
                         bool even_if_empty) {
    const JEntry entry = parent.entry(i);
    const std::uint32_t begin = parent.offset(i);
    if (field.whole) {
        put_child(out, parent, entry, begin, Container::end(entry, begin));
        return true;
    }
    return JBE_ISCONTAINER(entry) &&
           put_fields_of_container(out, parent.data + aligned(begin), field, even_if_empty);
}

// Appends the members asked for, and returns how many there were.
std::uint32_t put_fields_of_object(Arena& out, const Container& object, const Field& fields) {
    std::uint32_t found = 0;
    for (const Field* field = fields.children; field != nullptr; field = field->next) {
        const std::int64_t pair = find_key(object, field->name);
        if (pair < 0) {
            continue;
        }
        const std::size_t before = out.used;
        if (found > 0) {
            out.put(',');
        }
        put_string(out, field->name);
        out.put(':');
        const auto value = static_cast<std::uint32_t>(pair) + object.count();
        if (put_fields_of_child(out, object, value, *field, false)) {
            found++;
        } else {
            out.used = before;
        }
    }
    return found;
}

bool only_numbers(const Field& fields) {
    for (const Field* field = fields.children; field != nullptr; field = field->next) {
        if (field->index < 0) {
            return false;
        }
    }
    return true;
}

const Field* find_index(const Field& fields, std::uint32_t index) {
    for (const Field* field = fields.children; field != nullptr; field = field->next) {
        if (field->index >= 0 && static_cast<std::uint32_t>(field->index) == index) {
            return field;
        }
    }
    return nullptr;
}

// Appends what is asked for of an element, after a comma if it is not the first found.
bool put_fields_of_element(Arena& out, const Container& array, std::uint32_t i, const Field& field,
                           std::uint32_t found, bool even_if_empty) {
    const std::size_t before = out.used;
    if (found > 0) {
        out.put(',');
    }
    if (!put_fields_of_child(out, array, i, field, even_if_empty)) {
        out.used = before;
        return false;
    }
    return true;
}

// The same for elements: by their numbers if all that is asked for are numbers, else one after the
// other.
std::uint32_t put_fields_of_array(Arena& out, const Container& array, const Field& fields) {
    std::uint32_t found = 0;
    if (only_numbers(fields)) {
        for (const Field* field = fields.children; field != nullptr; field = field->next) {
            const auto i = static_cast<std::uint32_t>(field->index);
            if (i < array.count() && put_fields_of_element(out, array, i, *field, found, false)) {
                found++;
            }
        }
        return found;
    }
    for (std::uint32_t i = 0; i < array.count(); i++) {
        const Field* numbered = find_index(fields, i);
        if (put_fields_of_element(out, array, i, numbered != nullptr ? *numbered : fields, found,
                                  true)) {
            found++;
        }
    }
    return found;
}

bool put_fields_of_container(Arena& out, const char* bytes, const Field& fields,
                             bool even_if_empty) {
    check_stack_depth();
    const Container container(bytes);
    const std::size_t before = out.used;
    const bool is_object = container.is_object();
    out.put(is_object ? '{' : '[');
    const std::uint32_t found = is_object ? put_fields_of_object(out, container, fields)
                                          : put_fields_of_array(out, container, fields);
    // All elements of an empty array have been asked.
    const bool is_answer =
        found > 0 || (!is_object && container.count() == 0 && !only_numbers(fields));
    if (!is_answer && !even_if_empty) {
        out.used = before;
        return false;
    }
    out.put(is_object ? '}' : ']');
    return true;
}

}  // namespace

JsonbBytes jsonb_bytes(Datum value) {
    return {VARDATA_ANY(PG_DETOAST_DATUM_PACKED(value))};
}

void put_jsonb(Arena& out, JsonbBytes value) {
    put_container(out, value.container);
}

bool put_jsonb_fields(Arena& out, JsonbBytes value, const Field& fields) {
    return !Container(value.container).is_scalar() &&
           put_fields_of_container(out, value.container, fields, false);
}

bool put_jsonb_document(Arena& out, JsonbBytes value, const Field& fields) {
    return !Container(value.container).is_scalar() &&
           put_fields_of_container(out, value.container, fields, true);
}

}  // namespace muster::json
