// Writing into muster.outbox through its access method, and remembering where it is.
#include "publish/outbox.hpp"

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

// Where the outbox is. Looking the names up is cheap but not free at a row's scale.
struct Place {
    bool known;
    Oid relation;
    Oid sequence;
    AttrNumber attributes[FieldCount];
};
Place place;

void forget_place(Datum, Oid relation) {
    if (!OidIsValid(relation) || relation == place.relation) {
        place.known = false;
    }
}

// Finds the outbox's columns and sequence again.
void learn_place(Relation outbox) {
    Place found{};
    found.relation = RelationGetRelid(outbox);
    for (int field = 0; field < FieldCount; field++) {
        AttrNumber attribute = get_attnum(found.relation, field_names[field]);
        if (attribute == InvalidAttrNumber) {
            elog(ERROR, "column \"%s\" of muster.outbox is missing", field_names[field]);
        }
        found.attributes[field] = attribute;
    }
    found.sequence = compat::identity_sequence(outbox, found.attributes[Seq]);
    found.known = true;
    place = found;
}

// Opens the outbox for inserting. The lock is kept to the transaction's end, like any writer's.
Relation open_outbox() {
    for (;;) {
        const Oid relation = place.known
                                 ? place.relation
                                 : get_relname_relid("outbox", get_namespace_oid("muster", false));
        if (!OidIsValid(relation)) {
            elog(ERROR, "table muster.outbox is missing");
        }
        Relation outbox = try_table_open(relation, RowExclusiveLock);
        if (outbox == nullptr) {
            place.known = false;
            continue;
        }
        if (place.known) {
            return outbox;
        }
        // Either nothing was known, or taking the lock brought news: it may have another name by
        // now.
        if (get_relname_relid("outbox", get_namespace_oid("muster", false)) == relation) {
            learn_place(outbox);
            return outbox;
        }
        table_close(outbox, RowExclusiveLock);
    }
}

Datum text_datum(std::string_view value) {
    return PointerGetDatum(cstring_to_text_with_len(value.data(), static_cast<int>(value.size())));
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

    EState* estate = CreateExecutorState();
    // InitResultRelInfo() would copy the triggers, which no row of ours fires.
    ResultRelInfo target{};
    target.type = T_ResultRelInfo;
    target.ri_RelationDesc = outbox;
    ExecOpenIndices(&target, false);
    simple_table_tuple_insert(outbox, slot);
    if (target.ri_NumIndices > 0) {
        compat::insert_index_entries(&target, slot, estate);
    }
    ExecCloseIndices(&target);
    ExecDropSingleTupleTableSlot(slot);
    FreeExecutorState(estate);
    table_close(outbox, NoLock);
}

void outbox_init() {
    CacheRegisterRelcacheCallback(forget_place, static_cast<Datum>(0));
}

}  // namespace muster::publish
