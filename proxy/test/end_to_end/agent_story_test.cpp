// One agent's life, seen from everywhere: HTTP, the wire door, psql, PostgreSQL itself, and Redis.
#include "end_to_end/support.hpp"

using namespace muster::test;
using namespace std::chrono_literals;

namespace {

bool has_tag(const Json& message, const std::string& tag) {
    for (const auto& item : message["tags"]) {
        if (item == tag)
            return true;
    }
    return false;
}

void check_message(const Json& message, const std::string& event_type,
                   const std::string& aggregate_type) {
    BOOST_TEST((names_of(message) == Names{"id", "prev_id", "epoch", "xid", "tags", "event_type",
                                           "aggregate_type", "aggregate_id", "payload", "metadata",
                                           "timestamp"}),
               message);
    BOOST_TEST(message["event_type"] == event_type, message);
    BOOST_TEST(message["aggregate_type"] == aggregate_type, message);
    BOOST_TEST(message["payload"].is_object());
    BOOST_TEST(message["metadata"].is_object());
    BOOST_TEST(is_time(message["timestamp"]), message);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(agent_story)

BOOST_AUTO_TEST_CASE(an_agent_is_the_same_through_every_door_and_its_changes_are_told) {
    auto& stack = shared_stack();
    auto subscriber = stack.subscriber();
    const auto next = [&](const std::string& about) { return next_about(subscriber, about); };

    const auto name = fresh_name("storyteller");
    const auto agent =
        post("/agents/",
             R"({"name":")" + name +
                 R"(","agent_type":"writer","configuration":{"model":{"name":"größer ☃"}}})");
    const auto id = agent["id"].text();
    const auto created = next(id);
    check_message(created, "agent.created", "agent");
    BOOST_TEST(created["payload"]["name"] == name);
    BOOST_TEST(created["payload"]["agent_type"] == "writer");
    BOOST_TEST(created["payload"]["did"] == agent["did"]);
    BOOST_TEST(created["payload"].size() == 3u);
    BOOST_TEST(has_tag(created, "agents"));
    BOOST_TEST(has_tag(created, "agents:" + id));

    const auto goal = make_goal(id, "tell it all");
    const auto goal_made = next(goal["id"].text());
    check_message(goal_made, "goal.created", "goal");
    BOOST_TEST(goal_made["payload"]["goal_id"] == goal["goal_id"]);
    BOOST_TEST(goal_made["payload"]["status"] == "pending");
    BOOST_TEST(has_tag(goal_made, "goals"));
    BOOST_TEST(has_tag(goal_made, "agents:" + id));

    std::vector<Json> tools;
    for (const auto& stem : {"pen", "ink"}) {
        tools.push_back(make_tool(fresh_name(stem)));
        const auto tool_id = tools.back()["id"].text();
        const auto registered = next(tool_id);
        check_message(registered, "tool.registered", "tool");
        BOOST_TEST(registered["payload"]["name"] == tools.back()["name"]);
        BOOST_TEST(registered["payload"]["tool_type"] == "function");

        BOOST_TEST(stack.http("PUT", "/agents/" + id + "/tools/" + tool_id).status == 200);
        const auto linked = next(id + "," + tool_id);
        check_message(linked, "agent_tool.created", "agent_tool");
        BOOST_TEST(linked["payload"]["tool_id"] == tool_id);
        BOOST_TEST(has_tag(linked, "agents:" + id));
    }
    post("/events/", R"({"event_type":"story.begun","aggregate_type":"agent","aggregate_id":")" +
                         id + R"(","payload":{"page":1}})");
    const auto begun = next(id);
    check_message(begun, "story.begun", "agent");
    BOOST_TEST(begun["payload"].dump() == R"({"page":1})");

    // The same document, byte for byte, by every way there is.
    const auto answer = stack.http("GET", "/agents/" + id + "?include=goals,tools,event_count");
    BOOST_REQUIRE(answer.status == 200);
    const auto sql =
        "select body from muster.agent_json('" + id + "', include => 'goals,tools,event_count')";
    BOOST_TEST(answer.body == pg_value(pg_connect(stack.env("MUSTER_WIRE_DSN")), sql));
    BOOST_TEST(answer.body == pg_value(pg_connect(stack.env("MUSTER_POSTGRES_DSN")), sql));
    BOOST_TEST(answer.body + "\n" ==
               stack.run({"psql", "-XAtq", "-d", stack.env("MUSTER_WIRE_DSN"), "-c", sql}));

    const auto nested = Json::parse(answer.body);
    for (const auto& member : agent_names)
        BOOST_TEST(nested[member] == agent[member], member);
    BOOST_REQUIRE(nested["goals"].size() == 1u);
    BOOST_TEST(nested["goals"][0] == get("/goals/" + goal["goal_id"].text()));
    BOOST_TEST(nested["tools"].size() == 2u);
    for (const auto& tool : nested["tools"])
        BOOST_TEST(tool == get("/tools/" + tool["id"].text()));
    BOOST_TEST(nested["event_count"] == "1");

    // A change over HTTP, and one by an application over the wire.
    const auto changed = patch("/agents/" + id, R"({"status":"busy","metadata":{"k":[1,2]}})");
    BOOST_TEST(changed["status"] == "busy");
    const auto updated = next(id);
    check_message(updated, "agent.updated", "agent");
    BOOST_TEST(updated["payload"]["updates"]["status"] == "busy");
    BOOST_TEST(updated["payload"]["updates"]["metadata"] == Json::parse(R"({"k":[1,2]})"));
    BOOST_TEST(!updated["payload"]["updates"].has("name"));

    pg_exec(pg_connect(stack.env("MUSTER_WIRE_DSN")),
            "update agents set agent_type = 'poet' where id = '" + id + "'");
    const auto by_hand = next(id);
    check_message(by_hand, "agent.updated", "agent");
    BOOST_TEST(by_hand["payload"]["updates"]["agent_type"] == "poet");

    remove("/agents/" + id);
    const auto deleted = next(id);
    check_message(deleted, "agent.deleted", "agent");
    BOOST_TEST(deleted["payload"].size() == 0u);
    get("/agents/" + id, 404);
    get("/goals/" + goal["goal_id"].text(), 404);
    get("/tools/" + tools[0]["id"].text());
}

BOOST_AUTO_TEST_CASE(what_is_rolled_back_is_never_told) {
    auto& stack = shared_stack();
    auto subscriber = stack.subscriber();
    const auto session = pg_connect(stack.env("MUSTER_WIRE_DSN"));
    const auto ghost = fresh_name("ghost");
    const auto real = fresh_name("real");
    pg_exec(session, "begin");
    pg_exec(session, "select muster.create_agent('{\"name\":\"" + ghost + "\"}')");
    pg_exec(session, "rollback");
    make_agent(real);
    for (int i = 0; i < 1000; ++i) {
        const auto text = subscriber.next(20s);
        BOOST_REQUIRE(text);
        BOOST_TEST(text->find(ghost) == std::string::npos);
        if (text->find(real) != std::string::npos)
            return;
    }
    BOOST_ERROR("the agent that was made was not told");
}

BOOST_AUTO_TEST_SUITE_END()
