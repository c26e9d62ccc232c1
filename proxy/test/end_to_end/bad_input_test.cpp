// Requests that make no sense: each is refused with words that help, and nothing is half written.
#include "end_to_end/support.hpp"

using namespace muster::test;

namespace {

// How many rows the data tables and the outbox hold, in one string.
std::string rows() {
    return pg_value(pg_connect(shared_stack().env("MUSTER_POSTGRES_DSN")),
                    "select concat_ws(',', (select count(*) from agents), (select count(*) from "
                    "goals), (select count(*) from tools), (select count(*) from agent_tools), "
                    "(select count(*) from tool_executions), (select count(*) from events))");
}

// Notes what is stored and checks at its end that it is the same, and that the server still serves.
class Unchanged {
  public:
    Unchanged() : before_(rows()) {}
    ~Unchanged() {
        BOOST_TEST(rows() == before_);
        BOOST_TEST(shared_stack().http("GET", "/agents/?limit=1").status == 200);
    }

  private:
    std::string before_;
};

// The detail of the problem that answers this request; it has to mention `word`.
void refused(int status, const std::string& word, const std::string& method,
             const std::string& target, std::optional<std::string> body = {}) {
    BOOST_TEST_CONTEXT(method << " " << target << " " << body.value_or("").substr(0, 100)) {
        const auto detail = problem(shared_stack().http(method, target, std::move(body)), status);
        BOOST_TEST(detail.find(word) != std::string::npos, detail);
    }
}

// Sends bytes as they are and returns the answer.
HttpAnswer raw(const std::string& bytes) {
    HttpClient client(shared_stack().port("http"));
    client.send(bytes);
    return client.read();
}

std::string head(const std::string& request_line) {
    return request_line + " HTTP/1.1\r\nHost: x\r\n" + shared_stack().http_headers();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(bad_input)

BOOST_AUTO_TEST_CASE(ids_that_are_none) {
    const Unchanged unchanged;
    for (const std::string id : {"7", "me", "00000000-0000-4000-8000-00000000000g",
                                 "00000000-0000-4000-8000-0000000000000", "'%20or%201=1--"}) {
        refused(422, "id", "GET", "/agents/" + id);
        refused(422, "id", "PATCH", "/agents/" + id, "{}");
        refused(422, "id", "DELETE", "/agents/" + id);
        refused(422, "tool_id", "PUT", "/agents/" + nobody + "/tools/" + id);
        refused(422, "id", "GET", "/tools/" + id);
        refused(422, "invocation_id", "GET", "/tools/executions/by-invocation/" + id);
        refused(422, "id", "GET", "/events/" + id);
    }
    for (const std::string path : {"/agents/", "/goals/", "/tools/", "/events/"})
        problem(shared_stack().http("GET", path + nobody), 404);
}

BOOST_AUTO_TEST_CASE(names_that_are_none) {
    const Unchanged unchanged;
    for (const std::string list :
         {"/agents/", "/goals/", "/tools/", "/tools/executions", "/events/"}) {
        refused(422, "colour", "GET", list + "?fields=id,colour");
        refused(422, "limit", "GET", list + "?limit=ten");
        refused(422, "", "GET", list + "?after=%22");
    }
    refused(422, "friends", "GET", "/agents/?include=friends");
    refused(422, "sleepy", "GET", "/agents/?status=sleepy");
}

BOOST_AUTO_TEST_CASE(bodies_that_are_no_json) {
    const Unchanged unchanged;
    for (const std::string path :
         {"/agents/", "/goals/", "/tools/", "/tools/tool-executions", "/events/"}) {
        refused(422, "", "POST", path);
        refused(422, "", "POST", path, "");
        for (const std::string body :
             {"{", "{\"name\":}", "nul", "{'name':'x'}", "{\"name\":\"x\"} x", "\xff\xfe",
              "{\"name\":\"\xc3\x28\"}", "{\"name\":\"\\ud800\"}"})
            refused(422, "", "POST", path, body);
        for (const std::string body : {"[]", "7", "\"x\"", "null", "true", "[{\"name\":\"x\"}]"})
            refused(422, "object", "POST", path, body);
    }
}

BOOST_AUTO_TEST_CASE(nul_bytes_wherever_they_are) {
    const Unchanged unchanged;
    refused(422, "", "POST", "/agents/", std::string("{\"name\":\"a\0b\"}", 14));
    refused(422, "", "POST", "/agents/", std::string("{\"name\":\"a\"}\0", 13));
    refused(422, "", "POST", "/agents/", R"({"name":"a\u0000b"})");
    refused(422, "", "POST", "/agents/", R"({"name":"a","metadata":{"x":"\u0000"}})");
    refused(422, "", "GET", "/agents/%00");
    refused(422, "", "GET", "/goals/x%00y");
    refused(422, "", "GET", "/agents/?status=active%00");
    refused(422, "", "GET", "/agents/?fields=id%00");
}

BOOST_AUTO_TEST_CASE(bodies_that_are_too_large) {
    const Unchanged unchanged;
    // Announced and sent: refused before the body has been read.
    const auto size = std::size_t{20} * 1024 * 1024;
    const auto announced =
        raw(head("POST /agents/") + "Content-Length: " + std::to_string(size) + "\r\n\r\n");
    problem(announced, 413);

    // Sent in chunks that never say how many will come.
    HttpClient client(shared_stack().port("http"));
    client.send(head("POST /agents/") + "Transfer-Encoding: chunked\r\n\r\n");
    const std::string chunk = "10000\r\n" + std::string(0x10000, 'x') + "\r\n";
    try {
        for (std::size_t sent = 0; sent < size; sent += 0x10000)
            client.send(chunk);
    } catch (const std::runtime_error&) {
        // The server has closed; what it said is there to be read.
    }
    problem(client.read(), 413);
    const std::string deep(200000, '[');
    BOOST_TEST(shared_stack().http("POST", "/agents/", deep).status >= 400);
    BOOST_TEST(shared_stack().http("POST", "/agents/", deep).status < 500);
}

BOOST_AUTO_TEST_CASE(members_of_the_wrong_type) {
    const Unchanged unchanged;
    refused(422, "name", "POST", "/agents/", "{}");
    refused(422, "name", "POST", "/agents/", R"({"name":null})");
    refused(422, "name", "POST", "/agents/", R"({"name":7})");
    refused(422, "configuration", "POST", "/agents/", R"({"name":"x","configuration":"{}"})");
    refused(422, "metadata", "POST", "/agents/", R"({"name":"x","metadata":[]})");
    const auto path = "/agents/" + nobody;
    refused(422, "status", "PATCH", path, R"({"status":true})");
    refused(422, "resource_limits", "PATCH", path, R"({"resource_limits":3})");
}

BOOST_AUTO_TEST_CASE(paths_and_methods_that_are_none) {
    const Unchanged unchanged;
    for (const std::string path :
         {"/nothing", "/agents/x/y/z", "/agents//", "/../etc/passwd", "/agent", "/AGENTS/"})
        problem(shared_stack().http("GET", path), 404);
    for (const std::string method : {"PUT", "DELETE", "PATCH", "OPTIONS", "BREW"}) {
        const auto answer = shared_stack().http(method, "/agents/", "{}");
        problem(answer, 405);
        BOOST_TEST(answer.header("allow").find("POST") != std::string::npos);
    }
    problem(raw(head("GET /agents/%zz") + "\r\n"), 400);
    problem(shared_stack().http("POST", "/health", "{}"), 405);
}

BOOST_AUTO_TEST_CASE(other_types_than_json) {
    const Unchanged unchanged;
    const auto key = "X-API-Key: " + shared_stack().env("MUSTER_API_KEY") + "\r\n";
    for (const std::string type : {"text/plain", "application/xml", "multipart/form-data"}) {
        HttpClient client(shared_stack().port("http"));
        problem(client.request("POST", "/agents/", key + "Content-Type: " + type + "\r\n",
                               R"({"name":"x"})"),
                415);
    }
}

BOOST_AUTO_TEST_CASE(protocols_that_are_none) {
    const Unchanged unchanged;
    const auto body = std::string(R"({"name":"smuggled"})");
    // Two lengths for one body.
    BOOST_TEST(raw(head("POST /agents/") + "Content-Length: " + std::to_string(body.size()) +
                   "\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
                   .status == 400);
    BOOST_TEST(raw("rubbish\r\n\r\n").status == 400);
    BOOST_TEST(
        raw("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(100000, 'x') + "\r\n\r\n").status ==
        431);
}

BOOST_AUTO_TEST_SUITE_END()
