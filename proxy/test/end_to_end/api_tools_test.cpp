// Tools and tool executions, call by call.
#include <algorithm>

#include "end_to_end/support.hpp"

using namespace muster::test;

namespace {

// A fresh uuid.
std::string invocation() {
    return pg_value(pg_connect(shared_stack().env("MUSTER_POSTGRES_DSN")),
                    "select gen_random_uuid()");
}

Json execute(const std::string& members) {
    return post("/tools/tool-executions", R"({"invocation_id":")" + invocation() +
                                              R"(","tool_name":"hammer")" + members + "}");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(api_tools)

BOOST_AUTO_TEST_CASE(a_tool_is_made_and_changed) {
    const auto name = fresh_name("tool");
    const auto tool = make_tool(name);
    BOOST_TEST((names_of(tool) == tool_names), tool);
    BOOST_TEST(tool["name"] == name);
    BOOST_TEST(tool["tool_type"] == "function");
    BOOST_TEST(tool["enabled"] == "true");
    BOOST_TEST(tool["permissions"].dump() == "{}");
    BOOST_TEST(tool["description"].is_null());
    const auto path = "/tools/" + tool["id"].text();
    BOOST_TEST(get(path) == tool);
    const auto changed = patch(path, R"({"description":"d","schema_def":{"type":"string"},)"
                                     R"("permissions":{"p":[1]},"enabled":false,"name":"other"})");
    BOOST_TEST(changed["description"] == "d");
    BOOST_TEST(changed["schema_def"].dump() == R"({"type":"string"})");
    BOOST_TEST(changed["permissions"].dump() == R"({"p":[1]})");
    BOOST_TEST(changed["enabled"] == "false");
    BOOST_TEST(changed["name"] == name);  // not among what a PATCH takes
    problem(shared_stack().http("PATCH", "/tools/" + nobody, "{}"), 404);
    problem(shared_stack().http("GET", "/tools/" + nobody), 404);
}

BOOST_AUTO_TEST_CASE(tools_are_checked) {
    auto& stack = shared_stack();
    const auto name = make_tool(fresh_name("unique"))["name"].text();
    const auto twice = R"({"name":")" + name + R"(","schema_def":{}})";
    const auto detail = problem(stack.http("POST", "/tools/", twice), 409);
    BOOST_TEST(detail.find("name") != std::string::npos, detail);
    problem(stack.http("POST", "/tools/", R"({"name":"no schema"})"), 422);
    problem(stack.http("POST", "/tools/", R"({"schema_def":{}})"), 422);
    problem(stack.http("POST", "/tools/", R"({"name":"x","schema_def":"{}"})"), 422);
    problem(stack.http("POST", "/tools/", R"({"name":"x","schema_def":{},"tool_type":"magic"})"),
            422);
    for (const std::string type : {"function", "api", "external"})
        BOOST_TEST(post("/tools/", R"({"name":")" + fresh_name("typed") +
                                       R"(","schema_def":{},"tool_type":")" + type +
                                       R"("})")["tool_type"] == type);
}

BOOST_AUTO_TEST_CASE(tools_are_listed_by_name) {
    const auto on = make_tool(fresh_name("zz-on"));
    const auto off = make_tool(fresh_name("zz-off"));
    patch("/tools/" + off["id"].text(), R"({"enabled":false})");
    auto names = column(get("/tools/?limit=1000"), "name");
    BOOST_TEST(std::is_sorted(names.begin(), names.end()));
    BOOST_TEST(std::count(names.begin(), names.end(), off["name"].text()) == 1);
    for (const std::string yes : {"true", "True"}) {
        names = column(get("/tools?enabled_only=" + yes + "&limit=1000"), "name");
        BOOST_TEST(std::count(names.begin(), names.end(), off["name"].text()) == 0);
        BOOST_TEST(std::count(names.begin(), names.end(), on["name"].text()) == 1);
    }
    for (const std::string no : {"false", "False"}) {
        names = column(get("/tools/?limit=1000&enabled_only=" + no), "name");
        BOOST_TEST(std::count(names.begin(), names.end(), off["name"].text()) == 1);
    }
    problem(shared_stack().http("GET", "/tools/?enabled_only=perhaps"), 422);
    std::vector<std::string> paged;
    for (const auto& tool : all_pages("/tools/?limit=4"))
        paged.push_back(tool["name"].text());
    names = column(get("/tools/?limit=1000"), "name");
    BOOST_TEST(paged == names, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(an_execution_is_recorded_and_finished) {
    const auto agent = make_agent(fresh_name("executor"));
    const auto plain = execute("");
    BOOST_TEST((names_of(plain) == execution_names), plain);
    BOOST_TEST(plain["status"] == "pending");
    BOOST_TEST(plain["retryable"] == "false");
    BOOST_TEST(plain["async_mode"] == "false");
    BOOST_TEST(plain["require_approval"] == "false");
    BOOST_TEST(plain["priority"] == "5");
    BOOST_TEST(plain["input_params"].dump() == "{}");
    BOOST_TEST(plain["documents_accessed"].dump() == "[]");
    BOOST_TEST(plain["checkpoints_created"].dump() == "[]");
    BOOST_TEST(plain["output_result"].is_null());

    const auto session = fresh_name("session");
    const auto full = execute(R"(,"agent_id":")" + agent["id"].text() + R"(","session_id":")" +
                              session + R"(","tenant_id":"t1","status":"running",)" +
                              R"("input_params":{"nail":3},"tool_version":"1.2","priority":1)");
    BOOST_TEST(full["session_id"] == session);
    BOOST_TEST(full["input_params"].dump() == R"({"nail":3})");
    const auto invocation_id = full["invocation_id"].text();
    BOOST_TEST(get("/tools/tool-executions/" + full["id"].text()) == full);
    BOOST_TEST(get("/tools/executions/by-invocation/" + invocation_id) == full);

    const auto done =
        patch("/tools/executions/" + invocation_id,
              R"({"status":"success","output_result":{"driven":true},"duration_ms":12,)"
              R"("memory_peak_mb":7,"network_bytes_sent":5000000000,"documents_accessed":["d"],)"
              R"("completed_at":"2026-01-15T12:00:00Z"})");
    BOOST_TEST(done["status"] == "success");
    BOOST_TEST(done["output_result"].dump() == R"({"driven":true})");
    BOOST_TEST(done["duration_ms"] == "12");
    BOOST_TEST(done["network_bytes_sent"] == "5000000000");
    BOOST_TEST(done["documents_accessed"].dump() == R"(["d"])");
    BOOST_TEST(done["completed_at"] == "2026-01-15T12:00:00+00:00");
    BOOST_TEST(done["session_id"] == session);

    const auto query = "/tools/executions?session_id=" + session;
    BOOST_TEST(get(query).size() == 1u);
    BOOST_TEST(get(query)[0] == done);
    for (const auto& more : {"&status=success", "&tenant_id=t1", "&tool_name=hammer", "/"}) {
        const bool slash = std::string(more) == "/";
        const auto target = slash ? "/tools/executions/?session_id=" + session : query + more;
        BOOST_TEST(get(target).size() == 1u, target);
    }
    BOOST_TEST(get(query + "&agent_id=" + agent["id"].text()).size() == 1u);
    for (const auto& none : {"&status=failed", "&tenant_id=t2", "&tool_name=saw"})
        BOOST_TEST(get(query + none).size() == 0u, none);
}

BOOST_AUTO_TEST_CASE(executions_are_checked) {
    auto& stack = shared_stack();
    const auto first = execute("");
    problem(stack.http(
                "POST", "/tools/tool-executions",
                R"({"tool_name":"x","invocation_id":")" + first["invocation_id"].text() + R"("})"),
            409);
    problem(stack.http("POST", "/tools/tool-executions", R"({"tool_name":"x"})"), 422);
    problem(stack.http("POST", "/tools/tool-executions",
                       R"({"tool_name":"x","invocation_id":"seven"})"),
            422);
    const auto path = "/tools/executions/" + first["invocation_id"].text();
    problem(stack.http("PATCH", path, R"({"status":"lost"})"), 422);
    problem(stack.http("PATCH", path, R"({"duration_ms":"long"})"), 422);
    problem(stack.http("PATCH", "/tools/executions/" + nobody, "{}"), 404);
    get("/tools/executions/by-invocation/" + nobody, 404);
    get("/tools/tool-executions/" + nobody, 404);
    for (const std::string status : {"pending", "running", "success", "error", "failed", "timeout",
                                     "cancelled", "permission_denied", "pending_approval"})
        BOOST_TEST(patch(path, R"({"status":")" + status + R"("})")["status"] == status);
    // The fixed words are no ids of tools: a list, and a method that the path has not.
    BOOST_TEST(get("/tools/executions").is_array());
    BOOST_TEST(stack.http("GET", "/tools/tool-executions").status == 405);
}

BOOST_AUTO_TEST_SUITE_END()
