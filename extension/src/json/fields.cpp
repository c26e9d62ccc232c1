// Reading `fields`.
#include "json/fields.hpp"

#include "json/server.hpp"

namespace muster::json {
namespace {

// Bounds on what one request may ask for. Names are looked up one after the other.
constexpr int most_paths = 1000;
constexpr int deepest_path = 64;

// How much of a wrong text its error message repeats.
constexpr int longest_shown = 200;

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// The number that a segment is as an element of an array, or -1. "01" is a name.
std::int32_t element_index(std::string_view name) {
    if (name.empty() || name.size() > 9 || (name[0] == '0' && name.size() > 1)) {
        return -1;
    }
    std::int32_t index = 0;
    for (char c : name) {
        if (c < '0' || c > '9') {
            return -1;
        }
        index = index * 10 + (c - '0');
    }
    return index;
}

struct Reader {
    std::string_view text;
    std::size_t at;

    bool done() const { return at == text.size(); }

    void skip_blanks() {
        while (!done() && is_blank(text[at])) {
            at++;
        }
    }

    bool take(char c) {
        skip_blanks();
        if (done() || text[at] != c) {
            return false;
        }
        at++;
        return true;
    }

    [[noreturn]] void fail(const char* what) const {
        const int shown = pg_mbcliplen(text.data(), static_cast<int>(text.size()), longest_shown);
        ereport(
            ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
             errmsg("invalid fields \"%.*s\"", shown, text.data()),
             errdetail("%s at character %d.", what,
                       pg_mbstrlen_with_len(text.data(), static_cast<int>(at)) + 1),
             errhint(
                 "Give names separated by commas, and paths into JSON values with dots, such as "
                 "\"id,configuration.model\".")));
        pg_unreachable();
    }

    std::string_view quoted() {
        auto* name = static_cast<char*>(palloc(text.size() - at));
        std::size_t length = 0;
        for (; !done(); at++) {
            if (text[at] == '"') {
                at++;
                if (done() || text[at] != '"') {
                    return {name, length};
                }
            }
            name[length++] = text[at];
        }
        fail("A closing quote is missing");
    }

    std::string_view segment() {
        if (take('"')) {
            return quoted();
        }
        const std::size_t start = at;
        while (!done() && text[at] != ',' && text[at] != '.' && text[at] != '"') {
            at++;
        }
        std::size_t end = at;
        while (end > start && is_blank(text[end - 1])) {
            end--;
        }
        if (end == start) {
            fail("A name is missing");
        }
        return {text.data() + start, end - start};
    }
};

Field* make_field(std::string_view name) {
    auto* field = static_cast<Field*>(palloc(sizeof(Field)));
    *field = {name, element_index(name), false, nullptr, nullptr};
    return field;
}

// The child of that name, made at the end of the list if there is none.
Field* child(Field* parent, std::string_view name) {
    Field** link = &parent->children;
    while (*link != nullptr && (*link)->name != name) {
        link = &(*link)->next;
    }
    if (*link == nullptr) {
        *link = make_field(name);
    }
    return *link;
}

}  // namespace

const Field* Field::find(std::string_view wanted) const {
    for (const Field* field = children; field != nullptr; field = field->next) {
        if (field->name == wanted) {
            return field;
        }
    }
    return nullptr;
}

const Field* parse_fields(std::string_view text) {
    Reader reader{text, 0};
    reader.skip_blanks();
    if (reader.done()) {
        return nullptr;
    }
    Field* root = make_field({});
    int paths = 0;
    do {
        if (++paths > most_paths) {
            reader.fail("More than 1000 paths");
        }
        Field* field = root;
        int depth = 0;
        do {
            if (++depth > deepest_path) {
                reader.fail("A path of more than 64 names");
            }
            const std::string_view name = reader.segment();
            if (!field->whole) {
                field = child(field, name);
            }
        } while (reader.take('.'));
        field->whole = true;
        field->children = nullptr;
    } while (reader.take(','));
    reader.skip_blanks();
    if (!reader.done()) {
        reader.fail("A comma or a dot is missing");
    }
    return root;
}

}  // namespace muster::json
