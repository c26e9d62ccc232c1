// Documents. Without children a page's rows are written straight into the answer; with children they are
// written aside, and everything is put together once when all of it is there.
#include "read/document.hpp"

#include "read/answer.hpp"
#include "read/children.hpp"

namespace muster::read {
namespace {

constexpr std::size_t first_capacity = 32 * 1024;

struct JsonPage {
    Page page;  // must come first
    json::Arena* out;
    json::RowWriter writer;
    bool is_list;
    List<Segment> rows;  // the members of each, without braces; only when there are children
};

void prepare_row(Page& page, TupleDesc descriptor) {
    auto& self = reinterpret_cast<JsonPage&>(page);
    self.writer = json::make_row_writer(descriptor);
    add_columns(self.writer, descriptor, *page.request->table, page.request->fields,
                page.request->children);
}

// Writes the row where it is to stay.
void take_final_row(Page& page, TupleTableSlot* slot) {
    auto& self = reinterpret_cast<JsonPage&>(page);
    if (page.taken > 0) {
        self.out->put(',');
    }
    self.out->put('{');
    self.writer.put(*self.out, slot);
    self.out->put('}');
}

// Writes the row aside.
void take_row(Page& page, TupleTableSlot* slot) {
    auto& self = reinterpret_cast<JsonPage&>(page);
    const std::size_t start = self.out->used;
    self.writer.put(*self.out, slot);
    self.rows.push({static_cast<std::uint32_t>(start), static_cast<std::uint32_t>(self.out->used - start)});
}

MemoryContext make_row_context() {
    return compat::small_context(CurrentMemoryContext, "muster row");
}

void run_request(JsonPage& self, const Source& source) {
    if (self.is_list) {
        run_page(self.page, source);
    } else {
        run_item(self.page, source);
    }
}

void init(JsonPage& self, const Request& request, json::Arena& out, bool is_list,
          MemoryContext row_context) {
    init_page(self.page, request, row_context);
    self.page.prepare = prepare_row;
    self.out = &out;
    self.is_list = is_list;
}

Datum finish_plain(JsonPage& self, MemoryContext caller) {
    if (!self.is_list && self.page.taken == 0) {
        return Datum{0};
    }
    if (self.is_list) {
        self.out->put(']');
    }
    const text* next = self.is_list ? next_cursor(self.page) : nullptr;
    MemoryContextSwitchTo(caller);
    return finish_answer(*self.out, next);
}

// The answer of a request without children. Datum 0 if an item was not found.
Datum plain_document(const Request& request, const Source& source, bool is_list, MemoryContext caller) {
    MemoryContext row_context = make_row_context();
    MemoryContext spi = MemoryContextSwitchTo(caller);
    json::Arena out = begin_answer(first_capacity);
    MemoryContextSwitchTo(spi);
    if (is_list) {
        out.put('[');
    }
    JsonPage self{};
    init(self, request, out, is_list, row_context);
    self.page.take = take_final_row;
    run_request(self, source);
    return finish_plain(self, caller);
}

// What each child's name and the punctuation around it come to, for one row.
struct ChildKeys {
    std::string_view texts[most_children];  // `,"name":`
};

ChildKeys make_child_keys(const Children& children) {
    ChildKeys keys{};
    for (int i = 0; i < children.count; i++) {
        const std::string_view name = children.sets[i].name;
        keys.texts[i] = psprintf(",\"%.*s\":", static_cast<int>(name.size()), name.data());
    }
    return keys;
}

// The size of a row with its children. Without members the first child has no comma before it.
std::size_t row_size(const Segment& row, std::int32_t group, const Children& children,
                     const ChildKeys& keys) {
    std::size_t size = row.length + 2;
    for (int i = 0; i < children.count; i++) {
        size += keys.texts[i].size() + children.sets[i].size(group);
    }
    return size - (row.length == 0 && children.count > 0 ? 1 : 0);
}

char* put_row(char* to, const char* rows, const Segment& row, std::int32_t group,
              const Children& children, const ChildKeys& keys) {
    *to++ = '{';
    std::memcpy(to, rows + row.offset, row.length);
    to += row.length;
    for (int i = 0; i < children.count; i++) {
        std::string_view key = keys.texts[i];
        if (i == 0 && row.length == 0) {
            key.remove_prefix(1);
        }
        std::memcpy(to, key.data(), key.size());
        to = children.sets[i].put(to + key.size(), group, children.texts.data);
    }
    *to++ = '}';
    return to;
}

Datum stitch(const JsonPage& self, const Children& children, MemoryContext caller) {
    const ChildKeys keys = make_child_keys(children);
    const List<Segment>& rows = self.rows;
    const List<std::int32_t>& groups = self.page.groups;
    std::size_t size = self.is_list ? 2 : 0;
    for (std::uint32_t i = 0; i < rows.count; i++) {
        size += row_size(rows[i], groups[i], children, keys) + (i > 0 ? 1 : 0);
    }
    const text* next = self.is_list ? next_cursor(self.page) : nullptr;
    const std::size_t next_size = next == nullptr ? 0 : VARSIZE(next) + ALIGNOF_INT;

    MemoryContextSwitchTo(caller);
    json::Arena out = begin_answer(size + next_size);
    char* to = out.reserve(size);
    if (self.is_list) {
        *to++ = '[';
    }
    for (std::uint32_t i = 0; i < rows.count; i++) {
        if (i > 0) {
            *to++ = ',';
        }
        to = put_row(to, self.out->data, rows[i], groups[i], children, keys);
    }
    if (self.is_list) {
        *to++ = ']';
    }
    out.commit(to);
    return finish_answer(out, next);
}

Datum full_document(const Request& request, const Source& source, bool is_list, MemoryContext caller) {
    MemoryContext row_context = make_row_context();
    json::Arena out = json::make_arena(first_capacity);
    JsonPage self{};
    init(self, request, out, is_list, row_context);
    self.page.take = take_row;
    self.rows = make_list<Segment>();
    run_request(self, source);
    if (!is_list && self.page.taken == 0) {
        return Datum{0};
    }
    return stitch(self, fetch_children(self.page, source, row_context), caller);
}

Datum document(const Request& request, const Source& source, bool is_list, MemoryContext caller) {
    return request.children == 0 ? plain_document(request, source, is_list, caller)
                                 : full_document(request, source, is_list, caller);
}

void connect() {
    if (SPI_connect() != SPI_OK_CONNECT) {
        elog(ERROR, "SPI_connect failed");
    }
}

}  // namespace

Datum list_document(Request& request) {
    const Source source = find_source();
    check_fields(request, source);
    MemoryContext caller = CurrentMemoryContext;
    connect();
    const Datum answer = document(request, source, true, caller);
    SPI_finish();
    return answer;
}

Datum item_document(Request& request, Request* second) {
    const Source source = find_source();
    request.limit = 1;
    check_fields(request, source);
    MemoryContext caller = CurrentMemoryContext;
    connect();
    Datum answer = document(request, source, false, caller);
    if (answer == Datum{0} && second != nullptr) {
        second->limit = 1;
        second->children = request.children;
        answer = document(*second, source, false, caller);
    }
    SPI_finish();
    return answer == Datum{0} ? empty_answer() : answer;
}

}  // namespace muster::read
