// muster.agents() and muster.agent(): the same pages as rows of muster.agent_row, for SQL to go on
// with.
#include "read/answer.hpp"
#include "read/children.hpp"

#include "json/row.hpp"

namespace muster::read {
namespace {

// muster.agent_row: the API's columns in its order, then these.
enum RowColumn { Goals = 10, Tools, EventCount, Extra, RowColumns };

// How a table's column becomes the row's.
enum class As : std::uint8_t { Uuid, Text, Jsonb, Time };

constexpr As row_types[Goals] = {As::Uuid,  As::Text,  As::Text,  As::Text, As::Text,
                                 As::Jsonb, As::Jsonb, As::Jsonb, As::Time, As::Time};

struct RowPage {
    Page page;  // must come first
    TupleDesc descriptor;
    List<HeapTuple> rows;
    AttrNumber sources[Goals];  // where the API's columns are, or 0
    Oid types[Goals];
    json::RowWriter extra;  // users' own columns
};

void prepare_rows(Page& page, TupleDesc descriptor) {
    auto& self = reinterpret_cast<RowPage&>(page);
    // The executor's descriptor is gone by the time the rows are converted.
    MemoryContext statement = MemoryContextSwitchTo(page.context);
    self.descriptor = CreateTupleDescCopy(descriptor);
    self.extra = json::make_row_writer(descriptor);
    for (int i = 0; i < descriptor->natts; i++) {
        Form_pg_attribute column = TupleDescAttr(descriptor, i);
        bool is_api = false;
        for (int k = 0; k < agents_table.column_count; k++) {
            if (agents_table.columns[k] == NameStr(column->attname)) {
                self.sources[k] = column->attnum;
                self.types[k] = getBaseType(column->atttypid);
                is_api = true;
            }
        }
        if (!is_api) {
            json::add_member(self.extra, self.descriptor, column->attnum, nullptr);
        }
    }
    MemoryContextSwitchTo(statement);
}

void take_tuple(Page& page, TupleTableSlot* slot) {
    auto& self = reinterpret_cast<RowPage&>(page);
    MemoryContext row = MemoryContextSwitchTo(page.context);
    self.rows.push(ExecCopySlotHeapTuple(slot));
    MemoryContextSwitchTo(row);
}

// Makes a column's value one of the row's type. create_tables() adopts relatives of its types.
Datum convert(Datum value, Oid type, As as, const char* column) {
    if (as == As::Uuid && type == UUIDOID) {
        return value;
    }
    if (as == As::Text && (type == TEXTOID || type == VARCHAROID)) {
        return value;
    }
    if (as == As::Text && type == BPCHAROID) {
        return DirectFunctionCall1(rtrim1, value);
    }
    if (as == As::Jsonb && type == JSONBOID) {
        return value;
    }
    if (as == As::Jsonb && type == JSONOID) {
        return DirectFunctionCall1(jsonb_in, CStringGetDatum(TextDatumGetCString(value)));
    }
    // Without a time zone it is taken as UTC, which is what the bits of the other type say.
    if (as == As::Time && (type == TIMESTAMPTZOID || type == TIMESTAMPOID)) {
        return value;
    }
    ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                    errmsg("column \"%s\" has type %s, which agents cannot have", column,
                           format_type_be(type))));
    pg_unreachable();
}

Datum extra_of(const RowPage& self, TupleTableSlot* slot) {
    json::Arena text = json::make_arena(256);
    text.put('{');
    self.extra.put(text, slot);
    text.put('}');
    text.put('\0');
    return DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data));
}

Datum child_of(const ChildSet& set, std::int32_t group, const json::Arena& texts) {
    const std::size_t size = set.size(group) + VARHDRSZ;
    if (!AllocSizeIsValid(size)) {
        json::report_too_large();
    }
    auto* value = static_cast<char*>(palloc(size));
    SET_VARSIZE(value, size);
    set.put(value + VARHDRSZ, group, texts.data);
    return PointerGetDatum(value);
}

void convert_row(const RowPage& self, TupleTableSlot* slot, std::int32_t group,
                 const Children& children, const json::Arena& texts, Datum* values, bool* nulls) {
    for (int i = 0; i < RowColumns; i++) {
        nulls[i] = true;
    }
    slot_getallattrs(slot);
    for (int i = 0; i < Goals; i++) {
        const int source = self.sources[i] - 1;
        if (source >= 0 && !slot->tts_isnull[source]) {
            values[i] = convert(slot->tts_values[source], self.types[i], row_types[i],
                                agents_table.columns[i].data());
            nulls[i] = false;
        }
    }
    for (int i = 0; i < children.count; i++) {
        const ChildSet& set = children.sets[i];
        const int column = set.kind == ChildKind::Goals   ? Goals
                           : set.kind == ChildKind::Tools ? Tools
                                                          : EventCount;
        values[column] =
            set.is_count() ? Int64GetDatum(set.count(group)) : child_of(set, group, texts);
        nulls[column] = false;
    }
    values[Extra] = extra_of(self, slot);
    nulls[Extra] = false;
}

// The tuplestore that the caller of a set-returning function reads.
Tuplestorestate* make_result(FunctionCallInfo fcinfo, TupleDesc& descriptor) {
    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE ||
        descriptor->natts != RowColumns) {
        elog(ERROR, "return type must be muster.agent_row");
    }
    return begin_rows(fcinfo, descriptor);
}

// What a tuple can hold, with room for the largest header.
constexpr std::size_t most_row_bytes = MaxAllocSize - 1024;

void put_rows(const RowPage& self, const Children& children, const json::Arena& texts,
              MemoryContext row_context, Tuplestorestate* result, TupleDesc result_descriptor) {
    TupleTableSlot* slot = MakeSingleTupleTableSlot(self.descriptor, &TTSOpsHeapTuple);
    for (std::uint32_t i = 0; i < self.rows.count; i++) {
        CHECK_FOR_INTERRUPTS();
        MemoryContext spi = MemoryContextSwitchTo(row_context);
        Datum values[RowColumns];
        bool nulls[RowColumns];
        ExecStoreHeapTuple(self.rows[i], slot, false);
        const std::int32_t group = children.count > 0 ? self.page.groups[i] : -1;
        convert_row(self, slot, group, children, texts, values, nulls);
        // Its columns may each be within the limit, and the row beyond it.
        if (heap_compute_data_size(result_descriptor, values, nulls) > most_row_bytes) {
            json::report_too_large();
        }
        tuplestore_putvalues(result, result_descriptor, values, nulls);
        MemoryContextSwitchTo(spi);
        MemoryContextReset(row_context);
    }
    ExecDropSingleTupleTableSlot(slot);
}

void run_rows(FunctionCallInfo fcinfo, const Request& request, bool is_list) {
    TupleDesc result_descriptor;
    Tuplestorestate* result = make_result(fcinfo, result_descriptor);
    const Source source = find_source();
    if (SPI_connect() != SPI_OK_CONNECT) {
        elog(ERROR, "SPI_connect failed");
    }
    MemoryContext row_context = compat::small_context(CurrentMemoryContext, "muster row");
    RowPage self{};
    init_page(self.page, request, is_list, row_context);
    self.page.prepare = prepare_rows;
    self.page.take = take_tuple;
    self.rows = make_list<HeapTuple>();
    run_page(self.page, source);
    if (self.rows.count > 0) {
        json::Arena texts = take_scratch();
        const Children children = fetch_children(self.page, source, texts, row_context);
        put_rows(self, children, texts, row_context, result, result_descriptor);
        keep_scratch(texts);
    }
    SPI_finish();
}

// (status, row_limit, row_offset, after, include)
Datum agents_rows(FunctionCallInfo fcinfo) {
    Request request = make_request(agents_table);
    take_agent_status(request, fcinfo, 0);
    take_page(request, fcinfo, 1, 2, 3);
    take_include(request, fcinfo, 4, agent_includes);
    run_rows(fcinfo, request, true);
    return Datum{0};
}

// (id, include)
Datum agent_rows(FunctionCallInfo fcinfo) {
    if (PG_ARGISNULL(0)) {
        TupleDesc descriptor;
        make_result(fcinfo, descriptor);
        return Datum{0};
    }
    Request request = make_request(agents_table);
    request.limit = 1;
    request.filter_by(filter::AgentId, PG_GETARG_DATUM(0));
    take_include(request, fcinfo, 1, agent_includes);
    run_rows(fcinfo, request, false);
    return Datum{0};
}

}  // namespace
}  // namespace muster::read

extern "C" {
PGDLLEXPORT Datum muster_agents(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_agent(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(muster_agents);
PG_FUNCTION_INFO_V1(muster_agent);
}

Datum muster_agents(PG_FUNCTION_ARGS) {
    return muster::read::agents_rows(fcinfo);
}

Datum muster_agent(PG_FUNCTION_ARGS) {
    return muster::read::agent_rows(fcinfo);
}
