// Keeping plans, and the receivers' side of the executor.
#include "read/statement.hpp"

extern "C" {
#include "common/hashfn.h"
}

namespace muster::read {
namespace {

struct Plan {
    PlanKey key;  // its columns are the entry's own copy
    SPIPlanPtr plan;
    LocalTransactionId last_transaction;
    std::uint64_t last_use;  // by the clock of uses
};

// A session's statements are some thirty. Callers who vary filters, sizes and, with rights on some
// columns only, `fields` can make up any number, each plan of some 20 kB.
constexpr long most_plans = 128;

HTAB* plans = nullptr;
std::uint64_t uses = 0;

// The bytes of a key that are compared as they are: all but the pointer to the columns.
constexpr std::size_t shape_at = offsetof(PlanKey, table);
constexpr std::size_t shape_size = sizeof(PlanKey) - shape_at;
static_assert(offsetof(PlanKey, columns) == sizeof(NameData) &&
              shape_at == sizeof(NameData) + sizeof(const char*) &&
              shape_size == sizeof(std::uint64_t));

std::uint32_t hash_key(const void* bytes, Size) {
    const auto& key = *static_cast<const PlanKey*>(bytes);
    const auto* shape = reinterpret_cast<const unsigned char*>(bytes) + shape_at;
    std::uint32_t hash = hash_bytes(shape, static_cast<int>(shape_size));
    hash = hash_combine(hash, string_hash(NameStr(key.schema), NAMEDATALEN));
    return key.columns == nullptr ? hash
                                  : hash_combine(hash, string_hash(key.columns, MaxAllocSize));
}

bool same_columns(const char* a, const char* b) {
    return a == b || (a != nullptr && b != nullptr && std::strcmp(a, b) == 0);
}

// Zero for equal keys, as dynahash asks.
int compare_keys(const void* a, const void* b, Size) {
    const auto& left = *static_cast<const PlanKey*>(a);
    const auto& right = *static_cast<const PlanKey*>(b);
    return std::memcmp(&left.table, &right.table, shape_size) == 0 &&
                   std::strcmp(NameStr(left.schema), NameStr(right.schema)) == 0 &&
                   same_columns(left.columns, right.columns)
               ? 0
               : 1;
}

void make_plans() {
    HASHCTL control{};
    control.keysize = sizeof(PlanKey);
    control.entrysize = sizeof(Plan);
    control.hash = hash_key;
    control.match = compare_keys;
    plans = hash_create("muster reading plans", most_plans, &control,
                        HASH_ELEM | HASH_FUNCTION | HASH_COMPARE);
}

// Makes room for another plan by letting go of the one not used for longest. One that this
// transaction has used may be running further up the stack: when that is true of all, there is no
// room.
bool make_room() {
    if (hash_get_num_entries(plans) < most_plans) {
        return true;
    }
    Plan* oldest = nullptr;
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, plans);
    while (auto* plan = static_cast<Plan*>(hash_seq_search(&scan))) {
        if (plan->last_transaction != compat::local_transaction() &&
            (oldest == nullptr || plan->last_use < oldest->last_use)) {
            oldest = plan;
        }
    }
    if (oldest == nullptr) {
        return false;
    }
    const char* columns = oldest->key.columns;
    SPIPlanPtr gone = oldest->plan;
    hash_search(plans, &oldest->key, HASH_REMOVE, nullptr);
    SPI_freeplan(gone);
    if (columns != nullptr) {
        pfree(const_cast<char*>(columns));
    }
    return true;
}

void keep(const PlanKey& key, SPIPlanPtr prepared) {
    PlanKey kept = key;
    if (key.columns != nullptr) {
        kept.columns = MemoryContextStrdup(TopMemoryContext, key.columns);
    }
    SPI_keepplan(prepared);
    auto* plan = static_cast<Plan*>(hash_search(plans, &kept, HASH_ENTER, nullptr));
    plan->plan = prepared;
    plan->last_transaction = compat::local_transaction();
    plan->last_use = ++uses;
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
    if (auto* plan = static_cast<Plan*>(hash_search(plans, &key, HASH_FIND, nullptr))) {
        plan->last_transaction = compat::local_transaction();
        plan->last_use = ++uses;
        return plan->plan;
    }
    // Prepared first: an error must not leave an entry without a plan. A plan that is not kept goes
    // with the SPI connection.
    SPIPlanPtr prepared = prepare(key, source, parameters, make_text, detail);
    if (make_room()) {
        keep(key, prepared);
    }
    return prepared;
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
