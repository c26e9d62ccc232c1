// Pages. The statement has a LIMIT only for the planner's sake, a power of two that is enough; the
// page itself is cut out of its rows here, so that one plan serves all limits and offsets of a
// size.
#include "read/page.hpp"

#include "read/columns.hpp"

namespace muster::read {
namespace {

constexpr std::uint8_t most_limit_bits = 30;

// The least n with 2^n >= rows, or 0 (no limit) when that is large.
std::uint8_t limit_bits(std::int64_t rows) {
    std::uint8_t bits = 4;
    while (bits <= most_limit_bits && INT64CONST(1) << bits < rows) {
        bits++;
    }
    return bits > most_limit_bits ? 0 : bits;
}

void append_order(StringInfo sql, const Table& table) {
    appendStringInfoString(sql, table.order == Order::Newest
                                    ? " ORDER BY t.created_at DESC NULLS LAST, t.id DESC"
                                    : " ORDER BY t.name, t.id");
}

// Rows after the cursor. Comparing rows is what an index on both columns can seek to.
void append_start(StringInfo sql, const Table& table, Start start, int parameter) {
    const char* after = table.order == Order::Newest ? "<" : ">";
    switch (start) {
        case Start::Top:
            break;
        case Start::AfterKey:
            appendStringInfo(sql, " AND ROW(t.%s, t.id) OPERATOR(pg_catalog.%s) ROW($%d, $%d)",
                             table.order_column(), after, parameter, parameter + 1);
            break;
        case Start::AllNulls:
            appendStringInfo(sql, " AND t.%s IS NULL", table.order_column());
            break;
        case Start::AfterNull:
            appendStringInfo(sql, " AND t.%s IS NULL AND t.id OPERATOR(pg_catalog.%s) $%d",
                             table.order_column(), after, parameter);
            break;
    }
}

void make_page_text(StringInfo sql, const PlanKey& key, const Source& source, const void* detail) {
    const auto& table = *static_cast<const Table*>(detail);
    appendStringInfo(sql, "SELECT %s FROM %s.%s t WHERE true",
                     key.columns == all_columns ? "t.*" : key.columns, source.quoted_schema,
                     table.name);
    int parameter = 1;
    for (int i = 0; i < table.filter_count; i++) {
        if ((key.filters & 1 << i) != 0) {
            appendStringInfo(sql, " AND t.%s OPERATOR(pg_catalog.=) $%d", table.filters[i].column,
                             parameter++);
        }
    }
    append_start(sql, table, key.start, parameter);
    if (key.form == Form::Item) {
        appendStringInfoString(sql, " LIMIT 1");
        return;
    }
    append_order(sql, table);
    if (key.limit_bits > 0) {
        appendStringInfo(sql, " LIMIT " INT64_FORMAT, INT64CONST(1) << key.limit_bits);
    }
}

PlanKey page_key(const Request& request, const Source& source, Form form, SelectList columns) {
    PlanKey key{};
    key.schema = source.schema;
    key.columns = columns;
    key.table = request.table->number;
    key.form = form;
    key.filters = static_cast<std::uint8_t>(request.filters);
    return key;
}

Parameters filter_parameters(const Request& request) {
    Parameters parameters{};
    for (int i = 0; i < request.table->filter_count; i++) {
        if ((request.filters & 1U << i) != 0) {
            parameters.add(request.table->filters[i].type, request.filter_values[i]);
        }
    }
    return parameters;
}

void run_from(Page& page, const Source& source, SelectList columns, Start start, bool naive) {
    const Request& request = *page.request;
    PlanKey key = page_key(request, source, Form::List, columns);
    key.start = start;
    key.naive = naive;
    key.limit_bits = limit_bits(request.offset + request.limit + 1);
    Parameters parameters = filter_parameters(request);
    if (start == Start::AfterKey && request.table->order == Order::Newest) {
        parameters.add(naive ? TIMESTAMPOID : TIMESTAMPTZOID,
                       TimestampGetDatum(request.cursor.created_at));
    } else if (start == Start::AfterKey) {
        const std::string_view name = request.cursor.name;
        parameters.add(TEXTOID, PointerGetDatum(cstring_to_text_with_len(
                                    name.data(), static_cast<int>(name.size()))));
    }
    if (start == Start::AfterKey || start == Start::AfterNull) {
        parameters.add(UUIDOID, UUIDPGetDatum(&request.cursor.id));
    }
    run(key, source, parameters, make_page_text, request.table, page.base);
}

// The columns that reading children and, for a list, ordering takes besides those asked for.
SelectList page_columns(const Page& page, const Source& source) {
    const Request& request = *page.request;
    const Table& table = *request.table;
    const char* child_key = request.children != 0 ? table.child_key : "";
    if (!page.is_list) {
        return select_list(source, table, request.fields, request.children, {child_key});
    }
    return select_list(source, table, request.fields, request.children,
                       {"id", table.order_column(), child_key});
}

// A page takes one statement, and another for the rows without a time when a page after a cursor
// reaches them.
void run_list(Page& page, const Source& source) {
    const Request& request = *page.request;
    const ColumnFacts order =
        column_facts(source.relation(request.table->name), request.table->order_column());
    const SelectList columns = page_columns(page, source);
    const bool naive = order.type == TIMESTAMPOID;
    if (!request.has_cursor) {
        run_from(page, source, columns, Start::Top, naive);
        return;
    }
    run_from(page, source, columns, request.cursor.is_null ? Start::AfterNull : Start::AfterKey,
             naive);
    if (!request.cursor.is_null && order.nullable && !page.more) {
        run_from(page, source, columns, Start::AllNulls, naive);
    }
}

void run_item(Page& page, const Source& source) {
    const Request& request = *page.request;
    run(page_key(request, source, Form::Item, page_columns(page, source)), source,
        filter_parameters(request), make_page_text, request.table, page.base);
}

int find_named(TupleDesc descriptor, std::string_view name, int guess) {
    // Tables made by create_tables() have the API's columns in its order.
    if (guess < descriptor->natts && name == NameStr(TupleDescAttr(descriptor, guess)->attname)) {
        return guess;
    }
    for (int i = 0; i < descriptor->natts; i++) {
        if (name == NameStr(TupleDescAttr(descriptor, i)->attname)) {
            return i;
        }
    }
    return -1;
}

}  // namespace

void add_columns(json::RowWriter& writer, TupleDesc descriptor, const Table& table,
                 const json::Field* fields, std::uint32_t children) {
    auto* is_api = static_cast<bool*>(palloc0(static_cast<std::size_t>(Max(descriptor->natts, 1))));
    for (int i = 0; i < table.column_count; i++) {
        const int found = find_named(descriptor, table.columns[i], i);
        if (found < 0) {
            continue;
        }
        is_api[found] = true;
        const json::Field* field = fields == nullptr ? nullptr : fields->find(table.columns[i]);
        if (fields == nullptr || field != nullptr) {
            json::add_member(writer, descriptor, static_cast<AttrNumber>(found + 1), field);
        }
    }
    for (int i = 0; i < descriptor->natts; i++) {
        const std::string_view name = NameStr(TupleDescAttr(descriptor, i)->attname);
        if (is_api[i] || table.has_child(children, name)) {
            continue;
        }
        const json::Field* field = fields == nullptr ? nullptr : fields->find(name);
        if (fields == nullptr || field != nullptr) {
            json::add_member(writer, descriptor, static_cast<AttrNumber>(i + 1), field);
        }
    }
}

void init_page(Page& page, const Request& request, bool is_list, MemoryContext row_context) {
    init_receiver(page, row_context);
    page.request = &request;
    page.is_list = is_list;
    page.context = CurrentMemoryContext;
    page.keys = make_uuid_map();
    page.groups = make_list<std::int32_t>();
}

void Page::start(TupleDesc descriptor) {
    const Table& table = *request->table;
    if (is_list) {
        id_attribute = find_column(descriptor, "id", UUIDOID);
        order_attribute = table.order == Order::Newest
                              ? find_column(descriptor, "created_at", TIMESTAMPTZOID, TIMESTAMPOID)
                              : find_text_column(descriptor, "name");
    }
    if (request->children != 0) {
        key_attribute = find_column(descriptor, table.child_key, UUIDOID);
    }
    prepare(*this, descriptor);
}

bool Page::row(TupleTableSlot* slot) {
    if (skipped < request->offset) {
        skipped++;
        return true;
    }
    if (taken == request->limit) {
        more = true;
        return false;
    }
    take(*this, slot);
    if (request->children != 0) {
        bool is_null;
        Datum key = slot_getattr(slot, key_attribute, &is_null);
        groups.push(is_null ? -1 : keys.add(*DatumGetUUIDP(key)));
    }
    taken++;
    if (is_list && taken == request->limit) {
        remember(slot);
    }
    return true;
}

void Page::remember(TupleTableSlot* slot) {
    last.id = uuid_of(slot, id_attribute);
    Datum key = slot_getattr(slot, order_attribute, &last.is_null);
    if (last.is_null) {
        return;
    }
    if (request->table->order == Order::Newest) {
        last.created_at = DatumGetTimestamp(key);
    } else {
        text* name = DatumGetTextPP(key);
        const std::size_t length = VARSIZE_ANY_EXHDR(name);
        auto* copy = static_cast<char*>(MemoryContextAlloc(context, length + 1));
        std::memcpy(copy, VARDATA_ANY(name), length);
        last.name = {copy, length};
    }
}

void run_page(Page& page, const Source& source) {
    if (page.is_list) {
        run_list(page, source);
    } else {
        run_item(page, source);
    }
}

text* next_cursor(const Page& page) {
    return page.more && page.taken > 0 ? encode_cursor(*page.request->table, page.last) : nullptr;
}

}  // namespace muster::read
