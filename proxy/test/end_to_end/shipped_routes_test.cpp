// Every route of the shipped configuration on a whole stack: that what is cached shows what was
// written past the proxy, and that no write is carried out twice.
#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

#include "config/load.hpp"
#include "end_to_end/extra_proxy.hpp"
#include "end_to_end/probes.hpp"
#include "end_to_end/support.hpp"

using namespace muster;
using namespace muster::test;
using namespace std::chrono_literals;

namespace {

const std::string& headers() {
    static const std::string lines = premium_key() + "Content-Type: application/json\r\n";
    return lines;
}

HttpAnswer ask(const std::string& method, const std::string& target,
               std::optional<std::string> body = {}, const std::string& more = "",
               unsigned short port = shared_stack().port("http")) {
    return HttpClient(port).request(method, target, headers() + more, std::move(body));
}

bool is_hit(const HttpAnswer& answer) {
    return answer.header("cache-status").find("; hit") != std::string::npos;
}

std::vector<config::Route> routes_of_the_stack() {
    const auto command = shared_stack().proxy_command();
    const auto option = std::find(command.begin(), command.end(), "--config");
    BOOST_REQUIRE(command.end() - option > 1);
    const auto config = config::load(option[1], {});
    BOOST_REQUIRE(config);
    return config.value().routes;
}

std::string quoted(const std::string& id) {
    return "'" + id + "'";
}

// What other statements are about.
struct Things {
    const std::string agent = make_agent(fresh_name("cached"))["id"].text();
    const std::string tool = make_tool(fresh_name("cached"))["id"].text();
    const std::string goal = make_goal(agent, "cached")["id"].text();
    const std::string invocation = owner_value("select gen_random_uuid()");
    const std::string execution =
        post("/tools/tool-executions", R"({"invocation_id":")" + invocation +
                                           R"(","tool_name":"cached","agent_id":")" + agent +
                                           "\"}")["id"]
            .text();
};

// A statement that changes what a route shows with some include, "" for without.
struct Change {
    std::string route;
    std::string include;
    std::string target;
    std::string sql;
    std::string shows;  // by that it is known; empty: by another answer than before
};

std::vector<Change> changes_of(const Things& things) {
    const auto mark = [] { return fresh_name("mark"); };
    const auto set = [](const std::string& table, const std::string& column,
                        const std::string& value, const std::string& id) {
        return "update " + table + " set " + column + " = '" + value + "' where id = " + quoted(id);
    };
    const auto link = [&] {
        return "insert into agent_tools (agent_id, tool_id) values (" + quoted(things.agent) +
               ", " + quoted(make_tool(fresh_name("linked"))["id"].text()) + ")";
    };
    std::vector<Change> all;
    const auto add = [&](const std::string& route, const std::string& target,
                         const std::string& include, const std::string& table,
                         const std::string& column, const std::string& id) {
        const auto shown = mark();
        const std::string end = target.find('?') == std::string::npos ? "?" : "&";
        all.push_back({route, include,
                       include.empty() ? target : target + end + "include=" + include,
                       set(table, column, shown, id), shown});
    };
    ask("PUT", "/agents/" + things.agent + "/tools/" + things.tool);
    const std::map<std::string, std::string> agents{{"list_agents", "/agents/?limit=10"},
                                                    {"get_agent", "/agents/" + things.agent}};
    for (const auto& [route, target] : agents) {
        add(route, target, "", "agents", "name", things.agent);
        add(route, target, "goals", "goals", "goal_text", things.goal);
        add(route, target, "tools", "tools", "description", things.tool);
        const std::string end = route == "get_agent" ? "?include=" : "&include=";
        all.push_back({route, "tools", target + end + "tools", link(), ""});
        all.push_back({route, "event_count", target + end + "event_count",
                       "insert into events (event_type, aggregate_type, aggregate_id, payload)"
                       " values ('counted', 'agent', " +
                           quoted(things.agent) + ", '{}')",
                       ""});
    }
    const std::map<std::string, std::string> goals{
        {"list_goals", "/goals/?agent_id=" + things.agent}, {"get_goal", "/goals/" + things.goal}};
    for (const auto& [route, target] : goals) {
        add(route, target, "", "goals", "goal_text", things.goal);
        add(route, target, "agent", "agents", "name", things.agent);
    }
    const std::map<std::string, std::string> tools{{"list_tools", "/tools/?limit=1000"},
                                                   {"get_tool", "/tools/" + things.tool}};
    for (const auto& [route, target] : tools) {
        add(route, target, "", "tools", "description", things.tool);
        all.push_back({route, "agent_count",
                       target + (route == "get_tool" ? "?" : "&") + "include=agent_count",
                       "insert into agent_tools (agent_id, tool_id) values (" +
                           quoted(make_agent(fresh_name("counted"))["id"].text()) + ", " +
                           quoted(things.tool) + ")",
                       ""});
    }
    const std::map<std::string, std::string> executions{
        {"list_tool_executions", "/tools/executions?agent_id=" + things.agent},
        {"get_tool_execution_by_invocation",
         "/tools/executions/by-invocation/" + things.invocation},
        {"get_tool_execution", "/tools/tool-executions/" + things.execution}};
    for (const auto& [route, target] : executions)
        add(route, target, "", "tool_executions", "error_message", things.execution);
    // Events are published when they are made, and are not changed.
    const auto make = [&](const std::string& id, const std::string& type) {
        return "insert into events (id, event_type, aggregate_type, aggregate_id, payload) values "
               "(" +
               quoted(id) + ", " + quoted(type) + ", 'agent', " + quoted(things.agent) + ", '{}')";
    };
    for (const std::string route : {"list_events", "get_event"}) {
        const auto id = owner_value("select gen_random_uuid()");
        const auto shown = mark();
        all.push_back(
            {route, "",
             route == "get_event" ? "/events/" + id : "/events/?aggregate_id=" + things.agent,
             make(id, shown), shown});
    }
    return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(shipped_routes)

// Without a token, and before the answer's time is over: 30 s, and 10 s of "there is no such
// thing".
BOOST_AUTO_TEST_CASE(what_is_cached_shows_what_was_written_past_the_proxy) {
    const ExtraProxy proxy({"cache.negative_ttl=10s"});
    const auto read = [&](const std::string& target) {
        return ask("GET", target, {}, "", proxy.http);
    };
    const Things things;
    const auto changes = changes_of(things);
    for (const auto& route : routes_of_the_stack()) {
        if (!route.cache)
            continue;
        std::vector<std::string> words{""};
        for (const auto& [word, tags] : route.cache->include_tags)
            words.push_back(word);
        for (const auto& word : words) {
            const bool tested = std::any_of(changes.begin(), changes.end(), [&](const auto& one) {
                return one.route == route.name && one.include == word;
            });
            BOOST_TEST(tested, route.name << " with include=" << word << " has no test");
        }
        BOOST_TEST((route.cache->ttl >= 30s));
    }
    const auto owner = pg_connect(shared_stack().env("MUSTER_POSTGRES_DSN"));
    for (const auto& change : changes) {
        const std::string what = change.target + " after " + change.sql;
        BOOST_TEST_CONTEXT(what) {
            HttpAnswer before;
            wait_until("a hit: " + what, [&] {
                before = read(change.target);
                return is_hit(before);
            });
            pg_exec(owner, change.sql);
            const auto written = std::chrono::steady_clock::now();
            HttpAnswer after;
            bool shown = false;
            while (!shown && std::chrono::steady_clock::now() - written < 7s) {
                std::this_thread::sleep_for(10ms);
                after = read(change.target);
                shown = after.status == 200 &&
                        (change.shows.empty() ? after.body != before.body
                                              : after.body.find(change.shows) != std::string::npos);
            }
            BOOST_TEST(shown, after.header("cache-status") << " " << after.body.substr(0, 1000));
        }
    }
}

BOOST_AUTO_TEST_CASE(no_write_is_carried_out_twice) {
    const Things things;
    const auto doomed = make_agent(fresh_name("doomed"))["id"].text();
    const std::string link = "/agents/" + things.agent + "/tools/" + things.tool;
    struct Write {
        std::string route, method, target;
        std::optional<std::string> body;
    };
    const std::vector<Write> writes{
        {"create_agent", "POST", "/agents/", R"({"name":")" + fresh_name("once") + "\"}"},
        {"update_agent", "PATCH", "/agents/" + things.agent, R"({"status":"busy"})"},
        {"delete_agent", "DELETE", "/agents/" + doomed, {}},
        {"add_agent_tool", "PUT", link, {}},
        {"remove_agent_tool", "DELETE", link, {}},
        {"create_goal", "POST", "/goals/",
         R"({"agent_id":")" + things.agent + R"(","goal_text":"once"})"},
        {"update_goal", "PATCH", "/goals/" + things.goal, R"({"status":"active"})"},
        {"create_tool", "POST", "/tools/",
         R"({"name":")" + fresh_name("once") + R"(","schema_def":{}})"},
        {"update_tool", "PATCH", "/tools/" + things.tool, R"({"description":"once"})"},
        {"create_tool_execution", "POST", "/tools/tool-executions",
         R"({"tool_name":"once","invocation_id":")" + owner_value("select gen_random_uuid()") +
             "\"}"},
        {"update_tool_execution", "PATCH", "/tools/executions/" + things.invocation,
         R"({"status":"running"})"},
        {"create_event", "POST", "/events/",
         R"({"event_type":"once","aggregate_type":"agent","aggregate_id":")" + things.agent +
             "\"}"},
    };
    for (const auto& route : routes_of_the_stack()) {
        const bool tested = std::any_of(writes.begin(), writes.end(), [&](const auto& one) {
            return one.route == route.name && one.method == route.method;
        });
        BOOST_TEST((tested || route.method == "GET"), route.name << " has no test");
    }
    for (const auto& write : writes) {
        BOOST_TEST_CONTEXT(write.route) {
            const std::string key = "Idempotency-Key: " + fresh_name(write.route) + "\r\n";
            const auto first = ask(write.method, write.target, write.body, key);
            BOOST_TEST(first.status / 100 == 2, first.body);
            BOOST_TEST(first.header("idempotency-replayed") == "");
            const auto second = ask(write.method, write.target, write.body, key);
            BOOST_TEST(second.header("idempotency-replayed") == "true");
            BOOST_TEST(second.status == first.status);
            BOOST_TEST(second.body == first.body);
            BOOST_TEST(second.header("location") == first.header("location"));
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
