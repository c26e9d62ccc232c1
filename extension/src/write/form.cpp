// The API's bodies, as tables. What the members mean is in the columns that 30_tables.sql makes.
#include "write/form.hpp"

namespace muster::write {
namespace {

constexpr const char* agent_statuses = "created active idle busy suspended terminated error";
constexpr const char* execution_statuses =
    "pending running success error failed timeout cancelled permission_denied pending_approval";
constexpr const char* tool_types = "function api external";

constexpr Member agent_create[] = {
    {"name", "name", Kind::Text, Need::Required},         {"agent_type", "agent_type", Kind::Text},
    {"configuration", "configuration", Kind::Object},     {"metadata", "metadata", Kind::Object},
    {"resource_limits", "resource_limits", Kind::Object},
};

constexpr Member agent_update[] = {
    {"name", "name", Kind::Text},
    {"agent_type", "agent_type", Kind::Text},
    {"status", "status", Kind::Text, Need::Optional, agent_statuses},
    {"configuration", "configuration", Kind::Object},
    {"metadata", "metadata", Kind::Object},
    {"resource_limits", "resource_limits", Kind::Object},
};

// A member of a goal's "constraints" object.
constexpr Member constraint(const char* name, const char* column, Kind kind, int lowest = INT32_MIN,
                            int highest = INT32_MAX) {
    return {name, column, kind, Need::Optional, nullptr, lowest, highest, "constraints"};
}

// agent_id and agent_did stand at goal_agent_id and goal_agent_did.
constexpr Member goal_create[] = {
    {"agent_id", "agent_id", Kind::Uuid},
    {"agent_did", "agent_did", Kind::Text},
    {"goal_id", "goal_id", Kind::Text},
    {"goal_text", "goal_text", Kind::Text, Need::Required},
    {"description", "goal_text", Kind::Text},
    {"goal_type", "goal_type", Kind::Text},
    {"status", "status", Kind::Text},
    {"priority", "constraints_priority", Kind::Integer, Need::Optional, nullptr, 1, 10},
    constraint("max_token_budget", "constraints_max_token_budget", Kind::Integer),
    constraint("max_execution_time_sec", "constraints_max_execution_time_sec", Kind::Integer),
    constraint("max_parallelism", "constraints_max_parallelism", Kind::Integer),
    constraint("deadline_unix_ms", "constraints_deadline_unix_ms", Kind::Bigint),
    constraint("priority", "constraints_priority", Kind::Integer, 1, 10),
    constraint("require_approval", "constraints_require_approval", Kind::Boolean),
    constraint("allowed_agent_types", "constraints_allowed_agent_types", Kind::Strings),
    constraint("forbidden_tools", "constraints_forbidden_tools", Kind::Strings),
    constraint("cost_limit_usd", "constraints_cost_limit_usd", Kind::Number),
    {"success_criteria", "success_criteria", Kind::List},
    {"metadata", "metadata", Kind::Object},
    {"parent_goal_id", "parent_goal_id", Kind::Text},
    {"decomposition_strategy", "decomposition_strategy", Kind::Text},
};

constexpr Member goal_update[] = {
    {"status", "status", Kind::Text},
    {"decomposition_strategy", "decomposition_strategy", Kind::Text, Need::Nullable},
    {"metadata", "metadata", Kind::Object},
    {"priority", "constraints_priority", Kind::Integer, Need::Optional, nullptr, 1, 10},
    {"goal_text", "goal_text", Kind::Text},
    {"description", "goal_text", Kind::Text},
    {"success_criteria", "success_criteria", Kind::List},
    {"completed_at", "completed_at", Kind::Time, Need::Nullable},
};

constexpr Member tool_create[] = {
    {"name", "name", Kind::Text, Need::Required},
    {"description", "description", Kind::Text},
    {"tool_type", "tool_type", Kind::Text, Need::Optional, tool_types},
    {"schema_def", "schema_def", Kind::Object, Need::Required},
    {"permissions", "permissions", Kind::Object},
    {"enabled", "enabled", Kind::Boolean},
};

constexpr Member tool_update[] = {
    {"description", "description", Kind::Text, Need::Nullable},
    {"schema_def", "schema_def", Kind::Object},
    {"permissions", "permissions", Kind::Object},
    {"enabled", "enabled", Kind::Boolean},
};

constexpr Member execution_create[] = {
    {"invocation_id", "invocation_id", Kind::Uuid, Need::Required},
    {"tool_id", "tool_id", Kind::Uuid},
    {"tool_name", "tool_name", Kind::Text, Need::Required},
    {"tool_version", "tool_version", Kind::Text},
    {"agent_id", "agent_id", Kind::Uuid},
    {"agent_did", "agent_did", Kind::Text},
    {"tenant_id", "tenant_id", Kind::Text},
    {"session_id", "session_id", Kind::Text},
    {"parent_sandbox_id", "parent_sandbox_id", Kind::Text},
    {"input_params", "input_params", Kind::Object},
    {"output_result", "output_result", Kind::Json},
    {"status", "status", Kind::Text, Need::Optional, execution_statuses},
    {"error_code", "error_code", Kind::Text},
    {"error_message", "error_message", Kind::Text},
    {"error_details", "error_details", Kind::Json},
    {"retryable", "retryable", Kind::Boolean},
    {"duration_ms", "duration_ms", Kind::Bigint},
    {"cpu_used_millicore_seconds", "cpu_used_millicore_seconds", Kind::Bigint},
    {"memory_peak_mb", "memory_peak_mb", Kind::Integer},
    {"network_bytes_sent", "network_bytes_sent", Kind::Bigint},
    {"network_bytes_received", "network_bytes_received", Kind::Bigint},
    {"documents_accessed", "documents_accessed", Kind::List},
    {"checkpoints_created", "checkpoints_created", Kind::List},
    {"checkpoint_ref", "checkpoint_ref", Kind::Text},
    {"async_mode", "async_mode", Kind::Boolean},
    {"priority", "priority", Kind::Integer, Need::Optional, nullptr, 1, 10},
    {"idempotency_key", "idempotency_key", Kind::Text},
    {"require_approval", "require_approval", Kind::Boolean},
    {"cpu_millicore_limit", "cpu_millicore_limit", Kind::Integer},
    {"memory_mb_limit", "memory_mb_limit", Kind::Integer},
    {"timeout_seconds", "timeout_seconds", Kind::Integer},
    {"started_at", "started_at", Kind::Time},
    {"completed_at", "completed_at", Kind::Time},
};

constexpr Member execution_update[] = {
    {"status", "status", Kind::Text, Need::Optional, execution_statuses},
    {"output_result", "output_result", Kind::Json, Need::Nullable},
    {"error_code", "error_code", Kind::Text, Need::Nullable},
    {"error_message", "error_message", Kind::Text, Need::Nullable},
    {"error_details", "error_details", Kind::Json, Need::Nullable},
    {"retryable", "retryable", Kind::Boolean},
    {"duration_ms", "duration_ms", Kind::Bigint, Need::Nullable},
    {"cpu_used_millicore_seconds", "cpu_used_millicore_seconds", Kind::Bigint, Need::Nullable},
    {"memory_peak_mb", "memory_peak_mb", Kind::Integer, Need::Nullable},
    {"network_bytes_sent", "network_bytes_sent", Kind::Bigint, Need::Nullable},
    {"network_bytes_received", "network_bytes_received", Kind::Bigint, Need::Nullable},
    {"documents_accessed", "documents_accessed", Kind::List},
    {"checkpoints_created", "checkpoints_created", Kind::List},
    {"checkpoint_ref", "checkpoint_ref", Kind::Text, Need::Nullable},
    {"started_at", "started_at", Kind::Time, Need::Nullable},
    {"completed_at", "completed_at", Kind::Time, Need::Nullable},
};

constexpr Member event_create[] = {
    {"event_type", "event_type", Kind::Text, Need::Required},
    {"aggregate_type", "aggregate_type", Kind::Text, Need::Required},
    {"aggregate_id", "aggregate_id", Kind::Uuid, Need::Required},
    {"payload", "payload", Kind::Object},
    {"metadata", "metadata", Kind::Object},
    {"version", "version", Kind::Integer},
};

template <int count>
constexpr Form form(const char* table, const Member (&members)[count]) {
    static_assert(count <= 64, "MemberSet has 64 bits");
    return {table, members, count};
}

}  // namespace

constexpr Resource agents = {form("agents", agent_create),
                             form("agents", agent_update),
                             true,
                             {"id", UUIDOID, "muster.agent_json($1, include => '')"}};
constexpr Resource goals = {
    form("goals", goal_create),
    form("goals", goal_update),
    true,
    {"coalesce(goal_id, id::text)", TEXTOID, "muster.goal_json($1, include => '')"}};
constexpr Resource tools = {form("tools", tool_create),
                            form("tools", tool_update),
                            true,
                            {"id", UUIDOID, "muster.tool_json($1, include => '')"}};
constexpr Resource tool_executions = {form("tool_executions", execution_create),
                                      form("tool_executions", execution_update),
                                      false,
                                      {"id", UUIDOID, "muster.tool_execution_json($1)"}};
constexpr Resource events = {form("events", event_create),
                             {"events", nullptr, 0},
                             false,
                             {"id", UUIDOID, "muster.event_json($1)"}};

}  // namespace muster::write
