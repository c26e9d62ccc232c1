// The agents' part of the API, call by call, and what all lists have in common.
#include <algorithm>

#include "end_to_end/support.hpp"

using namespace muster::test;

BOOST_AUTO_TEST_SUITE(api_agents)

BOOST_AUTO_TEST_CASE(an_agent_is_made_with_its_defaults) {
    const auto name = fresh_name("plain");
    const auto agent = make_agent(name);
    BOOST_TEST((names_of(agent) == agent_names), agent);
    BOOST_TEST(agent["name"] == name);
    BOOST_TEST(agent["agent_type"] == "general");
    BOOST_TEST(agent["status"] == "created");
    for (const auto* member : {"configuration", "metadata", "resource_limits"})
        BOOST_TEST(agent[member].dump() == "{}");
    BOOST_TEST(is_time(agent["created_at"]), agent);
    BOOST_TEST(is_time(agent["updated_at"]), agent);
    const auto did = agent["did"].text();
    const auto prefix = "did:agent:" + name + ":";
    BOOST_REQUIRE(did.starts_with(prefix));
    const auto hex = did.substr(prefix.size());
    BOOST_TEST(hex.size() == 8u);
    BOOST_TEST(hex.find_first_not_of("0123456789abcdef") == std::string::npos);
    BOOST_TEST(get("/agents/" + agent["id"].text()) == agent);
}

BOOST_AUTO_TEST_CASE(an_agent_is_made_as_asked_and_unknown_members_are_ignored) {
    const auto agent = post(
        "/agents/", R"({"name":"a \"quoted\" 名前 \u0041","agent_type":"worker",)"
                    R"("configuration":{"model":{"name":"m","n":1.50}},"metadata":{"t":[1,null]},)"
                    R"("resource_limits":{"cpu":2},"colour":"green","status":"busy","id":7})");
    BOOST_TEST(agent["name"] == "a \"quoted\" 名前 A");
    BOOST_TEST(agent["agent_type"] == "worker");
    BOOST_TEST(agent["configuration"]["model"]["n"] == "1.50");
    BOOST_TEST(agent["metadata"]["t"][1].is_null());
    BOOST_TEST(agent["resource_limits"]["cpu"] == "2");
    BOOST_TEST(!agent.has("colour"));
}

BOOST_AUTO_TEST_CASE(a_patch_changes_what_it_names_only) {
    const auto agent = make_agent(fresh_name("patched"));
    const auto path = "/agents/" + agent["id"].text();
    const auto changed = patch(path, R"({"status":"active","configuration":{"a":1}})");
    BOOST_TEST(changed["status"] == "active");
    BOOST_TEST(changed["configuration"].dump() == R"({"a":1})");
    BOOST_TEST(changed["updated_at"] != agent["updated_at"]);
    for (const auto* member :
         {"id", "did", "name", "agent_type", "metadata", "resource_limits", "created_at"})
        BOOST_TEST(changed[member] == agent[member], member);
    // A JSON column is replaced, not merged.
    BOOST_TEST(patch(path, R"({"configuration":{"b":2}})")["configuration"].dump() == R"({"b":2})");
    const auto renamed = fresh_name("renamed");
    BOOST_TEST(
        patch(path,
              R"({"name":")" + renamed +
                  R"(","agent_type":"t","metadata":{"m":1},"resource_limits":{"r":1}})")["name"] ==
        renamed);
    // Neither an empty patch nor one of unknown members changes anything but is no mistake either.
    const auto before = get(path);
    BOOST_TEST(patch(path, "{}")["name"] == renamed);
    BOOST_TEST(patch(path, R"({"did":"did:other","colour":"red"})")["did"] == agent["did"]);
    BOOST_TEST(get(path)["name"] == before["name"]);
    // Slash or not.
    BOOST_TEST(patch(path + "/", R"({"status":"idle"})")["status"] == "idle");
}

BOOST_AUTO_TEST_CASE(every_status_is_accepted_and_no_other) {
    const auto path = "/agents/" + make_agent(fresh_name("status"))["id"].text();
    for (const std::string status :
         {"created", "active", "idle", "busy", "suspended", "terminated", "error"})
        BOOST_TEST(patch(path, R"({"status":")" + status + R"("})")["status"] == status);
    const auto detail = problem(shared_stack().http("PATCH", path, R"({"status":"sleepy"})"), 422);
    BOOST_TEST(detail.find("status") != std::string::npos, detail);
    BOOST_TEST(get(path)["status"] == "error");
}

BOOST_AUTO_TEST_CASE(deleting_takes_goals_and_links_along) {
    const auto agent = make_agent(fresh_name("doomed"));
    const auto path = "/agents/" + agent["id"].text();
    const auto goal = make_goal(agent["id"].text(), "be gone");
    const auto tool = make_tool(fresh_name("survivor"));
    const auto link = path + "/tools/" + tool["id"].text();
    BOOST_TEST(shared_stack().http("PUT", link).status == 200);
    remove(path);
    problem(shared_stack().http("DELETE", path), 404);
    problem(shared_stack().http("GET", path), 404);
    problem(shared_stack().http("PATCH", path, "{}"), 404);
    get("/goals/" + goal["goal_id"].text(), 404);
    get("/tools/" + tool["id"].text());
    problem(shared_stack().http("PUT", link), 404);
}

BOOST_AUTO_TEST_CASE(tools_are_linked_once_and_unlinked) {
    auto& stack = shared_stack();
    const auto path = "/agents/" + make_agent(fresh_name("handy"))["id"].text();
    const auto tool = make_tool(fresh_name("hammer"));
    const auto link = path + "/tools/" + tool["id"].text();
    for (int i = 0; i < 2; ++i)
        BOOST_TEST(stack.http("PUT", link).status == 200);
    const auto nested = get(path + "?include=tools");
    BOOST_REQUIRE(nested["tools"].size() == 1u);
    BOOST_TEST(nested["tools"][0] == tool);
    remove(link);
    problem(stack.http("DELETE", link), 404);
    BOOST_TEST(get(path + "?include=tools")["tools"].size() == 0u);
    problem(stack.http("PUT", path + "/tools/" + nobody), 404);
    problem(stack.http("PUT", "/agents/" + nobody + "/tools/" + tool["id"].text()), 404);
}

BOOST_AUTO_TEST_CASE(lists_are_newest_first_and_paged_by_offset) {
    std::vector<std::string> made;
    for (int i = 0; i < 5; ++i)
        made.insert(made.begin(), make_agent(fresh_name("listed"))["id"].text());
    const auto first = column(get("/agents/?limit=5"), "id");
    BOOST_TEST(first == made, boost::test_tools::per_element());
    BOOST_TEST(column(get("/agents?limit=5"), "id") == made, boost::test_tools::per_element());
    const auto second = column(get("/agents/?limit=2&offset=3"), "id");
    BOOST_TEST(second == std::vector<std::string>(made.begin() + 3, made.end()),
               boost::test_tools::per_element());
    BOOST_TEST(get("/agents/?limit=1&offset=100000000").dump() == "[]");
    for (const auto& agent : get("/agents/?limit=3"))
        BOOST_TEST((names_of(agent) == agent_names));
}

BOOST_AUTO_TEST_CASE(the_link_header_leads_through_every_item_once) {
    const auto type = fresh_name("paged");
    std::vector<std::string> made;
    for (int i = 0; i < 7; ++i) {
        const auto agent = make_agent(fresh_name("page"));
        patch("/agents/" + agent["id"].text(), R"({"status":"suspended"})");
        made.insert(made.begin(), agent["id"].text());
    }
    std::vector<std::string> found;
    for (const auto& agent :
         all_pages("/agents/?status=suspended&limit=3&include=goals&fields=id,goals"))
        found.push_back(agent["id"].text());
    BOOST_TEST(found == made, boost::test_tools::per_element());

    // A page that ends exactly at the end, a page beyond it, and a page in between.
    const auto& stack = shared_stack();
    BOOST_TEST(next_page(stack.http("GET", "/agents/?status=suspended&limit=1000")) == "");
    const auto page = stack.http("GET", "/agents/?status=suspended&limit=3");
    const auto next = next_page(page);
    BOOST_TEST(next.find("after=") != std::string::npos, next);
    BOOST_TEST(next.find("status=suspended") != std::string::npos, next);
    // A row made meanwhile does not move the following pages, as it would with an offset.
    patch("/agents/" + make_agent(fresh_name("late"))["id"].text(), R"({"status":"suspended"})");
    BOOST_TEST(
        column(get(next), "id") == std::vector<std::string>(made.begin() + 3, made.begin() + 6),
        boost::test_tools::per_element());
    problem(stack.http("GET", "/agents/?after=nonsense"), 422);
}

BOOST_AUTO_TEST_CASE(lists_are_filtered_by_status) {
    const auto busy = make_agent(fresh_name("filtered"))["id"].text();
    const auto idle = make_agent(fresh_name("filtered"))["id"].text();
    patch("/agents/" + busy, R"({"status":"busy"})");
    patch("/agents/" + idle, R"({"status":"terminated"})");
    const auto list = get("/agents/?status=terminated&limit=1000");
    BOOST_TEST(list.size() >= 1u);
    for (const auto& agent : list)
        BOOST_TEST(agent["status"] == "terminated");
    const auto ids = column(list, "id");
    BOOST_TEST(std::count(ids.begin(), ids.end(), idle) == 1);
    BOOST_TEST(std::count(ids.begin(), ids.end(), busy) == 0);
}

BOOST_AUTO_TEST_CASE(limits_are_checked) {
    for (const std::string wrong : {"limit=0", "limit=1001", "limit=-1", "limit=x", "limit=",
                                    "offset=-1", "offset=1.5", "limit=99999999999999999999"}) {
        const auto detail = problem(shared_stack().http("GET", "/agents/?" + wrong), 422);
        BOOST_TEST(detail.find(wrong.substr(0, wrong.find('='))) != std::string::npos, detail);
    }
    BOOST_TEST(get("/agents/?limit=1000&colour=green").is_array());  // unknown parameters pass
}

BOOST_AUTO_TEST_CASE(children_are_included_on_request) {
    const auto agent = make_agent(fresh_name("parent"));
    const auto id = agent["id"].text();
    std::vector<std::string> goals;
    for (int i = 0; i < 3; ++i)
        goals.push_back(make_goal(id, "goal " + std::to_string(i))["id"].text());
    for (int i = 0; i < 2; ++i)
        post("/events/",
             R"({"event_type":"e","aggregate_type":"agent","aggregate_id":")" + id + R"("})");
    const auto item = get("/agents/" + id + "?include=goals,tools,event_count");
    auto found = column(item["goals"], "id");
    std::sort(found.begin(), found.end());
    std::sort(goals.begin(), goals.end());
    BOOST_TEST(found == goals, boost::test_tools::per_element());
    BOOST_TEST(item["tools"].dump() == "[]");
    BOOST_TEST(item["event_count"] == "2");
    const auto only = get("/agents/" + id + "?include=event_count");
    BOOST_TEST(!only.has("goals"));
    BOOST_TEST(only["event_count"] == "2");
    const auto list = get("/agents/?limit=1&include=goals,tools,event_count");
    BOOST_TEST(list[0] == item);
    problem(shared_stack().http("GET", "/agents/?include=goals,friends"), 422);
}

BOOST_AUTO_TEST_CASE(fields_project_columns_and_paths) {
    const auto agent = post("/agents/", R"({"name":"projected","configuration":)"
                                        R"({"model":{"name":"m","size":7},"other":[1]}})");
    const auto path = "/agents/" + agent["id"].text();
    const auto item = get(path + "?fields=id,name,configuration.model.name");
    BOOST_TEST((names_of(item) == Names{"id", "name", "configuration"}), item);
    BOOST_TEST(item["configuration"].dump() == R"({"model":{"name":"m"}})");
    BOOST_TEST(get("/agents/?limit=1&fields=id,name,configuration.model.name")[0] == item);
    const auto detail = problem(shared_stack().http("GET", path + "?fields=id,nmae"), 422);
    BOOST_TEST(detail.find("nmae") != std::string::npos, detail);
}

BOOST_AUTO_TEST_SUITE_END()
