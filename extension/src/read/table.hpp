// The tables that are read, as data: everything that lists and items of one table do differently
// from those of another.
#pragma once

#include "read/server.hpp"

namespace muster::read {

// What can be asked for with `include`.
enum class ChildKind : std::uint8_t {
    Goals,       // an agent's goals, newest first
    Tools,       // the tools an agent may use, by name
    EventCount,  // how many events an agent has
    Agent,       // a goal's agent: its name and did
    AgentCount,  // how many agents may use a tool
};

struct Child {
    std::string_view name;
    ChildKind kind;
};

struct Filter {
    const char* column;
    Oid type;
};

enum class Order : std::uint8_t {
    Newest,  // created_at DESC NULLS LAST, id DESC
    Name,    // name, id
};

constexpr int most_filters = 8;
constexpr int most_children = 3;

struct Table {
    const char* name;
    std::uint8_t number;
    Order order;
    const std::string_view* columns;  // the API's, in its order
    int column_count;
    const Filter* filters;
    int filter_count;
    const Child* children;
    int child_count;
    const char* child_key;  // the column by which children are found; null without children

    // The child's position in the list, or -1.
    int find_child(std::string_view child) const;
    // Whether the name is that of a child in the set, which has a bit for each.
    bool has_child(std::uint32_t set, std::string_view child) const;

    const char* order_column() const { return order == Order::Newest ? "created_at" : "name"; }
};

extern const Table agents_table;
extern const Table goals_table;
extern const Table tools_table;
extern const Table executions_table;
extern const Table events_table;

// Positions in each table's list of filters.
namespace filter {
enum Agents { AgentStatus, AgentId };
enum Goals { GoalAgentId, GoalAgentDid, GoalStatus, GoalUuid, GoalGoalId };
enum Tools { ToolEnabled, ToolId };
enum Executions {
    ExecutionAgentId,
    ExecutionToolName,
    ExecutionSessionId,
    ExecutionTenantId,
    ExecutionStatus,
    ExecutionId,
    ExecutionInvocationId
};
enum Events { EventAggregateId, EventAggregateType, EventEventType, EventId };
}  // namespace filter

}  // namespace muster::read
