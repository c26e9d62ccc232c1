// Documents. Without children a page's rows are written straight into the answer; with children
// they are written aside, and everything is put together once when all of it is there.
#include "read/document.hpp"

#include "read/answer.hpp"
#include "read/children.hpp"

namespace muster::read {
namespace {

struct JsonPage {
    Page page;  // must come first
    json::Arena* out;
    json::RowWriter writer;
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
    self.rows.push(
        {static_cast<std::uint32_t>(start), static_cast<std::uint32_t>(self.out->used - start)});
}

MemoryContext make_row_context() {
    return compat::small_context(CurrentMemoryContext, "muster row");
}

void init(JsonPage& self, const Request& request, json::Arena& out, bool is_list,
          MemoryContext row_context) {
    init_page(self.page, request, is_list, row_context);
    self.page.prepare = prepare_row;
    self.out = &out;
}

// Writes the answer of a request without children. False if an item was not found.
bool put_plain(json::Arena& out, const text*& next, const Request& request, const Source& source,
               bool is_list) {
    JsonPage self{};
    init(self, request, out, is_list, make_row_context());
    self.page.take = take_final_row;
    if (is_list) {
        out.put('[');
    }
    run_page(self.page, source);
    if (is_list) {
        out.put(']');
        next = next_cursor(self.page);
    }
    return is_list || self.page.taken > 0;
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

char* put_row(char* to, const char* texts, const Segment& row, std::int32_t group,
              const Children& children, const ChildKeys& keys) {
    *to++ = '{';
    std::memcpy(to, texts + row.offset, row.length);
    to += row.length;
    for (int i = 0; i < children.count; i++) {
        std::string_view key = keys.texts[i];
        if (i == 0 && row.length == 0) {
            key.remove_prefix(1);
        }
        std::memcpy(to, key.data(), key.size());
        to = children.sets[i].put(to + key.size(), group, texts);
    }
    *to++ = '}';
    return to;
}

// Puts the rows and their children together.
void stitch(json::Arena& out, const JsonPage& self, const Children& children) {
    const ChildKeys keys = make_child_keys(children);
    const List<Segment>& rows = self.rows;
    const List<std::int32_t>& groups = self.page.groups;
    std::size_t size = self.page.is_list ? 2 : 0;
    for (std::uint32_t i = 0; i < rows.count; i++) {
        size += row_size(rows[i], groups[i], children, keys) + (i > 0 ? 1 : 0);
        CHECK_FOR_INTERRUPTS();
    }
    char* to = out.reserve(size);
    if (self.page.is_list) {
        *to++ = '[';
    }
    for (std::uint32_t i = 0; i < rows.count; i++) {
        if (i > 0) {
            *to++ = ',';
        }
        to = put_row(to, self.out->data, rows[i], groups[i], children, keys);
        CHECK_FOR_INTERRUPTS();
    }
    if (self.page.is_list) {
        *to++ = ']';
    }
    out.commit(to);
}

// The same with children.
bool put_full(json::Arena& out, const text*& next, const Request& request, const Source& source,
              bool is_list) {
    MemoryContext row_context = make_row_context();
    json::Arena texts = take_scratch();
    JsonPage self{};
    init(self, request, texts, is_list, row_context);
    self.page.take = take_row;
    self.rows = make_list<Segment>();
    run_page(self.page, source);
    const bool found = is_list || self.page.taken > 0;
    if (found) {
        stitch(out, self, fetch_children(self.page, source, texts, row_context));
    }
    if (is_list) {
        next = next_cursor(self.page);
    }
    keep_scratch(texts);
    return found;
}

bool put_document(json::Arena& out, const text*& next, const Request& request, const Source& source,
                  bool is_list) {
    return request.children == 0 ? put_plain(out, next, request, source, is_list)
                                 : put_full(out, next, request, source, is_list);
}

void connect() {
    if (SPI_connect() != SPI_OK_CONNECT) {
        elog(ERROR, "SPI_connect failed");
    }
}

}  // namespace

Datum list_document(FunctionCallInfo fcinfo, Request& request) {
    const Source source = find_source();
    check_fields(request, source);
    json::Arena body = begin_body();
    const text* next = nullptr;
    MemoryContext caller = CurrentMemoryContext;
    connect();
    put_document(body, next, request, source, true);
    if (next != nullptr) {
        MemoryContext spi = MemoryContextSwitchTo(caller);
        next = DatumGetTextPCopy(PointerGetDatum(const_cast<text*>(next)));
        MemoryContextSwitchTo(spi);
    }
    SPI_finish();
    return finish_body(fcinfo, body, next);
}

Datum item_document(FunctionCallInfo fcinfo, Request& request, Request* second) {
    const Source source = find_source();
    request.limit = 1;
    check_fields(request, source);
    json::Arena body = begin_body();
    const text* next = nullptr;
    connect();
    bool found = put_document(body, next, request, source, false);
    if (!found && second != nullptr) {
        second->limit = 1;
        second->children = request.children;
        found = put_document(body, next, *second, source, false);
    }
    SPI_finish();
    if (!found) {
        keep_scratch(body);
        return empty_answer(fcinfo);
    }
    return finish_body(fcinfo, body, nullptr);
}

}  // namespace muster::read
