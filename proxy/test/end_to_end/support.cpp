// What the end-to-end tests have in common.
#include "end_to_end/support.hpp"

#include <atomic>
#include <chrono>
#include <regex>
#include <stdexcept>

namespace muster::test {

const Names agent_names{"id",         "did",           "name",     "agent_type",
                        "status",     "configuration", "metadata", "resource_limits",
                        "created_at", "updated_at"};

const Names goal_names{"id",
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

const Names tool_names{"id",          "name",    "description", "tool_type", "schema_def",
                       "permissions", "enabled", "created_at",  "updated_at"};

const Names execution_names{"id",
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

const Names event_names{"id",      "event_type", "aggregate_type", "aggregate_id",
                        "payload", "metadata",   "created_at",     "version"};

Json get(const std::string& target, int status) {
    return shared_stack().http_json(status, "GET", target);
}

Json post(const std::string& target, const std::string& body, int status) {
    return shared_stack().http_json(status, "POST", target, body);
}

Json patch(const std::string& target, const std::string& body, int status) {
    return shared_stack().http_json(status, "PATCH", target, body);
}

void remove(const std::string& target) {
    const auto answer = shared_stack().http("DELETE", target);
    if (answer.status != 204 || !answer.body.empty())
        throw std::runtime_error("DELETE " + target + ": " + std::to_string(answer.status) + " " +
                                 answer.body);
}

std::string fresh_name(const std::string& stem) {
    static std::atomic<int> count{0};
    return stem + "-" + std::to_string(++count);
}

Json make_agent(const std::string& name) {
    return post("/agents/", R"({"name":")" + name + R"("})");
}

Json make_tool(const std::string& name) {
    return post("/tools/", R"({"name":")" + name + R"(","schema_def":{"type":"object"}})");
}

Json make_goal(const std::string& agent_id, const std::string& text) {
    return post("/goals/", R"({"agent_id":")" + agent_id + R"(","goal_text":")" + text + R"("})");
}

HttpAnswer admin(const std::string& path) {
    return HttpClient(shared_stack().port("admin")).request("GET", path);
}

double sample(const std::string& name, const std::vector<std::string>& labels) {
    const auto text = admin("/metrics").body;
    double sum = 0;
    bool found = false;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        const auto line = text.substr(at, end - at);
        at = end + 1;
        const bool named =
            line.starts_with(name) && (line[name.size()] == '{' || line[name.size()] == ' ');
        bool labelled = named;
        for (const auto& label : labels)
            labelled = labelled && line.find(label) != std::string::npos;
        if (labelled) {
            sum += std::stod(line.substr(line.rfind(' ')));
            found = true;
        }
    }
    return found ? sum : -1;
}

std::string problem(const HttpAnswer& answer, int status) {
    BOOST_TEST(answer.status == status, answer.status << " " << answer.body);
    BOOST_TEST(answer.header("content-type") == "application/problem+json");
    const auto json = Json::parse(answer.body);
    BOOST_TEST(json["status"] == std::to_string(status));
    BOOST_TEST(!json["title"].text().empty());
    BOOST_TEST(json.has("type"));
    BOOST_TEST(json["detail"].is_string());
    return json["detail"].text();
}

Names names_of(const Json& object) {
    return {object.names().begin(), object.names().end()};
}

std::vector<std::string> column(const Json& list, std::string_view name) {
    std::vector<std::string> values;
    for (const auto& item : list)
        values.push_back(item[name].text());
    return values;
}

std::string next_page(const HttpAnswer& answer) {
    const auto link = answer.header("link");
    const std::string end = ">; rel=\"next\"";
    if (link.size() <= end.size() || link[0] != '<' || !link.ends_with(end))
        return "";
    return link.substr(1, link.size() - 1 - end.size());
}

std::vector<Json> all_pages(std::string target) {
    std::vector<Json> items;
    for (int page = 0; page < 100; ++page) {
        const auto answer = shared_stack().http("GET", target);
        if (answer.status != 200)
            throw std::runtime_error("GET " + target + ": " + answer.body);
        const auto list = Json::parse(answer.body);
        items.insert(items.end(), list.begin(), list.end());
        target = next_page(answer);
        if (target.empty())
            return items;
    }
    throw std::runtime_error("the pages do not end");
}

Json next_about(RedisSubscriber& subscriber, const std::string& aggregate_id) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (std::chrono::steady_clock::now() < give_up) {
        const auto text = subscriber.next(std::chrono::seconds(30));
        if (!text)
            break;
        auto message = Json::parse(*text);
        if (message["aggregate_id"] == aggregate_id)
            return message;
    }
    throw std::runtime_error("no message about " + aggregate_id);
}

bool is_time(const Json& json) {
    static const std::regex form(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00)");
    return json.is_string() && std::regex_match(json.text(), form);
}

}  // namespace muster::test
