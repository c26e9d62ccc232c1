// What the end-to-end tests have in common: the API's calls in short, and its shapes.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <boost/test/unit_test.hpp>

#include "harness/json.hpp"
#include "harness/libpq.hpp"
#include "harness/stack.hpp"

namespace muster::test {

// Calls of the shared stack; each throws if the status is not the expected one.
Json get(const std::string& target, int status = 200);
Json post(const std::string& target, const std::string& body, int status = 201);
Json patch(const std::string& target, const std::string& body, int status = 200);
void remove(const std::string& target);

// Items made for a test, under names of their own.
std::string fresh_name(const std::string& stem);
Json make_agent(const std::string& name);
Json make_tool(const std::string& name);
Json make_goal(const std::string& agent_id, const std::string& text);

// Checks that an answer is an RFC 9457 problem of this status, and returns its `detail`.
std::string problem(const HttpAnswer& answer, int status);

// Of the shared stack's admin port.
HttpAnswer admin(const std::string& path);
// Sum of the samples of `name` whose labels contain all of `labels`; -1 if there is none.
double sample(const std::string& name, const std::vector<std::string>& labels = {});

using Names = std::set<std::string>;
Names names_of(const Json& object);
extern const Names agent_names, goal_names, tool_names, execution_names, event_names;

// The members called `name` of a list's items.
std::vector<std::string> column(const Json& list, std::string_view name);

// The target in a Link header's rel="next", "" if there is none.
std::string next_page(const HttpAnswer& answer);

// An UUID that no row has.
inline const std::string nobody = "00000000-0000-4000-8000-000000000000";

// Follows the pages of a list from `target` to their end and returns all items; throws after 100.
std::vector<Json> all_pages(std::string target);

// The next message about this aggregate, whatever else is published meanwhile; throws when none
// comes within 30 s.
Json next_about(RedisSubscriber& subscriber, const std::string& aggregate_id);

// RFC 3339 in UTC, with the offset written as PostgreSQL's to_json writes it.
bool is_time(const Json& json);

}  // namespace muster::test
