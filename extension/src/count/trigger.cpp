// The counting triggers: BEFORE and AFTER STATEMENT around AFTER ROW, all one function.
#include "count/batch.hpp"
#include "count/count.hpp"
#include "count/counts.hpp"

extern "C" {
PGDLLEXPORT Datum muster_count_event(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_add_event_count(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_fold_event_count(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(muster_count_event);
PG_FUNCTION_INFO_V1(muster_add_event_count);
PG_FUNCTION_INFO_V1(muster_fold_event_count);
}

namespace muster::count {
namespace {

// The name that create_tables() gives to the trigger that counts rows.
constexpr const char* row_trigger = "muster_count_row";

// The column of that name, if it holds uuids. A table that has lost it is not counted; that must
// not stop its writers.
AttrNumber aggregate_of(TupleDesc descriptor) {
    for (int i = 0; i < descriptor->natts; i++) {
        Form_pg_attribute column = TupleDescAttr(descriptor, i);
        if (!column->attisdropped && std::strcmp(NameStr(column->attname), "aggregate_id") == 0) {
            return getBaseType(column->atttypid) == UUIDOID ? column->attnum : InvalidAttrNumber;
        }
    }
    return InvalidAttrNumber;
}

void add_row(TupleTableSlot* slot, AttrNumber column, std::int64_t n) {
    bool is_null;
    const Datum aggregate = slot_getattr(slot, column, &is_null);
    if (!is_null) {
        add(*DatumGetUUIDP(aggregate), n);
    }
}

bool same(TupleTableSlot* a, TupleTableSlot* b, AttrNumber column) {
    bool a_is_null;
    bool b_is_null;
    const Datum x = slot_getattr(a, column, &a_is_null);
    const Datum y = slot_getattr(b, column, &b_is_null);
    if (a_is_null || b_is_null) {
        return a_is_null && b_is_null;
    }
    return std::memcmp(DatumGetUUIDP(x), DatumGetUUIDP(y), UUID_LEN) == 0;
}

void count_row(const TriggerData& data) {
    const AttrNumber column = aggregate_of(RelationGetDescr(data.tg_relation));
    if (column == InvalidAttrNumber) {
        return;
    }
    if (TRIGGER_FIRED_BY_INSERT(data.tg_event)) {
        add_row(data.tg_trigslot, column, 1);
    } else if (TRIGGER_FIRED_BY_DELETE(data.tg_event)) {
        add_row(data.tg_trigslot, column, -1);
    } else if (!same(data.tg_trigslot, data.tg_newslot, column)) {
        add_row(data.tg_trigslot, column, -1);
        add_row(data.tg_newslot, column, 1);
    }
}

[[noreturn]] void report_protocol(const char* what) {
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED), errmsg("%s", what),
                    errhint("create_tables() puts the counting triggers on.")));
    pg_unreachable();
}

}  // namespace

bool counted(Relation events) {
    // Inside a trigger, or in a function that a statement on the events calls, rows are there that
    // are counted only when the statement's triggers have run.
    if (in_statement() || DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, Datum{0})) > 0) {
        return false;
    }
    // What old-style children hold is the table's, and not counted.
    if (events->rd_rel->relkind != RELKIND_PARTITIONED_TABLE &&
        (events->rd_rel->relkind != RELKIND_RELATION || events->rd_rel->relhassubclass)) {
        return false;
    }
    const TriggerDesc* triggers = events->trigdesc;
    for (int i = 0; triggers != nullptr && i < triggers->numtriggers; i++) {
        const Trigger& trigger = triggers->triggers[i];
        if (std::strcmp(trigger.tgname, row_trigger) == 0) {
            // Any other state lets rows by that replication or a restore bring.
            return trigger.tgenabled == TRIGGER_FIRES_ALWAYS;
        }
    }
    return false;
}

void init() {
    batch_init();
}

}  // namespace muster::count

Datum muster_count_event(PG_FUNCTION_ARGS) {
    using namespace muster::count;
    if (!CALLED_AS_TRIGGER(fcinfo)) {
        report_protocol("muster.count_event() can only be called as a trigger");
    }
    const auto& data = *reinterpret_cast<TriggerData*>(fcinfo->context);
    if (TRIGGER_FIRED_BY_TRUNCATE(data.tg_event)) {
        report_protocol("muster.count_event() cannot count a truncation");
    }
    if (TRIGGER_FIRED_FOR_STATEMENT(data.tg_event)) {
        if (TRIGGER_FIRED_BEFORE(data.tg_event)) {
            begin_statement();
        } else {
            end_statement();
        }
    } else if (TRIGGER_FIRED_AFTER(data.tg_event)) {
        count_row(data);
    } else {
        report_protocol("muster.count_event() counts rows after they are written");
    }
    return PointerGetDatum(nullptr);
}

// (aggregate_id, n)
Datum muster_add_event_count(PG_FUNCTION_ARGS) {
    using namespace muster::count;
    Writer writer = open_writer();
    writer.add(*PG_GETARG_UUID_P(0), PG_GETARG_INT64(1));
    writer.close();
    PG_RETURN_VOID();
}

// (aggregate_id) Folds all rows of an aggregate that can be, and returns how many are gone.
Datum muster_fold_event_count(PG_FUNCTION_ARGS) {
    using namespace muster::count;
    const pg_uuid_t aggregate = *PG_GETARG_UUID_P(0);
    std::int64_t sum = 0;
    Writer writer = open_writer();
    for (;;) {
        const int gone = writer.fold(aggregate);
        sum += gone;
        if (gone < fold_limit) {
            break;
        }
        CHECK_FOR_INTERRUPTS();
        CommandCounterIncrement();  // to find the sum just written
    }
    writer.close();
    PG_RETURN_INT64(sum);
}
