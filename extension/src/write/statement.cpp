// Keeping plans. plpgsql would plan an EXECUTE at every call: the tables' schema is not known
// before.
#include "write/statement.hpp"

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

Statement start_statement(const read::Source& source) {
    Statement statement;
    statement.schema = quote_identifier(NameStr(source.schema));
    initStringInfo(&statement.text);
    return statement;
}

bool execute(const Shape& shape, const read::Source& source, Statement& statement, Datum* result,
             bool* is_null) {
    SPIPlanPtr plan = kept_plan(shape, source.schema);
    if (plan == nullptr) {
        plan = make_plan(shape, source.schema, statement);
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
