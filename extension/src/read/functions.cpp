// The functions that answer with documents: muster.agents_json() and its kin. Each takes its
// arguments apart in the order in which extension/sql/40_read.sql declares them.
#include "read/document.hpp"

#include "json/jsonb.hpp"
#include "read/answer.hpp"

namespace muster::read {
namespace {

constexpr std::string_view no_includes = "";

// An item found by its first argument, of a table without children. Null finds nothing.
Datum childless_item(FunctionCallInfo fcinfo, const Table& table, int which) {
    if (PG_ARGISNULL(0)) {
        return empty_answer(fcinfo);
    }
    Request request = make_request(table);
    request.filter_by(which, PG_GETARG_DATUM(0));
    take_fields(request, fcinfo, 1);
    return item_document(fcinfo, request);
}

Datum item(FunctionCallInfo fcinfo, const Table& table, int which, std::string_view includes) {
    if (PG_ARGISNULL(0)) {
        return empty_answer(fcinfo);
    }
    Request request = make_request(table);
    request.filter_by(which, PG_GETARG_DATUM(0));
    take_include(request, fcinfo, 1, includes);
    take_fields(request, fcinfo, 2);
    return item_document(fcinfo, request);
}

int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

// Reads a uuid in its usual form of 36 characters. Anything else is not one.
bool parse_uuid(std::string_view text, pg_uuid_t& uuid) {
    if (text.size() != 36) {
        return false;
    }
    std::size_t at = 0;
    for (int i = 0; i < UUID_LEN; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && text[at++] != '-') {
            return false;
        }
        const int high = hex_digit(text[at]);
        const int low = hex_digit(text[at + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        uuid.data[i] = static_cast<unsigned char>(high << 4 | low);
        at += 2;
    }
    return true;
}

}  // namespace
}  // namespace muster::read

using namespace muster::read;

extern "C" {
PGDLLEXPORT Datum muster_agents_json(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_agent_json(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_goals_json(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_goal_json(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_tools_json(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_tool_json(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_tool_executions_json(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_tool_execution_json(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_tool_execution_by_invocation_json(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_events_json(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_event_json(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_project(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(muster_agents_json);
PG_FUNCTION_INFO_V1(muster_agent_json);
PG_FUNCTION_INFO_V1(muster_goals_json);
PG_FUNCTION_INFO_V1(muster_goal_json);
PG_FUNCTION_INFO_V1(muster_tools_json);
PG_FUNCTION_INFO_V1(muster_tool_json);
PG_FUNCTION_INFO_V1(muster_tool_executions_json);
PG_FUNCTION_INFO_V1(muster_tool_execution_json);
PG_FUNCTION_INFO_V1(muster_tool_execution_by_invocation_json);
PG_FUNCTION_INFO_V1(muster_events_json);
PG_FUNCTION_INFO_V1(muster_event_json);
PG_FUNCTION_INFO_V1(muster_project);
}

// (status, row_limit, row_offset, after, include, fields)
Datum muster_agents_json(PG_FUNCTION_ARGS) {
    Request request = make_request(agents_table);
    take_agent_status(request, fcinfo, 0);
    take_page(request, fcinfo, 1, 2, 3);
    take_include(request, fcinfo, 4, agent_includes);
    take_fields(request, fcinfo, 5);
    return list_document(fcinfo, request);
}

// (id, include, fields)
Datum muster_agent_json(PG_FUNCTION_ARGS) {
    return item(fcinfo, agents_table, filter::AgentId, agent_includes);
}

// (agent_id, agent_did, status, row_limit, row_offset, after, include, fields)
Datum muster_goals_json(PG_FUNCTION_ARGS) {
    Request request = make_request(goals_table);
    take_filter(request, fcinfo, 0, filter::GoalAgentId);
    take_filter(request, fcinfo, 1, filter::GoalAgentDid);
    take_filter(request, fcinfo, 2, filter::GoalStatus);
    take_page(request, fcinfo, 3, 4, 5);
    take_include(request, fcinfo, 6, no_includes);
    take_fields(request, fcinfo, 7);
    return list_document(fcinfo, request);
}

// (id, include, fields); the id is a goal_id, or else the goal's uuid
Datum muster_goal_json(PG_FUNCTION_ARGS) {
    if (PG_ARGISNULL(0)) {
        return empty_answer(fcinfo);
    }
    Request request = make_request(goals_table);
    request.filter_by(filter::GoalGoalId, PG_GETARG_DATUM(0));
    take_include(request, fcinfo, 1, no_includes);
    take_fields(request, fcinfo, 2);

    pg_uuid_t uuid;
    if (!parse_uuid(text_argument(fcinfo, 0), uuid)) {
        return item_document(fcinfo, request);
    }
    Request by_uuid = request;
    by_uuid.filters = 0;
    by_uuid.filter_by(filter::GoalUuid, UUIDPGetDatum(&uuid));
    return item_document(fcinfo, request, &by_uuid);
}

// (enabled_only, row_limit, row_offset, after, include, fields)
Datum muster_tools_json(PG_FUNCTION_ARGS) {
    Request request = make_request(tools_table);
    if (!PG_ARGISNULL(0) && PG_GETARG_BOOL(0)) {
        request.filter_by(filter::ToolEnabled, BoolGetDatum(true));
    }
    take_page(request, fcinfo, 1, 2, 3);
    take_include(request, fcinfo, 4, no_includes);
    take_fields(request, fcinfo, 5);
    return list_document(fcinfo, request);
}

// (id, include, fields)
Datum muster_tool_json(PG_FUNCTION_ARGS) {
    return item(fcinfo, tools_table, filter::ToolId, no_includes);
}

// (agent_id, tool_name, session_id, tenant_id, status, row_limit, row_offset, after, fields)
Datum muster_tool_executions_json(PG_FUNCTION_ARGS) {
    Request request = make_request(executions_table);
    take_filter(request, fcinfo, 0, filter::ExecutionAgentId);
    take_filter(request, fcinfo, 1, filter::ExecutionToolName);
    take_filter(request, fcinfo, 2, filter::ExecutionSessionId);
    take_filter(request, fcinfo, 3, filter::ExecutionTenantId);
    take_execution_status(request, fcinfo, 4);
    take_page(request, fcinfo, 5, 6, 7);
    take_fields(request, fcinfo, 8);
    return list_document(fcinfo, request);
}

// (id, fields)
Datum muster_tool_execution_json(PG_FUNCTION_ARGS) {
    return childless_item(fcinfo, executions_table, filter::ExecutionId);
}

// (invocation_id, fields)
Datum muster_tool_execution_by_invocation_json(PG_FUNCTION_ARGS) {
    return childless_item(fcinfo, executions_table, filter::ExecutionInvocationId);
}

// (aggregate_id, aggregate_type, event_type, row_limit, row_offset, after, fields)
Datum muster_events_json(PG_FUNCTION_ARGS) {
    Request request = make_request(events_table);
    take_filter(request, fcinfo, 0, filter::EventAggregateId);
    take_filter(request, fcinfo, 1, filter::EventAggregateType);
    take_filter(request, fcinfo, 2, filter::EventEventType);
    take_page(request, fcinfo, 3, 4, 5);
    take_fields(request, fcinfo, 6);
    return list_document(fcinfo, request);
}

// (id, fields)
Datum muster_event_json(PG_FUNCTION_ARGS) {
    return childless_item(fcinfo, events_table, filter::EventId);
}

// (doc, fields)
Datum muster_project(PG_FUNCTION_ARGS) {
    namespace json = muster::json;
    if (PG_ARGISNULL(0)) {
        PG_RETURN_NULL();
    }
    const json::Field* fields =
        PG_ARGISNULL(1) ? nullptr : json::parse_fields(text_argument(fcinfo, 1));
    const json::JsonbBytes document = json::jsonb_bytes(PG_GETARG_DATUM(0));
    json::Arena out = json::make_arena(1024);
    out.used = VARHDRSZ;
    if (fields == nullptr) {
        json::put_jsonb(out, document);
    } else if (!json::put_jsonb_document(out, document, *fields)) {
        PG_RETURN_NULL();
    }
    SET_VARSIZE(out.data, out.used);
    PG_RETURN_POINTER(out.data);
}
