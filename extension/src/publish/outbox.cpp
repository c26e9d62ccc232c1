// Writing into the outbox through its access method, and remembering where it is.
#include "publish/outbox.hpp"

#include "wake/wake.hpp"

namespace muster::publish {
namespace {

// The outbox's columns by what they hold.
enum Field {
    Seq,
    Xid,
    EventType,
    AggregateType,
    AggregateId,
    Tags,
    Payload,
    Metadata,
    Ts,
    FieldCount
};

constexpr const char* field_names[FieldCount] = {
    "seq",     "xid",      "event_type", "aggregate_type", "aggregate_id", "tags",
    "payload", "metadata", "ts"};

// Where the outbox is: the one of its tables that is written to. Looking the names up is cheap but
// not free at a row's scale.
struct Place {
    bool known;
    Oid relation;
    Oid sequence;
    AttrNumber attributes[FieldCount];
};
Place place;

// The row in muster.rotation says which table is written to. Sessions remember what they read there
// and are told of a change by an invalidation of that table's cache entry.
Oid rotation = InvalidOid;
bool changed = true;

void forget_place(Datum, Oid relation) {
    if (!OidIsValid(relation) || relation == place.relation || relation == rotation) {
        changed = true;
    }
}

Oid state_relation(const char* name) {
    const Oid relation = get_relname_relid(name, get_namespace_oid("muster", false));
    if (!OidIsValid(relation)) {
        elog(ERROR, "relation muster.%s is missing", name);
    }
    return relation;
}

// The number of the table that is written to, as committed now, whatever older snapshot the
// transaction works with.
int read_rotation() {
    rotation = state_relation("rotation");
    Relation table = table_open(rotation, AccessShareLock);
    const AttrNumber current = get_attnum(rotation, "current");
    Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    SysScanDesc scan = systable_beginscan(table, InvalidOid, false, snapshot, 0, nullptr);
    HeapTuple row = systable_getnext(scan);
    bool is_null = true;
    const Datum number = HeapTupleIsValid(row) && current != InvalidAttrNumber
                             ? heap_getattr(row, current, RelationGetDescr(table), &is_null)
                             : static_cast<Datum>(0);
    if (is_null) {
        elog(ERROR, "table muster.rotation does not say which outbox is written to");
    }
    systable_endscan(scan);
    UnregisterSnapshot(snapshot);
    table_close(table, AccessShareLock);
    return DatumGetInt32(number);
}

Oid current_table() {
    char name[NAMEDATALEN];
    snprintf(name, sizeof(name), "outbox_%d", read_rotation());
    return state_relation(name);
}

// Finds the outbox's columns and sequence again.
void learn_place(Relation outbox) {
    Place found{};
    found.relation = RelationGetRelid(outbox);
    for (int field = 0; field < FieldCount; field++) {
        AttrNumber attribute = get_attnum(found.relation, field_names[field]);
        if (attribute == InvalidAttrNumber) {
            elog(ERROR, "column \"%s\" of muster.%s is missing", field_names[field],
                 RelationGetRelationName(outbox));
        }
        found.attributes[field] = attribute;
    }
    found.sequence = state_relation("outbox_seq");
    found.known = true;
    place = found;
}

// Locks a table for writing without waiting, if that is possible; waits only if it is still the
// one to write to. (Emptying a table locks it against everybody, but never the current one.)
Relation open_locked(Oid relation) {
    if (ConditionalLockRelationOid(relation, RowExclusiveLock)) {
        Relation table = try_table_open(relation, NoLock);
        if (table == nullptr) {
            UnlockRelationOid(relation, RowExclusiveLock);
        }
        return table;
    }
    AcceptInvalidationMessages();
    return changed ? nullptr : try_table_open(relation, RowExclusiveLock);
}

// Opens the table to write to. The lock is kept to the transaction's end, like any writer's.
//
// Nothing is lost by a writer that has not heard of a rotation yet: a table is emptied only under
// a lock that its writers would have to have let go of, and only when everything in it is
// published; what is written afterwards is read from whichever table it is in. So news matter for
// the tables' sizes alone, and taking a lock brings them: a table is locked, then used if there
// were none since it was chosen. A transaction that had the lock already stays with its table,
// which cannot be emptied before its end, until it hears of another. And where news never end (a
// server that tests its caches by discarding them all the time), an older place does.
Relation open_outbox() {
    constexpr int most_tries = 4;
    for (int tries = 1;; tries++) {
        if (changed) {
            place.known = false;
            changed = false;  // what comes from here on is news
        }
        const Oid relation = place.known ? place.relation : current_table();
        Relation outbox = open_locked(relation);
        if (outbox == nullptr) {
            changed = true;
            continue;
        }
        if (changed && tries < most_tries) {
            table_close(outbox, RowExclusiveLock);
            continue;
        }
        if (!place.known) {
            learn_place(outbox);
        }
        return outbox;
    }
}

Datum text_datum(std::string_view value) {
    return PointerGetDatum(cstring_to_text_with_len(value.data(), static_cast<int>(value.size())));
}

// Adds the row's index entries as the executor does, for any index.
void insert_by_executor(Relation outbox, TupleTableSlot* slot) {
    EState* estate = CreateExecutorState();
    // InitResultRelInfo() would copy the triggers, which no row of ours fires.
    ResultRelInfo target{};
    target.type = T_ResultRelInfo;
    target.ri_RelationDesc = outbox;
    ExecOpenIndices(&target, false);
    compat::insert_index_entries(&target, slot, estate);
    ExecCloseIndices(&target);
    FreeExecutorState(estate);
}

// Adds the row's index entries. An index of columns alone, as ours is, needs no executor's state,
// and making one for each row costs more than the entry does.
void insert_index_entries(Relation outbox, TupleTableSlot* slot) {
    List* ids = RelationGetIndexList(outbox);
    const int count = list_length(ids);
    auto* indexes =
        static_cast<Relation*>(palloc(sizeof(Relation) * static_cast<size_t>(Max(count, 1))));
    auto* infos =
        static_cast<IndexInfo**>(palloc(sizeof(IndexInfo*) * static_cast<size_t>(Max(count, 1))));
    bool plain = true;
    for (int i = 0; i < count; i++) {
        indexes[i] = index_open(list_nth_oid(ids, i), RowExclusiveLock);
        infos[i] = BuildIndexInfo(indexes[i]);
        plain = plain && infos[i]->ii_Expressions == NIL && infos[i]->ii_Predicate == NIL &&
                !infos[i]->ii_Unique && infos[i]->ii_ExclusionOps == nullptr;
    }
    for (int i = 0; i < count; i++) {
        if (plain && infos[i]->ii_ReadyForInserts) {
            Datum values[INDEX_MAX_KEYS];
            bool nulls[INDEX_MAX_KEYS];
            FormIndexDatum(infos[i], slot, nullptr, values, nulls);
            index_insert(indexes[i], values, nulls, &slot->tts_tid, outbox, UNIQUE_CHECK_NO, false,
                         infos[i]);
        }
        index_close(indexes[i], NoLock);
    }
    if (!plain) {
        insert_by_executor(outbox, slot);
    }
}

}  // namespace

void outbox_insert(const Message& message) {
    Relation outbox = open_outbox();
    TupleDesc descriptor = RelationGetDescr(outbox);
    TupleTableSlot* slot = MakeSingleTupleTableSlot(descriptor, &TTSOpsVirtual);

    memset(slot->tts_isnull, true, sizeof(bool) * static_cast<size_t>(descriptor->natts));
    auto set = [slot](Field field, Datum value) {
        int index = place.attributes[field] - 1;
        slot->tts_values[index] = value;
        slot->tts_isnull[index] = false;
    };
    set(Seq, Int64GetDatum(nextval_internal(place.sequence, false)));
    set(Xid, FullTransactionIdGetDatum(GetTopFullTransactionId()));
    set(EventType, text_datum(message.event_type));
    set(AggregateType, text_datum(message.aggregate_type));
    set(AggregateId, text_datum(message.aggregate_id));
    set(Tags, PointerGetDatum(message.tags));
    set(Payload, text_datum(message.payload));
    set(Metadata, text_datum(message.metadata));
    set(Ts, TimestampTzGetDatum(GetCurrentTimestamp()));
    ExecStoreVirtualTuple(slot);

    simple_table_tuple_insert(outbox, slot);
    insert_index_entries(outbox, slot);
    ExecDropSingleTupleTableSlot(slot);
    table_close(outbox, NoLock);
    wake::at_commit();
}

void outbox_init() {
    CacheRegisterRelcacheCallback(forget_place, static_cast<Datum>(0));
}

}  // namespace muster::publish
