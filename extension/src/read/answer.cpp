// The row is formed in the tuplestore that the caller reads, straight from the session's buffer, so
// that a large document is copied once.
#include "read/answer.hpp"

namespace muster::read {
namespace {

constexpr int columns = 2;

// The row's type, made once for the session.
TupleDesc row_type() {
    static TupleDesc type = nullptr;
    if (type == nullptr) {
        MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
        TupleDesc descriptor = CreateTemplateTupleDesc(columns);
        TupleDescInitEntry(descriptor, 1, "body", JSONOID, -1, 0);
        TupleDescInitEntry(descriptor, 2, "next", TEXTOID, -1, 0);
        type = BlessTupleDesc(descriptor);
        MemoryContextSwitchTo(caller);
    }
    return type;
}

Datum answer(FunctionCallInfo fcinfo, Datum* values, bool* nulls) {
    tuplestore_putvalues(begin_rows(fcinfo, row_type()), row_type(), values, nulls);
    return Datum{0};
}

}  // namespace

json::Arena begin_body() {
    json::Arena arena = take_scratch();
    arena.used = VARHDRSZ;
    return arena;
}

Datum finish_body(FunctionCallInfo fcinfo, json::Arena& body, const text* next) {
    SET_VARSIZE(body.data, body.used);
    Datum values[columns] = {PointerGetDatum(body.data), PointerGetDatum(const_cast<text*>(next))};
    bool nulls[columns] = {false, next == nullptr};
    const Datum row = answer(fcinfo, values, nulls);
    keep_scratch(body);
    return row;
}

Datum empty_answer(FunctionCallInfo fcinfo) {
    Datum values[columns] = {};
    bool nulls[columns] = {true, true};
    return answer(fcinfo, values, nulls);
}

Tuplestorestate* begin_rows(FunctionCallInfo fcinfo, TupleDesc descriptor) {
    auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
    if (result == nullptr || !IsA(result, ReturnSetInfo) ||
        (result->allowedModes & SFRM_Materialize) == 0) {
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("set-valued function called in context that cannot accept a set"),
                        errhint("Call it in FROM.")));
    }
    MemoryContext caller = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
    Tuplestorestate* rows = tuplestore_begin_heap(
        (result->allowedModes & SFRM_Materialize_Random) != 0, false, work_mem);
    result->returnMode = SFRM_Materialize;
    result->setResult = rows;
    result->setDesc = CreateTupleDescCopy(descriptor);
    MemoryContextSwitchTo(caller);
    return rows;
}

}  // namespace muster::read
