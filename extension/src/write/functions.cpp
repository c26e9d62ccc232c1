// The writing functions: muster.create_agent(body) and its kin. Each reads its body, executes one
// statement of a kept plan, and answers with the item as the matching reading function shows it.
#include "write/statement.hpp"

extern "C" {
#include "lib/stringinfo.h"
#include "utils/uuid.h"
}

namespace muster::write {
namespace {

const text* body_argument(FunctionCallInfo fcinfo, int argument) {
    return PG_ARGISNULL(argument) ? nullptr : PG_GETARG_TEXT_PP(argument);
}

// A connection to SPI for the length of a call. Nothing is lost when an error jumps over the frame:
// the server cleans SPI up by itself.
void connect_spi() {
    if (SPI_connect() != SPI_OK_CONNECT) {
        elog(ERROR, "SPI_connect failed");
    }
}

// Ends the SPI connection and returns the json, or null.
Datum finish(FunctionCallInfo fcinfo, bool found, Datum json, bool is_null) {
    fcinfo->isnull = !found || is_null;
    Datum result = fcinfo->isnull ? Datum{0} : SPI_datumTransfer(json, false, -1);
    SPI_finish();
    return result;
}

// Ends the call with the item of that key, or null when there is no such key.
Datum finish_with_item(FunctionCallInfo fcinfo, const Resource& resource,
                       const read::Source& source, bool found, Datum key) {
    Datum json{0};
    bool is_null = true;
    if (found) {
        Statement statement = start_statement(source);
        statement.bind(resource.item.key_type, key);
        appendStringInfo(&statement.text, "SELECT r.body FROM %s r", resource.item.call);
        found = execute({&resource.item, 0, 0}, source, statement, &json, &is_null);
    }
    return finish(fcinfo, found, json, is_null);
}

// Binds the given members from the `from`th on and appends their columns to a list.
void append_columns(Statement& statement, const Form& form, const Values& values, int from = 0) {
    for (int i = from; i < form.count; i++) {
        if (values.has(i)) {
            statement.separate();
            appendStringInfoString(&statement.text, form.members[i].column);
            statement.bind(parameter_type(form.members[i].kind), values.values[i],
                           values.is_null(i));
        }
    }
}

void append_parameters(Statement& statement, int first) {
    for (int parameter = first; parameter <= statement.parameters; parameter++) {
        statement.separate();
        appendStringInfo(&statement.text, "$%d", parameter);
    }
}

// Creates an item: the given members into their columns, the tables' defaults into the others.
Datum create(FunctionCallInfo fcinfo, const Resource& resource) {
    Values values;
    read_body(body_argument(fcinfo, 0), resource.create, Purpose::Create, values);
    connect_spi();
    const read::Source source = read::find_source();
    Statement statement = start_statement(source);
    appendStringInfo(&statement.text, "INSERT INTO %s.%s (", statement.schema,
                     resource.create.table);
    append_columns(statement, resource.create, values);
    appendStringInfoString(&statement.text, ") VALUES (");
    append_parameters(statement, 1);
    appendStringInfo(&statement.text, ") RETURNING %s", resource.item.key);

    Datum key{0};
    bool is_null;
    const bool found =
        execute({&resource.create, 0, values.given}, source, statement, &key, &is_null);
    return finish_with_item(fcinfo, resource, source, found, key);
}

// Creates an agent. Its did ends in 32 random bits, which among a hundred thousand agents of one
// name do meet: a conflict is tried again, and what is left of it then is some other constraint's
// and an error.
Datum create_agent(FunctionCallInfo fcinfo) {
    Values values;
    read_body(body_argument(fcinfo, 0), agents.create, Purpose::Create, values);
    connect_spi();
    const read::Source source = read::find_source();
    constexpr int attempts = 3;
    bool found = false;
    Datum key{0};
    for (int attempt = 1; !found && attempt <= attempts; attempt++) {
        const bool last = attempt == attempts;
        Statement statement = start_statement(source);
        appendStringInfo(&statement.text, "INSERT INTO %s.agents (", statement.schema);
        append_columns(statement, agents.create, values);
        appendStringInfoString(&statement.text, ", did) VALUES (");
        append_parameters(statement, 1);  // the name, which is required, is $1
        appendStringInfo(
            &statement.text,
            ", 'did:agent:' || $1 || ':' || left(gen_random_uuid()::text, 8))%s RETURNING %s",
            last ? "" : " ON CONFLICT DO NOTHING", agents.item.key);
        bool is_null;
        found = execute({&agents.create, last, values.given}, source, statement, &key, &is_null);
    }
    return finish_with_item(fcinfo, agents, source, found, key);
}

[[noreturn]] void refuse_unknown_agent(const Values& values, bool by_id) {
    const char* agent =
        by_id ? DatumGetCString(DirectFunctionCall1(uuid_out, values.values[goal_agent_id]))
              : TextDatumGetCString(values.values[goal_agent_did]);
    ereport(ERROR,
            (errcode(ERRCODE_FOREIGN_KEY_VIOLATION), errmsg("agent \"%s\" does not exist", agent)));
    pg_unreachable();
}

// Creates a goal of the agent that agent_id or else agent_did names, and takes from the agent what
// the body does not say of it.
Datum create_goal(FunctionCallInfo fcinfo) {
    Values values;
    read_body(body_argument(fcinfo, 0), goals.create, Purpose::Create, values);
    const bool by_id = values.has(goal_agent_id);
    const bool did_given = values.has(goal_agent_did);
    if (!by_id && !did_given) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("missing required member \"agent_id\"")));
    }
    connect_spi();
    const read::Source source = read::find_source();
    Statement statement = start_statement(source);
    appendStringInfo(&statement.text, "INSERT INTO %s.goals (agent_id, agent_did",
                     statement.schema);
    append_columns(statement, goals.create, values, goal_agent_did + 1);
    appendStringInfoString(&statement.text, ") SELECT a.id, ");
    if (by_id && did_given) {
        appendStringInfo(&statement.text, "$%d", statement.parameters + 1);
    } else {
        appendStringInfoString(&statement.text, "a.did");
    }
    append_parameters(statement, 1);
    if (did_given) {
        statement.bind(TEXTOID, values.values[goal_agent_did]);
    }
    if (by_id) {
        statement.bind(UUIDOID, values.values[goal_agent_id]);
    }
    appendStringInfo(&statement.text, " FROM %s.agents a WHERE a.%s = $%d RETURNING %s",
                     statement.schema, by_id ? "id" : "did", statement.parameters, goals.item.key);

    Datum key{0};
    bool is_null;
    if (!execute({&goals.create, 0, values.given}, source, statement, &key, &is_null)) {
        refuse_unknown_agent(values, by_id);
    }
    return finish_with_item(fcinfo, goals, source, true, key);
}

// What tells the row to update: a column, and which of several ways it is.
struct Selector {
    const char* column;
    int variant;
    Oid type;
    Datum value;
};

// A column as the type of the values it is compared with: adopted columns may have a relative of
// it.
const char* comparable(Kind kind) {
    switch (kind) {
        case Kind::Text:
            return "::text";
        case Kind::Time:
            return "::timestamptz";
        case Kind::Strings:
            return "::text[]";
        case Kind::Object:
        case Kind::List:
        case Kind::Json:
            return "::jsonb";
        default:
            return "";
    }
}

// Sets the given members in the selected row, in one statement, so that concurrent updates lose
// nothing. updated_at moves only if something else does: nothing is published otherwise, and caches
// would keep an older one. With no members it only looks whether the row is there. Returns whether
// it is, with its key.
bool update_row(const Resource& resource, const read::Source& source, const Values& values,
                const Selector& selector, Datum* key) {
    const Form& form = resource.update;
    Statement statement = start_statement(source);
    statement.bind(selector.type, selector.value);
    if (values.given == 0) {
        appendStringInfo(&statement.text, "SELECT %s FROM %s.%s WHERE %s = $1", resource.item.key,
                         statement.schema, form.table, selector.column);
    } else {
        StringInfoData changes;
        initStringInfo(&changes);
        appendStringInfo(&statement.text, "UPDATE %s.%s SET ", statement.schema, form.table);
        for (int i = 0; i < form.count; i++) {
            if (!values.has(i)) {
                continue;
            }
            const Member& member = form.members[i];
            const int parameter =
                statement.bind(parameter_type(member.kind), values.values[i], values.is_null(i));
            statement.separate();
            appendStringInfo(&statement.text, "%s = $%d", member.column, parameter);
            appendStringInfo(&changes, "%s%s%s IS DISTINCT FROM $%d", changes.len > 0 ? " OR " : "",
                             member.column, comparable(member.kind), parameter);
        }
        if (resource.keeps_updated_at) {
            appendStringInfo(&statement.text,
                             ", updated_at = CASE WHEN %s THEN now() ELSE updated_at END",
                             changes.data);
        }
        appendStringInfo(&statement.text, " WHERE %s = $1 RETURNING %s", selector.column,
                         resource.item.key);
    }
    bool is_null;
    return execute({&resource.update, selector.variant, values.given}, source, statement, key,
                   &is_null);
}

// Updates the row with this key in the column, unless the key is null.
Datum update(FunctionCallInfo fcinfo, const Resource& resource, const char* column) {
    Values values;
    read_body(body_argument(fcinfo, 1), resource.update, Purpose::Update, values);
    if (PG_ARGISNULL(0)) {
        PG_RETURN_NULL();
    }
    connect_spi();
    const read::Source source = read::find_source();
    Datum key{0};
    const bool found =
        update_row(resource, source, values, {column, 0, UUIDOID, PG_GETARG_DATUM(0)}, &key);
    return finish_with_item(fcinfo, resource, source, found, key);
}

// Updates the goal of that goal_id or, if there is none, of that uuid.
Datum update_goal(FunctionCallInfo fcinfo) {
    Values values;
    read_body(body_argument(fcinfo, 1), goals.update, Purpose::Update, values);
    if (PG_ARGISNULL(0)) {
        PG_RETURN_NULL();
    }
    connect_spi();
    const read::Source source = read::find_source();
    Datum key{0};
    bool found =
        update_row(goals, source, values, {"goal_id", 0, TEXTOID, PG_GETARG_DATUM(0)}, &key);
    const text* name = PG_GETARG_TEXT_PP(0);
    Datum uuid{0};
    if (!found &&
        parse_uuid({VARDATA_ANY(name), static_cast<size_t>(VARSIZE_ANY_EXHDR(name))}, &uuid)) {
        found = update_row(goals, source, values, {"id", 1, UUIDOID, uuid}, &key);
    }
    return finish_with_item(fcinfo, goals, source, found, key);
}

// The functions without a body: their statements, which take one or two uuids, stand for
// themselves.
enum Plain { DeleteAgent, AddAgentTool, FindAgentTool, RemoveAgentTool };

constexpr const char* plain_texts[] = {
    "DELETE FROM %1$s.agents WHERE id = $1 RETURNING json_build_object('id', id)",
    "INSERT INTO %1$s.agent_tools AS l (agent_id, tool_id)"
    " SELECT a.id, t.id FROM %1$s.agents a, %1$s.tools t WHERE a.id = $1 AND t.id = $2"
    " AND NOT EXISTS (SELECT FROM %1$s.agent_tools x WHERE x.agent_id = $1 AND x.tool_id = $2)"
    " ON CONFLICT DO NOTHING RETURNING json_build_object("
    "'agent_id', l.agent_id, 'tool_id', l.tool_id, 'created_at', l.created_at::timestamptz)",
    "SELECT json_build_object("
    "'agent_id', l.agent_id, 'tool_id', l.tool_id, 'created_at', l.created_at::timestamptz)"
    " FROM %1$s.agent_tools l WHERE l.agent_id = $1 AND l.tool_id = $2",
    "DELETE FROM %1$s.agent_tools WHERE agent_id = $1 AND tool_id = $2"
    " RETURNING json_build_object('agent_id', agent_id, 'tool_id', tool_id)",
};

bool execute_plain(FunctionCallInfo fcinfo, Plain which, const read::Source& source, Datum* json,
                   bool* is_null) {
    Statement statement = start_statement(source);
    for (int i = 0; i < PG_NARGS(); i++) {
        statement.bind(UUIDOID, PG_GETARG_DATUM(i));
    }
    appendStringInfo(&statement.text, plain_texts[which], statement.schema);
    return execute({plain_texts, which, 0}, source, statement, json, is_null);
}

// Executes the statement, and if it returned no row another one. The functions are strict: a null
// uuid names nothing.
Datum run_plain(FunctionCallInfo fcinfo, Plain which, Plain otherwise) {
    Datum json{0};
    bool is_null = true;
    connect_spi();
    const read::Source source = read::find_source();
    bool found = execute_plain(fcinfo, which, source, &json, &is_null);
    if (!found && otherwise != which) {
        found = execute_plain(fcinfo, otherwise, source, &json, &is_null);
    }
    return finish(fcinfo, found, json, is_null);
}

}  // namespace
}  // namespace muster::write

using namespace muster::write;

extern "C" {
PGDLLEXPORT Datum muster_create_agent(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_update_agent(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_delete_agent(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_add_agent_tool(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_remove_agent_tool(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_create_goal(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_update_goal(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_create_tool(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_update_tool(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_create_tool_execution(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_update_tool_execution(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_create_event(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(muster_create_agent);
PG_FUNCTION_INFO_V1(muster_update_agent);
PG_FUNCTION_INFO_V1(muster_delete_agent);
PG_FUNCTION_INFO_V1(muster_add_agent_tool);
PG_FUNCTION_INFO_V1(muster_remove_agent_tool);
PG_FUNCTION_INFO_V1(muster_create_goal);
PG_FUNCTION_INFO_V1(muster_update_goal);
PG_FUNCTION_INFO_V1(muster_create_tool);
PG_FUNCTION_INFO_V1(muster_update_tool);
PG_FUNCTION_INFO_V1(muster_create_tool_execution);
PG_FUNCTION_INFO_V1(muster_update_tool_execution);
PG_FUNCTION_INFO_V1(muster_create_event);
}

Datum muster_create_agent(PG_FUNCTION_ARGS) {
    return create_agent(fcinfo);
}

Datum muster_update_agent(PG_FUNCTION_ARGS) {
    return update(fcinfo, agents, "id");
}

Datum muster_delete_agent(PG_FUNCTION_ARGS) {
    return run_plain(fcinfo, DeleteAgent, DeleteAgent);
}

// Adding a link that is there already finds it.
Datum muster_add_agent_tool(PG_FUNCTION_ARGS) {
    return run_plain(fcinfo, AddAgentTool, FindAgentTool);
}

Datum muster_remove_agent_tool(PG_FUNCTION_ARGS) {
    return run_plain(fcinfo, RemoveAgentTool, RemoveAgentTool);
}

Datum muster_create_goal(PG_FUNCTION_ARGS) {
    return create_goal(fcinfo);
}

Datum muster_update_goal(PG_FUNCTION_ARGS) {
    return update_goal(fcinfo);
}

Datum muster_create_tool(PG_FUNCTION_ARGS) {
    return create(fcinfo, tools);
}

Datum muster_update_tool(PG_FUNCTION_ARGS) {
    return update(fcinfo, tools, "id");
}

Datum muster_create_tool_execution(PG_FUNCTION_ARGS) {
    return create(fcinfo, tool_executions);
}

Datum muster_update_tool_execution(PG_FUNCTION_ARGS) {
    return update(fcinfo, tool_executions, "invocation_id");
}

Datum muster_create_event(PG_FUNCTION_ARGS) {
    return create(fcinfo, events);
}
