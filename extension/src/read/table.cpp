// The API's tables.
#include "read/table.hpp"

namespace muster::read {
namespace {

template <class T, std::size_t n>
constexpr int length(const T (&)[n]) {
    return static_cast<int>(n);
}

constexpr std::string_view agent_columns[] = {
    "id",         "did",           "name",     "agent_type",
    "status",     "configuration", "metadata", "resource_limits",
    "created_at", "updated_at"};
constexpr Filter agent_filters[] = {{"status", TEXTOID}, {"id", UUIDOID}};
constexpr Child agent_children[] = {{"goals", ChildKind::Goals},
                                    {"tools", ChildKind::Tools},
                                    {"event_count", ChildKind::EventCount}};

constexpr std::string_view goal_columns[] = {"id",
                                             "goal_id",
                                             "agent_id",
                                             "agent_did",
                                             "goal_text",
                                             "goal_type",
                                             "status",
                                             "constraints_max_token_budget",
                                             "constraints_max_execution_time_sec",
                                             "constraints_max_parallelism",
                                             "constraints_deadline_unix_ms",
                                             "constraints_priority",
                                             "constraints_require_approval",
                                             "constraints_allowed_agent_types",
                                             "constraints_forbidden_tools",
                                             "constraints_cost_limit_usd",
                                             "success_criteria",
                                             "metadata",
                                             "parent_goal_id",
                                             "decomposition_strategy",
                                             "created_at",
                                             "updated_at",
                                             "completed_at"};
constexpr Filter goal_filters[] = {{"agent_id", UUIDOID},
                                   {"agent_did", TEXTOID},
                                   {"status", TEXTOID},
                                   {"id", UUIDOID},
                                   {"goal_id", TEXTOID}};
constexpr Child goal_children[] = {{"agent", ChildKind::Agent}};

constexpr std::string_view tool_columns[] = {"id",        "name",       "description",
                                             "tool_type", "schema_def", "permissions",
                                             "enabled",   "created_at", "updated_at"};
constexpr Filter tool_filters[] = {{"enabled", BOOLOID}, {"id", UUIDOID}};
constexpr Child tool_children[] = {{"agent_count", ChildKind::AgentCount}};

constexpr std::string_view execution_columns[] = {"id",
                                                  "invocation_id",
                                                  "tool_id",
                                                  "tool_name",
                                                  "tool_version",
                                                  "agent_id",
                                                  "agent_did",
                                                  "tenant_id",
                                                  "session_id",
                                                  "parent_sandbox_id",
                                                  "input_params",
                                                  "output_result",
                                                  "status",
                                                  "error_code",
                                                  "error_message",
                                                  "error_details",
                                                  "retryable",
                                                  "duration_ms",
                                                  "cpu_used_millicore_seconds",
                                                  "memory_peak_mb",
                                                  "network_bytes_sent",
                                                  "network_bytes_received",
                                                  "documents_accessed",
                                                  "checkpoints_created",
                                                  "checkpoint_ref",
                                                  "async_mode",
                                                  "priority",
                                                  "idempotency_key",
                                                  "require_approval",
                                                  "cpu_millicore_limit",
                                                  "memory_mb_limit",
                                                  "timeout_seconds",
                                                  "created_at",
                                                  "started_at",
                                                  "completed_at"};
constexpr Filter execution_filters[] = {{"agent_id", UUIDOID},     {"tool_name", TEXTOID},
                                        {"session_id", TEXTOID},   {"tenant_id", TEXTOID},
                                        {"status", TEXTOID},       {"id", UUIDOID},
                                        {"invocation_id", UUIDOID}};

constexpr std::string_view event_columns[] = {"id",           "event_type", "aggregate_type",
                                              "aggregate_id", "payload",    "metadata",
                                              "created_at",   "version"};
constexpr Filter event_filters[] = {{"aggregate_id", UUIDOID},
                                    {"aggregate_type", TEXTOID},
                                    {"event_type", TEXTOID},
                                    {"id", UUIDOID}};

}  // namespace

int Table::find_child(std::string_view child) const {
    for (int i = 0; i < child_count; i++) {
        if (children[i].name == child) {
            return i;
        }
    }
    return -1;
}

bool Table::has_child(std::uint32_t set, std::string_view child) const {
    const int i = find_child(child);
    return i >= 0 && (set & 1U << i) != 0;
}

const Table agents_table = {"agents",
                            0,
                            Order::Newest,
                            agent_columns,
                            length(agent_columns),
                            agent_filters,
                            length(agent_filters),
                            agent_children,
                            length(agent_children),
                            "id"};

const Table goals_table = {"goals",
                           1,
                           Order::Newest,
                           goal_columns,
                           length(goal_columns),
                           goal_filters,
                           length(goal_filters),
                           goal_children,
                           length(goal_children),
                           "agent_id"};

const Table tools_table = {"tools",
                           2,
                           Order::Name,
                           tool_columns,
                           length(tool_columns),
                           tool_filters,
                           length(tool_filters),
                           tool_children,
                           length(tool_children),
                           "id"};

const Table executions_table = {"tool_executions",
                                3,
                                Order::Newest,
                                execution_columns,
                                length(execution_columns),
                                execution_filters,
                                length(execution_filters),
                                nullptr,
                                0,
                                nullptr};

const Table events_table = {"events",
                            4,
                            Order::Newest,
                            event_columns,
                            length(event_columns),
                            event_filters,
                            length(event_filters),
                            nullptr,
                            0,
                            nullptr};

}  // namespace muster::read
