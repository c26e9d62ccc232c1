// The goals' part of the API, call by call.
#include "end_to_end/support.hpp"

using namespace muster::test;

BOOST_AUTO_TEST_SUITE(api_goals)

BOOST_AUTO_TEST_CASE(a_goal_is_made_with_its_defaults) {
    const auto agent = make_agent(fresh_name("striver"));
    const auto goal = make_goal(agent["id"].text(), "win");
    BOOST_TEST((names_of(goal) == goal_names), goal);
    BOOST_TEST(!goal["goal_id"].text().empty());
    BOOST_TEST(goal["agent_id"] == agent["id"]);
    BOOST_TEST(goal["agent_did"] == agent["did"]);
    BOOST_TEST(goal["goal_text"] == "win");
    BOOST_TEST(goal["goal_type"] == "compound");
    BOOST_TEST(goal["status"] == "pending");
    BOOST_TEST(goal["constraints_max_parallelism"] == "10");
    BOOST_TEST(goal["constraints_priority"] == "5");
    BOOST_TEST(goal["constraints_require_approval"] == "false");
    BOOST_TEST(goal["success_criteria"].dump() == "[]");
    BOOST_TEST(goal["metadata"].dump() == "{}");
    for (const auto* member : {"constraints_max_token_budget", "constraints_cost_limit_usd",
                               "parent_goal_id", "decomposition_strategy", "completed_at"})
        BOOST_TEST(goal[member].is_null(), member);
    // By its goal_id, by its uuid, with a slash behind.
    BOOST_TEST(get("/goals/" + goal["goal_id"].text()) == goal);
    BOOST_TEST(get("/goals/" + goal["id"].text()) == goal);
    BOOST_TEST(get("/goals/" + goal["goal_id"].text() + "/") == goal);
}

BOOST_AUTO_TEST_CASE(a_goal_is_made_as_asked) {
    const auto agent = make_agent(fresh_name("planner"))["id"].text();
    const auto parent = make_goal(agent, "parent");
    const auto goal_id = fresh_name("goal.id:with/marks");
    const auto goal = post(
        "/goals/",
        R"({"goal_id":")" + goal_id + R"(","agent_id":")" + agent +
            R"(","description":"an alias","goal_type":"simple","status":"active","priority":8,)"
            R"("constraints":{"max_token_budget":1000,"max_execution_time_sec":60,)"
            R"("max_parallelism":3,"deadline_unix_ms":1767225600123,"require_approval":true,)"
            R"("allowed_agent_types":["a","b,\"c\""],"forbidden_tools":[],"cost_limit_usd":12.5},)"
            R"("success_criteria":["done",{"score":0.9}],"metadata":{"k":"v"},)"
            R"("parent_goal_id":")" +
            parent["goal_id"].text() + R"(","decomposition_strategy":"parallel"})");
    BOOST_TEST(goal["goal_id"] == goal_id);
    auto escaped = goal_id;
    escaped.replace(escaped.find('/'), 1, "%2F");
    BOOST_TEST(get("/goals/" + escaped) == goal);
    BOOST_TEST(goal["goal_text"] == "an alias");
    BOOST_TEST(goal["goal_type"] == "simple");
    BOOST_TEST(goal["constraints_priority"] == "8");
    BOOST_TEST(goal["constraints_max_token_budget"] == "1000");
    BOOST_TEST(goal["constraints_max_execution_time_sec"] == "60");
    BOOST_TEST(goal["constraints_max_parallelism"] == "3");
    BOOST_TEST(goal["constraints_deadline_unix_ms"] == "1767225600123");
    BOOST_TEST(goal["constraints_require_approval"] == "true");
    BOOST_TEST(goal["constraints_allowed_agent_types"].dump() == R"(["a","b,\"c\""])");
    BOOST_TEST(goal["constraints_forbidden_tools"].dump() == "[]");
    BOOST_TEST(goal["constraints_cost_limit_usd"] == "12.50");
    BOOST_TEST(!goal["constraints_cost_limit_usd"].is_string());
    BOOST_TEST(goal["success_criteria"].dump() == R"(["done",{"score":0.9}])");
    BOOST_TEST(goal["metadata"].dump() == R"({"k":"v"})");
    BOOST_TEST(goal["parent_goal_id"] == parent["goal_id"]);
    BOOST_TEST(goal["decomposition_strategy"] == "parallel");
}

BOOST_AUTO_TEST_CASE(a_patch_of_a_goal) {
    const auto goal = make_goal(make_agent(fresh_name("doer"))["id"].text(), "begin");
    const auto path = "/goals/" + goal["goal_id"].text();
    const auto changed =
        patch(path, R"({"status":"completed","decomposition_strategy":"sequential","priority":9,)"
                    R"("metadata":{"m":1},"goal_text":"end","success_criteria":["x"],)"
                    R"("completed_at":"2026-01-15T12:00:00+02:00"})");
    BOOST_TEST(changed["status"] == "completed");
    BOOST_TEST(changed["decomposition_strategy"] == "sequential");
    BOOST_TEST(changed["constraints_priority"] == "9");
    BOOST_TEST(changed["metadata"].dump() == R"({"m":1})");
    BOOST_TEST(changed["goal_text"] == "end");
    BOOST_TEST(changed["success_criteria"].dump() == R"(["x"])");
    BOOST_TEST(changed["completed_at"] == "2026-01-15T10:00:00+00:00");
    BOOST_TEST(changed["goal_type"] == goal["goal_type"]);
    BOOST_TEST(get("/goals/" + goal["id"].text()) == changed);
    BOOST_TEST(
        patch("/goals/" + goal["id"].text(), R"({"completed_at":null})")["completed_at"].is_null());
    problem(shared_stack().http("PATCH", "/goals/no-such-goal", "{}"), 404);
}

BOOST_AUTO_TEST_CASE(goals_are_filtered) {
    const auto agent = make_agent(fresh_name("filter"));
    const auto other = make_agent(fresh_name("filter"));
    const auto first = make_goal(agent["id"].text(), "one")["id"].text();
    const auto second = make_goal(agent["id"].text(), "two")["id"].text();
    make_goal(other["id"].text(), "three");
    patch("/goals/" + first, R"({"status":"active"})");
    using Ids = std::vector<std::string>;
    const auto ids = [](const std::string& query) { return column(get("/goals/?" + query), "id"); };
    BOOST_TEST(ids("agent_id=" + agent["id"].text()) == (Ids{second, first}),
               boost::test_tools::per_element());
    BOOST_TEST(ids("agent_did=" + agent["did"].text()) == (Ids{second, first}),
               boost::test_tools::per_element());
    BOOST_TEST(ids("agent_id=" + agent["id"].text() + "&status=active") == Ids{first},
               boost::test_tools::per_element());
    BOOST_TEST(ids("agent_id=" + agent["id"].text() + "&limit=1&offset=1") == Ids{first},
               boost::test_tools::per_element());
    BOOST_TEST(get("/goals?agent_id=" + nobody).dump() == "[]");
    problem(shared_stack().http("GET", "/goals/?agent_id=me"), 422);
    const auto nested = get("/goals/?agent_id=" + agent["id"].text() + "&include=agent&limit=1");
    BOOST_TEST(nested[0]["agent"]["did"] == agent["did"]);
    BOOST_TEST(nested[0]["agent"]["name"] == agent["name"]);
}

BOOST_AUTO_TEST_CASE(goals_conflict_and_are_checked) {
    auto& stack = shared_stack();
    problem(stack.http("POST", "/goals/", R"({"agent_id":")" + nobody + R"(","goal_text":"x"})"),
            409);
    const auto agent = make_agent(fresh_name("careful"))["id"].text();
    const auto refused = [&](const std::string& members, const std::string& named) {
        const auto detail = problem(
            stack.http("POST", "/goals/", R"({"agent_id":")" + agent + "\"" + members + "}"), 422);
        BOOST_TEST(detail.find(named) != std::string::npos, detail);
    };
    refused("", "goal_text");
    refused(R"(,"goal_text":7)", "goal_text");
    refused(R"(,"goal_text":"x","constraints":[])", "constraints");
    refused(R"(,"goal_text":"x","constraints":{"max_parallelism":"many"})", "max_parallelism");
    refused(R"(,"goal_text":"x","priority":11)", "priority");
    problem(stack.http("POST", "/goals/", R"({"agent_id":"me","goal_text":"x"})"), 422);
    const auto goal = make_goal(agent, "once");
    problem(stack.http("POST", "/goals/",
                       R"({"goal_text":"twice","agent_id":")" + agent + R"(","goal_id":")" +
                           goal["goal_id"].text() + R"("})"),
            409);
    BOOST_TEST(get("/goals/?agent_id=" + agent).size() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
