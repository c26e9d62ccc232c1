// Every status that the HTTP door knows, from the program in front of pgbouncer, PostgreSQL and
// Redis. The API's own are in the tests of its calls, 429 in those of the limits, and what an
// outage is answered with in those of outages.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>

#include "end_to_end/extra_proxy.hpp"
#include "end_to_end/probes.hpp"
#include "end_to_end/support.hpp"
#include "push/client.hpp"

using namespace muster::test;
using namespace std::chrono_literals;

namespace {

// The proxy that most of these tests ask. One failure of a kind is no reason to open a breaker.
const ExtraProxy& probed() {
    static const ExtraProxy proxy({"breaker.failures=1000"}, command_with_probes());
    return proxy;
}

const std::string& key() {
    static const std::string header = premium_key();
    return header;
}

HttpAnswer ask(const std::string& method, const std::string& target,
               const std::string& headers = key(), std::optional<std::string> body = {}) {
    return HttpClient(probed().http).request(method, target, headers, std::move(body));
}

// Sends bytes as they are and returns the first answer.
HttpAnswer raw(const std::string& bytes) {
    HttpClient client(probed().http);
    client.send(bytes);
    return client.read();
}

const std::string json = "Content-Type: application/json\r\n";
const std::string upgrade =
    "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

}  // namespace

BOOST_AUTO_TEST_SUITE(statuses)

BOOST_AUTO_TEST_CASE(what_went_well) {
    BOOST_TEST(ask("GET", "/probe/answer/200").status == 200);
    BOOST_TEST(ask("POST", "/probe/answer/201", key() + json, "{}").status == 201);
    const auto accepted = ask("POST", "/probe/answer/202", key() + json, R"({"a": 1})");
    BOOST_TEST(accepted.status == 202);
    BOOST_TEST(accepted.body == R"({"a": 1})");
    // A function may answer as it likes.
    for (const int status : {203, 302, 409, 410, 418, 451, 507})
        BOOST_TEST(ask("GET", "/probe/answer/" + std::to_string(status)).status == status);
    // A body that is announced with a question is asked for.
    HttpClient client(probed().http);
    client.send("POST /probe/answer/201 HTTP/1.1\r\nHost: x\r\n" + key() + json +
                "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    BOOST_TEST(client.read().status == 100);
    client.send("{}");
    BOOST_TEST(client.read().status == 201);
}

BOOST_AUTO_TEST_CASE(what_is_no_http) {
    const std::string post = "POST /probe/answer/200 HTTP/1.1\r\nHost: x\r\n" + key() + json;
    problem(raw("GET / HTTP/1.1\r\n\r\n"), 400);
    problem(raw("GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n"), 400);
    problem(raw(post + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}"), 400);
    problem(raw(post + "Transfer-Encoding: gzip\r\n\r\n"), 400);
    problem(raw("GET nowhere HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
    problem(raw("GET /agents/%zz HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
    problem(raw(post + "Expect: the best\r\nContent-Length: 2\r\n\r\n{}"), 417);
    problem(ask("GET", "/agents/" + nobody, key() + "Muster-Token: nonsense\r\n"), 400);
}

// SQLSTATEs that a function raises, and what a client is told of them.
BOOST_AUTO_TEST_CASE(what_the_database_refuses) {
    const std::pair<const char*, int> expected[] = {
        {"22023", 422}, {"23502", 422}, {"23514", 422}, {"23505", 409}, {"23503", 409},
        {"P0002", 404}, {"42501", 403}, {"54000", 413}, {"57014", 504}, {"40001", 503},
        {"40P01", 503}, {"55P03", 503}, {"25006", 503}, {"53100", 503}, {"08006", 503},
        {"57P03", 503}, {"P0001", 500}, {"XX000", 500}, {"42883", 500}};
    for (const auto& [code, status] : expected) {
        BOOST_TEST_CONTEXT(code) {
            const auto answer =
                ask("GET", std::string("/probe/fail/") + code + "?message=between%20us");
            const auto detail = problem(answer, status);
            const auto told = Json::parse(answer.body);
            BOOST_TEST(told["sqlstate"] == code);
            BOOST_TEST((detail == "between us") == (status < 500), detail);
            BOOST_TEST(told.has("hint") == (status < 500));
            BOOST_TEST(answer.header("retry-after") == (status == 503 ? "1" : ""));
        }
    }
    for (const char* target : {"/probe/two", "/probe/answer/99", "/probe/answer/1000"})
        problem(ask("GET", target), 500);
    BOOST_TEST(probed().said().find("route \"probe_fail\" failed with XX000: \"between us\"") !=
               std::string::npos);
}

// The statement is cancelled, through pgbouncer, and the connection is as good as before.
BOOST_AUTO_TEST_CASE(what_takes_too_long) {
    const ExtraProxy hasty({"http.request_timeout=1s", "threads=1", "database.pool_size=1"},
                           command_with_probes());
    HttpClient client(hasty.http);
    BOOST_TEST(problem(client.request("GET", "/probe/sleep/4000", key()), 504) ==
               "the database did not answer in time");
    wait_until("the statement to be gone", [] {
        return owner_value(
                   "select count(*) from pg_stat_activity where state = 'active' and query like "
                   "'%probe.sleep%' and pid <> pg_backend_pid()") == "0";
    });
    BOOST_TEST(client.request("GET", "/probe/sleep/1", key()).status == 200);
}

BOOST_AUTO_TEST_CASE(what_is_for_live_clients) {
    const auto refused = [](const std::string& target, const std::string& headers, int status,
                            const std::string& method = "GET") {
        const auto answer = ask(method, target, headers);
        problem(answer, status);
        return answer;
    };
    BOOST_TEST(refused("/ws", key(), 426).header("upgrade") == "websocket");
    std::string old = upgrade;
    old.replace(old.find("13"), 2, "12");
    BOOST_TEST(refused("/ws", key() + old, 426).header("sec-websocket-version") == "13");
    std::string keyless = upgrade;
    keyless.replace(keyless.find("dGhl"), 4, "");
    refused("/ws", key() + keyless, 400);
    refused("/events/stream", key() + "Content-Length: 1\r\n", 400);
    refused("/ws", upgrade, 401);
    refused("/events/stream?ticket=" + std::string(64, 'a'), "", 401);
    const auto writer = "X-API-Key: " +
                        owner_value("select muster.create_api_key('" + fresh_name("writer") +
                                    "', scopes => '{write}')") +
                        "\r\n";
    refused("/events/stream", writer, 403);
    refused("/tickets", writer, 403, "POST");
    refused("/ws", key() + upgrade + "Origin: https://evil.example\r\n", 403);
    BOOST_TEST(refused("/ws", key(), 405, "POST").header("allow") == "GET");
    BOOST_TEST(refused("/events/stream", key(), 405, "DELETE").header("allow") == "GET");
    BOOST_TEST(refused("/tickets", key(), 405).header("allow") == "POST");
    refused("/events/stream?resume=1", key(), 422);
    refused("/events/stream?event_type=", key(), 422);
    refused("/events/stream", key() + "Last-Event-ID: x\r\n", 422);

    const auto answer = raw("GET /ws HTTP/1.1\r\nHost: x\r\n" + key() + upgrade + "\r\n");
    BOOST_TEST(answer.status == 101);
    BOOST_TEST(answer.header("connection") == "Upgrade");
    BOOST_TEST(answer.header("upgrade") == "websocket");
    BOOST_TEST(answer.header("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

BOOST_AUTO_TEST_CASE(what_operators_are_told) {
    const auto operate = [](const std::string& method, const std::string& target,
                            const std::string& headers = "") {
        return HttpClient(probed().admin).request(method, target, headers);
    };
    BOOST_TEST(operate("GET", "/metrics").status == 200);
    BOOST_TEST(operate("GET", "/queries").status == 200);
    BOOST_TEST(operate("POST", "/queries/reset").status == 204);
    problem(operate("POST", "/queries/reset", "Sec-Fetch-Site: cross-site\r\n"), 403);
    problem(operate("POST", "/queries/reset", "Origin: https://evil.example\r\n"), 403);
    problem(operate("GET", "/agents/"), 404);
    BOOST_TEST(operate("POST", "/metrics").header("allow") == "GET, HEAD");
    BOOST_TEST(operate("DELETE", "/queries").header("allow") == "GET, HEAD");
    const auto read = operate("GET", "/queries/reset");
    problem(read, 405);
    BOOST_TEST(read.header("allow") == "POST");
    problem(operate("GET", "/queries?sort=beauty"), 422);
    problem(operate("GET", "/queries?format=pdf"), 422);
    problem(operate("GET", "/%zz"), 400);
}

// A path that the door answers itself is no route's, and whoever starts with one is told.
BOOST_AUTO_TEST_CASE(a_route_that_would_be_hidden_is_refused) {
    for (const std::string path : {"/ws", "/events/stream", "/tickets"}) {
        auto command = command_with_probes("[[route]]\nname = \"mine\"\nmatch = \"GET " + path +
                                           "\"\ncall = \"probe.two()\"\n");
        const auto option = std::find(command.begin(), command.end(), "--config");
        const std::string text = read_file(option[1]);
        const auto line = std::count(text.begin(), text.end(), '\n') - 3;
        command.push_back("--check-config");
        const Sandbox sandbox;
        Process process(command, sandbox.path() / "log", SIGKILL, false);
        BOOST_TEST(WEXITSTATUS(process.wait()) == 2);
        BOOST_TEST(read_file(sandbox.path() / "log") ==
                   option[1] + ":" + std::to_string(line) + ": route \"mine\" has the path \"" +
                       path + "\", which is that of live updates unless push.enabled is false\n");
        // Without live updates the path is free.
        const ExtraProxy without({"push.enabled=false"}, [&] {
            command.pop_back();
            return command;
        }());
        BOOST_TEST(HttpClient(without.http).request("GET", path, key()).status == 500);
    }
}

BOOST_AUTO_TEST_SUITE_END()
