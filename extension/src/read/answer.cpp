// The document is written where it stands in the row, after a tuple's header, so that a large one
// is copied once only: from the session's buffer into the tuplestore that the caller reads.
#include "read/answer.hpp"

#include "send/send.hpp"

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

// A tuple is laid out as heap_form_minimal_tuple() does it: the header with a byte that tells
// nulls, then the values, each aligned. There is room for that byte in front of the first value
// anyway.
constexpr std::size_t body_at = MAXALIGN(SizeofMinimalTupleHeader + 1);

void align(json::Arena& row) {
    while (row.used % ALIGNOF_INT != 0) {
        row.put('\0');
    }
}

}  // namespace

json::Arena begin_body() {
    json::Arena row = take_scratch();
    row.used = body_at + VARHDRSZ;
    return row;
}

Datum finish_body(FunctionCallInfo fcinfo, json::Arena& row, const text* next) {
    SET_VARSIZE(row.data + body_at, row.used - body_at);
    if (next != nullptr) {
        align(row);
        row.put(reinterpret_cast<const char*>(next), VARSIZE(next));
    }
    auto* tuple = reinterpret_cast<MinimalTuple>(row.data);
    std::memset(tuple, 0, body_at);
    tuple->t_len = static_cast<std::uint32_t>(row.used);
    tuple->t_infomask2 = columns;
    tuple->t_infomask = HEAP_HASVARWIDTH | (next == nullptr ? HEAP_HASNULL : 0);
    tuple->t_hoff = body_at + MINIMAL_TUPLE_OFFSET;
    tuple->t_bits[0] = next == nullptr ? 0b01 : 0b11;

    // Room for the row, and for an array of them, whatever work_mem is: the document is in memory
    // in full anyway, and writing it to disk and reading it back is what could not be cancelled.
    constexpr int array = 64;
    const int kilobytes = static_cast<int>(row.used / 1024) + array;
    Tuplestorestate* rows = begin_rows(fcinfo, row_type(), Max(work_mem, kilobytes));
    TupleTableSlot* slot = MakeSingleTupleTableSlot(row_type(), &TTSOpsMinimalTuple);
    ExecStoreMinimalTuple(tuple, slot, false);
    tuplestore_puttupleslot(rows, slot);
    ExecDropSingleTupleTableSlot(slot);
    send::expect_row(row.used);
    keep_scratch(row);
    return Datum{0};
}

Datum empty_answer(FunctionCallInfo fcinfo) {
    Datum values[columns] = {};
    bool nulls[columns] = {true, true};
    tuplestore_putvalues(begin_rows(fcinfo, row_type()), row_type(), values, nulls);
    return Datum{0};
}

Tuplestorestate* begin_rows(FunctionCallInfo fcinfo, TupleDesc descriptor, int kilobytes) {
    auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
    if (result == nullptr || !IsA(result, ReturnSetInfo) ||
        (result->allowedModes & SFRM_Materialize) == 0) {
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("set-valued function called in context that cannot accept a set"),
                        errhint("Call it in FROM.")));
    }
    MemoryContext caller = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
    Tuplestorestate* rows = tuplestore_begin_heap(
        (result->allowedModes & SFRM_Materialize_Random) != 0, false, kilobytes);
    result->returnMode = SFRM_Materialize;
    result->setResult = rows;
    result->setDesc = CreateTupleDescCopy(descriptor);
    MemoryContextSwitchTo(caller);
    return rows;
}

}  // namespace muster::read
