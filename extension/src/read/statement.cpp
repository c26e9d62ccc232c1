// Keeping plans, and the receivers' side of the executor.
#include "read/statement.hpp"

namespace muster::read {
namespace {

struct Plan {
    PlanKey key;
    SPIPlanPtr plan;
    LocalTransactionId last_used;
};

HTAB* plans = nullptr;

// The schema of the plans kept.
NameData current_schema;

void make_plans() {
    HASHCTL control{};
    control.keysize = sizeof(PlanKey);
    control.entrysize = sizeof(Plan);
    plans = hash_create("muster reading plans", 64, &control, HASH_ELEM | HASH_BLOBS);
}

// Lets go of the plans of other schemas. One that this transaction has used may be running further
// up the stack, and is kept for now.
void forget_other_schemas(const NameData& schema) {
    bool all = true;
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, plans);
    while (auto* plan = static_cast<Plan*>(hash_seq_search(&scan))) {
        if (std::strcmp(NameStr(plan->key.schema), NameStr(schema)) == 0) {
            continue;
        }
        if (plan->last_used == compat::local_transaction()) {
            all = false;
            continue;
        }
        SPIPlanPtr gone = plan->plan;
        hash_search(plans, &plan->key, HASH_REMOVE, nullptr);
        SPI_freeplan(gone);
    }
    if (all) {
        current_schema = schema;
    }
}

SPIPlanPtr prepare(const PlanKey& key, const Source& source, const Parameters& parameters,
                   MakeText make_text, const void* detail) {
    StringInfoData sql;
    initStringInfo(&sql);
    make_text(&sql, key, source, detail);
    // Generic: the texts are made so that the plan does not depend on the values, and planning
    // takes longer than running.
    SPIPlanPtr plan = SPI_prepare_cursor(
        sql.data, parameters.count, const_cast<Oid*>(parameters.types), CURSOR_OPT_GENERIC_PLAN);
    if (plan == nullptr) {
        elog(ERROR, "could not prepare \"%s\": %s", sql.data, SPI_result_code_string(SPI_result));
    }
    return plan;
}

SPIPlanPtr find_plan(const PlanKey& key, const Source& source, const Parameters& parameters,
                     MakeText make_text, const void* detail) {
    if (plans == nullptr) {
        make_plans();
    }
    if (std::strcmp(NameStr(current_schema), NameStr(source.schema)) != 0) {
        forget_other_schemas(source.schema);
    }
    auto* plan = static_cast<Plan*>(hash_search(plans, &key, HASH_FIND, nullptr));
    if (plan == nullptr) {
        // Prepared first: an error must not leave an entry without a plan.
        SPIPlanPtr prepared = prepare(key, source, parameters, make_text, detail);
        SPI_keepplan(prepared);
        plan = static_cast<Plan*>(hash_search(plans, &key, HASH_ENTER, nullptr));
        plan->plan = prepared;
    }
    plan->last_used = compat::local_transaction();
    return plan->plan;
}

void start_receiver(DestReceiver* self, int, TupleDesc descriptor) {
    auto& receiver = *reinterpret_cast<Receiver*>(self);
    receiver.on_start(receiver, descriptor);
}

bool receive_row(TupleTableSlot* slot, DestReceiver* self) {
    auto& receiver = *reinterpret_cast<Receiver*>(self);
    MemoryContext caller = MemoryContextSwitchTo(receiver.row_context);
    const bool more = receiver.on_row(receiver, slot);
    MemoryContextSwitchTo(caller);
    MemoryContextReset(receiver.row_context);
    return more;
}

void ignore(DestReceiver*) {}

}  // namespace

void init_base(Receiver& self, MemoryContext row_context) {
    self.dest.receiveSlot = receive_row;
    self.dest.rStartup = start_receiver;
    self.dest.rShutdown = ignore;
    self.dest.rDestroy = ignore;
    // With DestNone SPI would take a SELECT for a utility statement.
    self.dest.mydest = DestTuplestore;
    self.row_context = row_context;
}

void run(const PlanKey& key, const Source& source, const Parameters& parameters, MakeText make_text,
         const void* detail, Receiver& receiver) {
    SPIPlanPtr plan = find_plan(key, source, parameters, make_text, detail);
    ParamListInfo values = makeParamList(parameters.count);
    for (int i = 0; i < parameters.count; i++) {
        values->params[i].value = parameters.values[i];
        values->params[i].isnull = false;
        values->params[i].pflags = PARAM_FLAG_CONST;
        values->params[i].ptype = parameters.types[i];
    }
    SPIExecuteOptions options{};
    options.params = values;
    options.read_only = true;
    options.dest = &receiver.dest;
    const int result = SPI_execute_plan_extended(plan, &options);
    if (result != SPI_OK_SELECT) {
        elog(ERROR, "could not run a reading plan: %s", SPI_result_code_string(result));
    }
}

namespace {

Form_pg_attribute named(TupleDesc descriptor, const char* name) {
    for (int i = 0; i < descriptor->natts; i++) {
        Form_pg_attribute column = TupleDescAttr(descriptor, i);
        if (std::strcmp(NameStr(column->attname), name) == 0) {
            return column;
        }
    }
    ereport(ERROR,
            (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("column \"%s\" does not exist", name)));
    pg_unreachable();
}

[[noreturn]] void report_type(Form_pg_attribute column, Oid wanted) {
    ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                    errmsg("column \"%s\" has type %s instead of %s", NameStr(column->attname),
                           format_type_be(column->atttypid), format_type_be(wanted))));
    pg_unreachable();
}

}  // namespace

pg_uuid_t uuid_of(TupleTableSlot* slot, AttrNumber attribute) {
    bool is_null;
    const Datum value = slot_getattr(slot, attribute, &is_null);
    return is_null ? pg_uuid_t{} : *DatumGetUUIDP(value);
}

AttrNumber find_column(TupleDesc descriptor, const char* name, Oid type, Oid other) {
    Form_pg_attribute column = named(descriptor, name);
    const Oid actual = getBaseType(column->atttypid);
    if (actual != type && actual != other) {
        report_type(column, type);
    }
    return column->attnum;
}

AttrNumber find_text_column(TupleDesc descriptor, const char* name) {
    Form_pg_attribute column = named(descriptor, name);
    const Oid actual = getBaseType(column->atttypid);
    if (actual != TEXTOID && actual != VARCHAROID && actual != BPCHAROID) {
        report_type(column, TEXTOID);
    }
    return column->attnum;
}

}  // namespace muster::read
