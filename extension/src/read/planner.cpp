// muster.read_support(): what the planner is told of the functions that give lists, how many rows
// and at what cost. It looks at constant arguments and at pg_class, never at a table, and raises no
// error: wrong arguments and missing tables are for the call to report.
#include "read/request.hpp"

#include <algorithm>

extern "C" {
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "utils/acl.h"
#include "utils/selfuncs.h"
#include "utils/typcache.h"
}

namespace muster::read {
namespace {

// A function that gives a list: where its arguments stand. The filters come first, in the order of
// the table's.
struct ListFunction {
    std::string_view name;
    const Table& table;
    bool gives_rows;  // or one document
    int filter_count;
    int limit;  // the offset and the cursor follow
    int include;
    std::string_view includes;  // what `include` is when it is not given
};

const ListFunction functions[] = {
    {"agents", agents_table, true, 1, 1, 4, agent_includes},
    {"agents_json", agents_table, false, 1, 1, 4, agent_includes},
    {"goals_json", goals_table, false, 3, 3, 6, {}},
    {"tools_json", tools_table, false, 1, 1, 4, {}},
    {"tool_executions_json", executions_table, false, 5, 5, -1, {}},
    {"events_json", events_table, false, 3, 3, -1, {}},
};

const ListFunction* find_function(Oid id) {
    const char* name = get_func_name(id);
    for (const ListFunction& function : functions) {
        if (name != nullptr && function.name == name) {
            return &function;
        }
    }
    return nullptr;
}

// The arguments as far as they are known when planning.
struct Arguments {
    PlannerInfo* root;
    List* list;

    // The constant in that place, or null if it is not known.
    const Const* constant(int place) const {
        if (place < 0 || place >= list_length(list)) {
            return nullptr;
        }
        auto* node = static_cast<Node*>(list_nth(list, place));
        if (!IsA(node, Const)) {
            // A parameter's value, where the plan is for that value alone.
            node = estimate_expression_value(root, node);
        }
        return IsA(node, Const) ? reinterpret_cast<const Const*>(node) : nullptr;
    }

    // A number of rows; the default for one that is not known, null or wrong.
    double count(int place, double missing) const {
        const Const* value = constant(place);
        if (value == nullptr || value->constisnull || value->consttype != INT4OID) {
            return missing;
        }
        const std::int32_t number = DatumGetInt32(value->constvalue);
        return number < 0 ? missing : number;
    }
};

Arguments arguments_of(PlannerInfo* root, Node* call) {
    const bool is_call = call != nullptr && IsA(call, FuncExpr);
    return {root, is_call ? reinterpret_cast<FuncExpr*>(call)->args : NIL};
}

// What pg_class says of a table's size.
struct Size {
    double rows;
    double pages;
    bool known;

    // How many rows there are for each of another table.
    double rows_per(const Size& other, double otherwise) const {
        return known && other.known && other.rows >= 1 ? rows / other.rows : otherwise;
    }

    // At most the cost of reading all of it.
    Cost at_most_all(Cost cost) const {
        return known && pages > 0
                   ? std::min(cost, pages * seq_page_cost +
                                        rows * (cpu_tuple_cost + 2 * cpu_operator_cost))
                   : cost;
    }
};

Size size_of(const Source& source, const char* table) {
    Size size{};
    HeapTuple tuple =
        SearchSysCache2(RELNAMENSP, PointerGetDatum(table), ObjectIdGetDatum(source.schema_id));
    if (HeapTupleIsValid(tuple)) {
        auto* relation = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
        // It is -1 where the table was never vacuumed or analysed.
        size.known = relation->reltuples >= 0;
        size.rows = relation->reltuples;
        size.pages = relation->relpages;
        ReleaseSysCache(tuple);
    }
    return size;
}

// Whether values of the column can be compared with the filter's.
bool is_comparable(Oid column, Oid filter) {
    const Oid type = getBaseType(column);
    return type == filter || (filter == TEXTOID && (type == VARCHAROID || type == BPCHAROID));
}

// The share of the table's rows that a filter by that value leaves, by the statistics of the
// column. Who may not read the table learns nothing of them.
double selectivity_of(Oid relation, const Filter& filter, const Const& value, const Size& size) {
    HeapTuple tuple = SearchSysCacheAttName(relation, filter.column);
    if (!HeapTupleIsValid(tuple)) {
        return 1;
    }
    const FormData_pg_attribute column = *reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple));
    ReleaseSysCache(tuple);
    if (!is_comparable(column.atttypid, filter.type) || value.consttype != filter.type ||
        pg_class_aclcheck(relation, GetUserId(), ACL_SELECT) != ACLCHECK_OK) {
        return 1;
    }
    auto* rel = makeNode(RelOptInfo);
    rel->rtekind = RTE_RELATION;
    rel->tuples = size.rows;
    const bool inherited = get_rel_relkind(relation) == RELKIND_PARTITIONED_TABLE;
    VariableStatData variable{};
    variable.rel = rel;
    variable.statsTuple = SearchSysCache3(STATRELATTINH, ObjectIdGetDatum(relation),
                                          Int16GetDatum(column.attnum), BoolGetDatum(inherited));
    variable.freefunc = ReleaseSysCache;
    variable.vartype = variable.atttype = column.atttypid;
    variable.atttypmod = column.atttypmod;
    variable.acl_ok = true;
    const double share =
        var_eq_const(&variable, lookup_type_cache(filter.type, TYPECACHE_EQ_OPR)->eq_opr,
                     column.attcollation, value.constvalue, false, true, false);
    ReleaseVariableStats(variable);
    return share;
}

// What a call reads and gives, in rows of its table.
struct Extent {
    double read;  // those that an offset skips, too
    double given;
};

Extent extent_of(const ListFunction& function, const Arguments& arguments, const Source& source,
                 const Size& size) {
    const double limit = arguments.count(function.limit, default_limit);
    const double offset = arguments.count(function.limit + 1, 0);
    if (!size.known) {
        return {limit + offset, limit};
    }
    double rows = size.rows;
    const Oid relation = get_relname_relid(function.table.name, source.schema_id);
    for (int i = 0; i < function.filter_count; i++) {
        const Const* value = arguments.constant(i);
        const Filter& filter = function.table.filters[i];
        // "enabled" is no filter when it is false.
        if (value != nullptr && !value->constisnull &&
            (filter.type != BOOLOID || DatumGetBool(value->constvalue))) {
            rows *= selectivity_of(relation, filter, *value, size);
        }
    }
    const Const* after = arguments.constant(function.limit + 2);
    if (after != nullptr && !after->constisnull) {
        rows *= DEFAULT_INEQ_SEL;
    }
    return {std::min(rows, limit + offset), std::clamp(rows - offset, 0.0, limit)};
}

// The children that a call includes. One that is not known counts as the default.
std::uint32_t children_of(const ListFunction& function, const Arguments& arguments) {
    const Const* value = arguments.constant(function.include);
    std::string_view include = function.includes;
    if (value != nullptr && !value->constisnull && value->consttype == TEXTOID) {
        text* given = DatumGetTextPP(value->constvalue);
        include = {VARDATA_ANY(given), VARSIZE_ANY_EXHDR(given)};
    }
    std::uint32_t children = 0;
    std::string_view unknown;
    return parse_include(function.table, include, children, unknown) ? children : 0;
}

// The costs are those that the planner itself gives the statements of a page, by EXPLAIN for values
// that are known, on the tables of bench/dataset.sql (10 goals and 5 tools an agent, 50 agents a
// tool):
//
//                                             EXPLAIN      here
//   100 agents in the order of their index       22          22
//   the goals of 100 agents                    2713        2667
//   the goals of 1,000 agents, all read        5335        5332
//   the links and the tools of 100 agents       469         468
//   the counts of 1 agent and of 100       68 and 215   4 and 400
//   the agents of 100 goals                     501         800
//   the numbers of agents of 100 tools          520         488
//
// EXPLAIN can only take the counts for a scan of muster.event_counts; they are one descent of its
// index each.
//
// They scale with the server's own cost settings. Writing JSON is not in them, just as the planner
// takes row_to_json() for one operator.

// A row read in the order of an index that the table's own order mostly follows.
Cost ordered_row() {
    return random_page_cost / 20 + cpu_index_tuple_cost + cpu_tuple_cost;
}

// A row looked up by its key.
Cost look_up() {
    return 2 * random_page_cost;
}

// What including a child costs for that many rows.
Cost child_cost(ChildKind kind, double rows, const Source& source, const Size& size) {
    switch (kind) {
        case ChildKind::Goals: {
            const Size goals = size_of(source, "goals");
            // They share some pages.
            return goals.at_most_all(rows * goals.rows_per(size, 10) * random_page_cost * 2 / 3);
        }
        case ChildKind::Tools: {
            const Size links = size_of(source, "agent_tools");
            const Size tools = size_of(source, "tools");
            return links.at_most_all(rows * random_page_cost) +
                   tools.at_most_all(rows * links.rows_per(size, 5) * look_up());
        }
        case ChildKind::EventCount:
            return rows * random_page_cost;
        case ChildKind::Agent:
            return size_of(source, "agents").at_most_all(rows * look_up());
        case ChildKind::AgentCount: {
            const Size links = size_of(source, "agent_tools");
            return links.at_most_all(
                rows * (random_page_cost +
                        links.rows_per(size, 50) *
                            (cpu_index_tuple_cost + cpu_tuple_cost + cpu_operator_cost)));
        }
    }
    pg_unreachable();
}

Cost cost_of(const ListFunction& function, const Arguments& arguments, const Source& source) {
    const Size size = size_of(source, function.table.name);
    const Extent extent = extent_of(function, arguments, source, size);
    Cost cost = size.at_most_all(extent.read * ordered_row());
    const std::uint32_t children = children_of(function, arguments);
    for (int i = 0; i < function.table.child_count; i++) {
        if ((children & 1U << i) != 0) {
            cost += child_cost(function.table.children[i].kind, extent.given, source, size);
        }
    }
    return cost;
}

// Each answers a request, or returns false where the catalogue's ROWS or COST is to stand.

bool estimate_rows(SupportRequestRows& request) {
    const ListFunction* function = find_function(request.funcid);
    Source source{};
    if (function == nullptr || !function->gives_rows || !look_for_source(source)) {
        return false;
    }
    const Size size = size_of(source, function->table.name);
    const Arguments arguments = arguments_of(request.root, request.node);
    request.rows = std::max(1.0, extent_of(*function, arguments, source, size).given);
    return true;
}

bool estimate_cost(SupportRequestCost& request) {
    const ListFunction* function = find_function(request.funcid);
    Source source{};
    if (function == nullptr || !look_for_source(source)) {
        return false;
    }
    request.startup = 0;
    request.per_tuple = cost_of(*function, arguments_of(request.root, request.node), source);
    return true;
}

bool answer(Node* request) {
    if (IsA(request, SupportRequestRows)) {
        return estimate_rows(*reinterpret_cast<SupportRequestRows*>(request));
    }
    if (IsA(request, SupportRequestCost)) {
        return estimate_cost(*reinterpret_cast<SupportRequestCost*>(request));
    }
    return false;
}

}  // namespace
}  // namespace muster::read

extern "C" {
PGDLLEXPORT Datum muster_read_support(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(muster_read_support);
}

Datum muster_read_support(PG_FUNCTION_ARGS) {
    auto* request = reinterpret_cast<Node*>(PG_GETARG_POINTER(0));
    PG_RETURN_POINTER(muster::read::answer(request) ? request : nullptr);
}
