// Writing, folding and summing the rows of muster.event_counts.
#include "count/counts.hpp"

namespace muster::count {
namespace {

// The table's columns.
constexpr AttrNumber aggregate_column = 1;
constexpr AttrNumber n_column = 2;
constexpr int column_count = 2;

// One row in so many makes its writer fold. An aggregate then has this many rows, in the mean, that
// are not folded yet, and a row is folded with so many others.
constexpr std::uint32_t rows_per_fold = 16;

// Marsaglia's xorshift. Whether a writer folds must not go in step with what is written, or an
// aggregate that comes every sixteenth time would be folded each time, and the others never.
bool fold_now() {
    static std::uint32_t state = 0;
    if (state == 0) {
        state = (static_cast<std::uint32_t>(MyProcPid) * 2654435761U ^
                 static_cast<std::uint32_t>(GetCurrentTimestamp())) |
                1U;
    }
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % rows_per_fold == 0;
}

Oid table_id() {
    const Oid id = get_relname_relid("event_counts", get_namespace_oid("muster", false));
    if (!OidIsValid(id)) {
        elog(ERROR, "table muster.event_counts is missing");
    }
    return id;
}

bool finds_aggregates(Relation index) {
    return index->rd_rel->relam == BTREE_AM_OID && index->rd_index->indisvalid &&
           index->rd_index->indkey.values[0] == aggregate_column &&
           heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr);
}

// Opens an index by which rows are found, or returns null.
Relation open_index(Relation table) {
    Relation found = nullptr;
    List* ids = RelationGetIndexList(table);
    for (int i = 0; i < list_length(ids) && found == nullptr; i++) {
        Relation index = index_open(list_nth_oid(ids, i), AccessShareLock);
        if (finds_aggregates(index)) {
            found = index;
        } else {
            index_close(index, AccessShareLock);
        }
    }
    list_free(ids);
    return found;
}

void search(IndexScanDesc scan, const pg_uuid_t& aggregate) {
    ScanKeyData key;
    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(&aggregate));
    index_rescan(scan, &key, 1, nullptr, 0);
}

std::int64_t n_of(TupleTableSlot* slot) {
    bool is_null;
    const Datum n = slot_getattr(slot, n_column, &is_null);
    return is_null ? 0 : DatumGetInt64(n);
}

struct Found {
    ItemPointerData place;
    std::int64_t n;
};

int find_rows(const Writer& writer, const pg_uuid_t& aggregate, Snapshot snapshot, Found* found) {
    TupleTableSlot* slot = table_slot_create(writer.table, nullptr);
    IndexScanDesc scan = compat::begin_index_scan(writer.table, writer.index, snapshot, 1);
    search(scan, aggregate);
    int count = 0;
    while (count < fold_limit && index_getnext_slot(scan, ForwardScanDirection, slot)) {
        found[count++] = {slot->tts_tid, n_of(slot)};
    }
    index_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
    return count;
}

}  // namespace

Writer open_writer() {
    Writer writer{};
    writer.table = table_open(table_id(), RowExclusiveLock);
    writer.index = open_index(writer.table);
    writer.estate = CreateExecutorState();
    // InitResultRelInfo() would copy the triggers, which no row of ours fires.
    writer.target.type = T_ResultRelInfo;
    writer.target.ri_RelationDesc = writer.table;
    ExecOpenIndices(&writer.target, false);
    writer.slot = MakeSingleTupleTableSlot(RelationGetDescr(writer.table), &TTSOpsVirtual);
    if (writer.slot->tts_tupleDescriptor->natts != column_count) {
        elog(ERROR, "table muster.event_counts has %d columns instead of %d",
             writer.slot->tts_tupleDescriptor->natts, column_count);
    }
    return writer;
}

// The locks are kept to the transaction's end, like any writer's.
void Writer::close() {
    ExecDropSingleTupleTableSlot(slot);
    ExecCloseIndices(&target);
    FreeExecutorState(estate);
    if (index != nullptr) {
        index_close(index, NoLock);
    }
    table_close(table, NoLock);
}

void Writer::insert(const pg_uuid_t& aggregate, std::int64_t n) {
    ExecClearTuple(slot);
    slot->tts_values[aggregate_column - 1] = UUIDPGetDatum(&aggregate);
    slot->tts_values[n_column - 1] = Int64GetDatum(n);
    std::memset(slot->tts_isnull, false, sizeof(bool) * column_count);
    ExecStoreVirtualTuple(slot);
    simple_table_tuple_insert(table, slot);
    if (target.ri_NumIndices > 0) {
        compat::insert_index_entries(&target, slot, estate);
        ResetPerTupleExprContext(estate);
    }
}

void Writer::add(const pg_uuid_t& aggregate, std::int64_t n) {
    insert(aggregate, n);
    if (fold_now()) {
        fold(aggregate);
    }
}

// Why this is exact for every snapshot: the rows that go and the row that comes are one
// transaction's, so that another transaction sees either, and for snapshots of this one command ids
// decide the same. A row is only taken if the deletion succeeds, which it does once: it does not if
// somebody else has deleted it or is about to. The access method is told not to wait; unlike the
// executor it then raises no error of its own, whatever became of the row.
//
// In READ COMMITTED only. A transaction that keeps one snapshot would see the sum, which is its
// own, of rows that it may not see; and under SERIALIZABLE looking for them would make conflicts
// between writers.
int Writer::fold(const pg_uuid_t& aggregate) {
    if (index == nullptr || IsolationUsesXactSnapshot()) {
        return 0;
    }
    Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    Found found[fold_limit];
    const int count = find_rows(*this, aggregate, snapshot, found);
    int gone = 0;
    std::int64_t sum = 0;
    for (int i = 0; i < count && count > 1; i++) {
        TM_FailureData failure;
        const CommandId command = GetCurrentCommandId(true);
        if (table_tuple_delete(table, &found[i].place, command, snapshot, InvalidSnapshot, false,
                               &failure, false) == TM_Ok) {
            gone++;
            sum += found[i].n;
        }
    }
    UnregisterSnapshot(snapshot);
    if (sum != 0) {
        insert(aggregate, sum);
    }
    return gone;
}

bool open_reader(Reader& reader) {
    reader.table = table_open(table_id(), AccessShareLock);
    reader.index = open_index(reader.table);
    if (reader.index == nullptr) {
        table_close(reader.table, AccessShareLock);
        return false;
    }
    reader.slot = table_slot_create(reader.table, nullptr);
    reader.scan = compat::begin_index_scan(reader.table, reader.index, GetActiveSnapshot(), 1);
    return true;
}

std::int64_t Reader::sum(const pg_uuid_t& aggregate) {
    search(scan, aggregate);
    std::int64_t n = 0;
    while (index_getnext_slot(scan, ForwardScanDirection, slot)) {
        n += n_of(slot);
        CHECK_FOR_INTERRUPTS();
    }
    return Max(n, 0);
}

void Reader::close() {
    index_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
    index_close(index, AccessShareLock);
    table_close(table, AccessShareLock);
}

}  // namespace muster::count
