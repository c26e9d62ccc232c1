// Reading and checking arguments.
#include "read/request.hpp"

namespace muster::read {
namespace {

constexpr int longest_shown = 100;

constexpr std::string_view agent_statuses[] = {"created",   "active",     "idle", "busy",
                                               "suspended", "terminated", "error"};
constexpr std::string_view execution_statuses[] = {
    "pending", "running",   "success",           "error",           "failed",
    "timeout", "cancelled", "permission_denied", "pending_approval"};

int shown(std::string_view text) {
    return pg_mbcliplen(text.data(), static_cast<int>(text.size()), longest_shown);
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && scanner_isspace(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && scanner_isspace(text.back())) {
        text.remove_suffix(1);
    }
    return text;
}

std::int64_t count_argument(FunctionCallInfo fcinfo, int argument, const char* name,
                            std::int64_t missing) {
    if (PG_ARGISNULL(argument)) {
        return missing;
    }
    const std::int32_t value = PG_GETARG_INT32(argument);
    if (value < 0) {
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("invalid %s %d", name, value),
                 errhint("\"%s\" is 0 or more.", name)));
    }
    return value;
}

void append_name(StringInfo list, std::string_view name) {
    appendStringInfo(list, "%s%.*s", list->len > 0 ? ", " : "", static_cast<int>(name.size()),
                     name.data());
}

// The children's names, or those of them that are included.
const char* list_children(const Table& table, std::uint32_t which) {
    StringInfoData list;
    initStringInfo(&list);
    for (int i = 0; i < table.child_count; i++) {
        if ((which & 1U << i) != 0) {
            append_name(&list, table.children[i].name);
        }
    }
    return list.data;
}

[[noreturn]] void report_unknown_child(const Table& table, std::string_view name) {
    const char* all = list_children(table, ~0U);
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("unknown name \"%.*s\" in include", shown(name), name.data()),
                    *all == '\0' ? errhint("Nothing can be included here.")
                                 : errhint("Allowed are: %s.", all)));
    pg_unreachable();
}

[[noreturn]] void report_unknown_field(std::string_view parent, std::string_view name,
                                       const char* allowed) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("unknown name \"%.*s%s%.*s\" in fields", static_cast<int>(parent.size()),
                           parent.data(), parent.empty() ? "" : ".", shown(name), name.data()),
                    errhint("Allowed are: %s.", allowed)));
    pg_unreachable();
}

// The columns of a table as `fields` can name them: the API's that it has, then users' own.
void list_columns(StringInfo list, Oid relation_id, const Table& table) {
    for (int i = 0; i < table.column_count; i++) {
        if (has_column(relation_id, table.columns[i])) {
            append_name(list, table.columns[i]);
        }
    }
    Relation relation = table_open(relation_id, AccessShareLock);
    TupleDesc descriptor = RelationGetDescr(relation);
    for (int i = 0; i < descriptor->natts; i++) {
        Form_pg_attribute column = TupleDescAttr(descriptor, i);
        const std::string_view name = NameStr(column->attname);
        bool is_own = !column->attisdropped;
        for (int k = 0; k < table.column_count; k++) {
            is_own = is_own && table.columns[k] != name;
        }
        if (is_own) {
            append_name(list, name);
        }
    }
    table_close(relation, AccessShareLock);
}

void check_columns(const json::Field& fields, std::string_view parent, const Table& table,
                   const Source& source) {
    const Oid relation = source.relation(table.name);
    for (const json::Field* field = fields.children; field != nullptr; field = field->next) {
        if (!has_column(relation, field->name)) {
            StringInfoData list;
            initStringInfo(&list);
            list_columns(&list, relation, table);
            report_unknown_field(parent, field->name, list.data);
        }
    }
}

// Checks what is asked for beneath a child that is not asked for whole.
void check_child_fields(const Child& child, const json::Field& field, const Source& source) {
    switch (child.kind) {
        case ChildKind::Goals:
            check_columns(field, child.name, goals_table, source);
            break;
        case ChildKind::Tools:
            check_columns(field, child.name, tools_table, source);
            break;
        case ChildKind::Agent:
            for (const json::Field* name = field.children; name != nullptr; name = name->next) {
                if (name->name != "name" && name->name != "did") {
                    report_unknown_field(child.name, name->name, "name, did");
                }
            }
            break;
        case ChildKind::EventCount:
        case ChildKind::AgentCount:
            ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                            errmsg("unknown name \"%.*s.%.*s\" in fields",
                                   static_cast<int>(child.name.size()), child.name.data(),
                                   shown(field.children->name), field.children->name.data()),
                            errhint("\"%.*s\" is a number.", static_cast<int>(child.name.size()),
                                    child.name.data())));
    }
}

// Refuses a status that is none of those.
void check_status(std::string_view status, const std::string_view* allowed, int count) {
    StringInfoData list;
    initStringInfo(&list);
    for (int i = 0; i < count; i++) {
        if (allowed[i] == status) {
            return;
        }
        append_name(&list, allowed[i]);
    }
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("unknown status \"%.*s\"", shown(status), status.data()),
                    errhint("Allowed are: %s.", list.data)));
}

template <std::size_t n>
void take_status(Request& request, FunctionCallInfo fcinfo, int argument, int which,
                 const std::string_view (&allowed)[n]) {
    if (!PG_ARGISNULL(argument)) {
        check_status(text_argument(fcinfo, argument), allowed, static_cast<int>(n));
        take_filter(request, fcinfo, argument, which);
    }
}

}  // namespace

bool Request::includes(ChildKind kind) const {
    for (int i = 0; i < table->child_count; i++) {
        if (table->children[i].kind == kind) {
            return (children & 1U << i) != 0;
        }
    }
    return false;
}

const json::Field* Request::fields_of(std::string_view child) const {
    const json::Field* field = fields == nullptr ? nullptr : fields->find(child);
    return field == nullptr || field->whole ? nullptr : field;
}

Request make_request(const Table& table) {
    Request request{};
    request.table = &table;
    request.limit = default_limit;
    return request;
}

std::string_view text_argument(FunctionCallInfo fcinfo, int argument) {
    text* value = PG_GETARG_TEXT_PP(argument);
    return {VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value)};
}

void take_page(Request& request, FunctionCallInfo fcinfo, int limit, int offset, int after) {
    request.limit = count_argument(fcinfo, limit, "row_limit", default_limit);
    request.offset = count_argument(fcinfo, offset, "row_offset", 0);
    if (!PG_ARGISNULL(after)) {
        request.has_cursor = true;
        request.cursor = decode_cursor(*request.table, text_argument(fcinfo, after));
    }
}

bool parse_include(const Table& table, std::string_view include, std::uint32_t& children,
                   std::string_view& unknown) {
    std::string_view rest = include;
    if (trim(rest).empty()) {
        return true;
    }
    for (;;) {
        const std::size_t comma = rest.find(',');
        const std::string_view name =
            trim({rest.data(), comma == std::string_view::npos ? rest.size() : comma});
        const int child = table.find_child(name);
        if (child < 0) {
            unknown = name;
            return false;
        }
        children |= 1U << child;
        if (comma == std::string_view::npos) {
            return true;
        }
        rest.remove_prefix(comma + 1);
    }
}

void take_include(Request& request, FunctionCallInfo fcinfo, int argument,
                  std::string_view missing) {
    const std::string_view include =
        PG_ARGISNULL(argument) ? missing : text_argument(fcinfo, argument);
    std::string_view unknown;
    if (!parse_include(*request.table, include, request.children, unknown)) {
        report_unknown_child(*request.table, unknown);
    }
}

void take_fields(Request& request, FunctionCallInfo fcinfo, int argument) {
    if (!PG_ARGISNULL(argument)) {
        request.fields = json::parse_fields(text_argument(fcinfo, argument));
    }
}

void check_fields(Request& request, const Source& source) {
    if (request.fields == nullptr) {
        return;
    }
    const Table& table = *request.table;
    const Oid relation = source.relation(table.name);
    std::uint32_t asked = 0;
    for (const json::Field* field = request.fields->children; field != nullptr;
         field = field->next) {
        const int child = table.find_child(field->name);
        if (child >= 0 && (request.children & 1U << child) != 0) {
            asked |= 1U << child;
            if (!field->whole) {
                check_child_fields(table.children[child], *field, source);
            }
        } else if (has_column(relation, field->name)) {
            continue;
        } else if (child >= 0) {
            ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                            errmsg("\"%.*s\" in fields is not included",
                                   static_cast<int>(field->name.size()), field->name.data()),
                            errhint("Name it in include too.")));
        } else {
            StringInfoData list;
            initStringInfo(&list);
            list_columns(&list, relation, table);
            const char* included = list_children(table, request.children);
            if (*included != '\0') {
                append_name(&list, included);
            }
            report_unknown_field({}, field->name, list.data);
        }
    }
    request.children &= asked;
}

void take_filter(Request& request, FunctionCallInfo fcinfo, int argument, int which) {
    if (!PG_ARGISNULL(argument)) {
        request.filter_by(which, PG_GETARG_DATUM(argument));
    }
}

void take_agent_status(Request& request, FunctionCallInfo fcinfo, int argument) {
    take_status(request, fcinfo, argument, filter::AgentStatus, agent_statuses);
}

void take_execution_status(Request& request, FunctionCallInfo fcinfo, int argument) {
    take_status(request, fcinfo, argument, filter::ExecutionStatus, execution_statuses);
}

}  // namespace muster::read
