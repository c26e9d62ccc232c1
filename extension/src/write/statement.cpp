// Keeping plans. plpgsql would plan an EXECUTE at every call: the tables' schema is not known
// before.
#include "write/statement.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-parameter"
extern "C" {
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "lib/stringinfo.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}
#pragma GCC diagnostic pop

namespace muster::write {
namespace {

// A kept plan. Plans are never dropped, since one may be running further up the stack: shapes that
// come when the shelf is full are planned each time.
struct KeptPlan {
    Shape shape;
    NameData schema;
    SPIPlanPtr plan;
};
constexpr int max_plans = 128;
KeptPlan shelf[max_plans];
int shelf_count = 0;

SPIPlanPtr kept_plan(const Shape& shape, const NameData& schema) {
    for (int i = 0; i < shelf_count; i++) {
        const KeptPlan& kept = shelf[i];
        if (kept.shape.subject == shape.subject && kept.shape.variant == shape.variant &&
            kept.shape.members == shape.members &&
            strcmp(NameStr(kept.schema), NameStr(schema)) == 0) {
            return kept.plan;
        }
    }
    return nullptr;
}

SPIPlanPtr make_plan(const Shape& shape, const NameData& schema, Statement& statement) {
    SPIPlanPtr plan = SPI_prepare(statement.text.data, statement.parameters, statement.types);
    if (plan == nullptr) {
        elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
    }
    if (shelf_count < max_plans && SPI_keepplan(plan) == 0) {
        shelf[shelf_count++] = {shape, schema, plan};
    }
    return plan;
}

}  // namespace

NameData data_schema() {
    NameData schema{};
    const Oid relation = get_relname_relid("data_schema", get_namespace_oid("muster", false));
    Relation table = table_open(relation, AccessShareLock);
    TupleTableSlot* slot = table_slot_create(table, nullptr);
    TableScanDesc scan = table_beginscan(table, GetActiveSnapshot(), 0, nullptr);
    if (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
        bool is_null;
        const Datum name = slot_getattr(slot, get_attnum(relation, "schema_name"), &is_null);
        namestrcpy(&schema, NameStr(*DatumGetName(name)));
    }
    table_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
    table_close(table, AccessShareLock);
    if (NameStr(schema)[0] == '\0') {
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("there are no tables to work with"),
                        errhint("Run SELECT muster.create_tables().")));
    }
    return schema;
}

int Statement::bind(Oid type, Datum value, bool is_null) {
    types[parameters] = type;
    values[parameters] = value;
    nulls[parameters] = is_null ? 'n' : ' ';
    return ++parameters;
}

void Statement::separate() {
    const char last = text.data[text.len - 1];
    if (last != '(' && last != ' ') {
        appendStringInfoString(&text, ", ");
    }
}

Statement start_statement(const NameData& schema) {
    Statement statement;
    statement.schema = quote_identifier(NameStr(schema));
    initStringInfo(&statement.text);
    return statement;
}

bool execute(const Shape& shape, const NameData& schema, Statement& statement, Datum* result,
             bool* is_null) {
    SPIPlanPtr plan = kept_plan(shape, schema);
    if (plan == nullptr) {
        plan = make_plan(shape, schema, statement);
    }
    const int code = SPI_execute_plan(plan, statement.values, statement.nulls, false, 0);
    if (code < 0) {
        elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(code));
    }
    if (SPI_tuptable == nullptr || SPI_processed == 0) {
        return false;
    }
    *result = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, is_null);
    return true;
}

}  // namespace muster::write
