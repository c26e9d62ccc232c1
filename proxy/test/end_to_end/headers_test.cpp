// Every header that the HTTP door reads or sends, on the whole stack. Those of rate limits, times,
// idempotency and paging are in the tests of these.
#include <zlib.h>

#include <chrono>

#include "end_to_end/extra_proxy.hpp"
#include "end_to_end/probes.hpp"
#include "end_to_end/support.hpp"
#include "push/client.hpp"

using namespace muster::test;
using namespace std::chrono_literals;

namespace {

const ExtraProxy& probed() {
    static const ExtraProxy proxy({"http.cors_origins=https://app.example.org"},
                                  command_with_probes());
    return proxy;
}

const std::string& key() {
    static const std::string header = premium_key();
    return header;
}

const std::string json = "Content-Type: application/json\r\n";

HttpAnswer ask(const std::string& method, const std::string& target, const std::string& headers,
               std::optional<std::string> body = {}) {
    return HttpClient(probed().http).request(method, target, headers, std::move(body));
}

HttpAnswer get_with(const std::string& target, const std::string& headers = "") {
    return ask("GET", target, key() + headers);
}

bool has(const std::string& list, const std::string& name) {
    return (", " + list + ",").find(", " + name + ",") != std::string::npos;
}

std::string unpacked(const std::string& text, std::size_t size) {
    z_stream z{};
    BOOST_REQUIRE(inflateInit2(&z, 15 + 16) == Z_OK);
    std::string out(size, '\0');
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    z.avail_in = static_cast<uInt>(text.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    BOOST_TEST(inflate(&z, Z_FINISH) == Z_STREAM_END);
    out.resize(out.size() - z.avail_out);
    inflateEnd(&z);
    return out;
}

// Asks until the answer comes from the cache.
HttpAnswer hit(const std::string& target) {
    HttpAnswer answer;
    wait_until("a hit", [&] {
        answer = get_with(target);
        return answer.header("cache-status").starts_with("muster; hit");
    });
    return answer;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(headers)

BOOST_AUTO_TEST_CASE(of_every_answer) {
    HttpClient client(probed().http);
    const auto answer = client.request("GET", "/probe/answer/200", key());
    BOOST_TEST(answer.header("date").ends_with(" GMT"));
    BOOST_TEST(answer.header("content-type") == "application/json");
    BOOST_TEST(answer.header("content-length") == "2");
    BOOST_TEST(answer.header("connection") == "");
    BOOST_TEST(answer.header("x-request-id").size() == 32u);
    const auto head = client.request("HEAD", "/probe/answer/200", key());
    BOOST_TEST(head.status == 200);
    BOOST_TEST(head.header("content-length") == "2");
    BOOST_TEST(client.request("GET", "/health", "Connection: close\r\n").header("connection") ==
               "close");
    BOOST_TEST(client.closed());
}

BOOST_AUTO_TEST_CASE(that_follow_a_request_through_the_system) {
    const std::string trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const auto answer =
        get_with("/probe/answer/200", "X-Request-Id: mine-1\r\ntraceparent: " + trace + "\r\n");
    BOOST_TEST(answer.header("x-request-id") == "mine-1");
    BOOST_TEST(answer.header("traceparent") == trace);
    const auto other =
        get_with("/probe/answer/200", "X-Request-Id: not \"mine\"\r\ntraceparent: 00-nonsense\r\n");
    BOOST_TEST(other.header("x-request-id").size() == 32u);
    BOOST_TEST(other.header("traceparent") == "");
    // An error can be found in the log.
    const auto failed = get_with("/probe/fail/XX000", "X-Request-Id: mine-2\r\n");
    BOOST_TEST(failed.header("x-request-id") == "mine-2");
    BOOST_TEST(probed().said().find("request mine-2: route \"probe_fail\" failed") !=
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(of_refusals) {
    BOOST_TEST(ask("GET", "/agents/", "").header("www-authenticate") == "Bearer realm=\"muster\"");
    BOOST_TEST(ask("PUT", "/agents/", key(), "{}").header("allow") == "GET, HEAD, POST");
    BOOST_TEST(ask("POST", "/", key(), "{}").header("allow") == "GET, HEAD");
    BOOST_TEST(ask("POST", "/health/live", key(), "{}").header("allow") == "GET, HEAD");
    BOOST_TEST(
        ask("POST", "/agents/", key() + "Content-Type: text/plain\r\n", "{}").header("accept") ==
        "application/json");
    BOOST_TEST(get_with("/probe/fail/40001").header("retry-after") == "1");
}

BOOST_AUTO_TEST_CASE(of_functions) {
    const auto answer = ask("POST", "/probe/answer/201", key() + json, "{}");
    BOOST_TEST(answer.header("location") == "/probe/there");
    for (int i = 0; i < 2; ++i)
        make_tool(fresh_name("paged"));
    const auto page = get_with("/tools/?limit=1");
    BOOST_TEST(page.header("link").starts_with("</tools/?limit=1&after="), page.header("link"));
    BOOST_TEST(page.header("link").ends_with(">; rel=\"next\""));
}

BOOST_AUTO_TEST_CASE(of_the_cache) {
    const auto id = make_agent(fresh_name("cached"))["id"].text();
    const auto target = "/agents/" + id;
    const auto found = hit(target);
    const auto etag = found.header("etag");
    BOOST_TEST(etag.size() == 34u);
    BOOST_TEST(found.header("cache-status").starts_with("muster; hit; ttl="));
    BOOST_TEST(found.header("cache-control") == "private, no-cache");
    BOOST_TEST(has(found.header("vary"), "Authorization"));
    BOOST_TEST(has(found.header("vary"), "X-API-Key"));
    const auto known = get_with(target, "If-None-Match: \"other\", W/" + etag + "\r\n");
    BOOST_TEST(known.status == 304);
    BOOST_TEST(known.body == "");
    BOOST_TEST(known.header("content-length") == "");
    BOOST_TEST(known.header("content-type") == "");
    BOOST_TEST(known.header("etag") == etag);
    BOOST_TEST(known.header("ratelimit-policy") == "\"premium\";q=1000;w=1");
    BOOST_TEST(get_with(target, "If-None-Match: \"other\"\r\n").status == 200);

    // A write through another proxy; who shows its token is shown it.
    const auto written = shared_stack().http("PATCH", target, R"({"status":"busy"})");
    BOOST_TEST(written.status == 200);
    const auto token = written.header("muster-token");
    BOOST_TEST(token.find(':') != std::string::npos);
    const auto own = get_with(target, "Muster-Token: " + token + "\r\n");
    BOOST_TEST(Json::parse(own.body)["status"] == "busy");
    BOOST_TEST(own.header("etag") != etag);
    const auto changed =
        get_with(target, "If-None-Match: " + etag + "\r\nMuster-Token: " + token + "\r\n");
    BOOST_TEST(changed.status == 200);
    // One of another time is asked about.
    BOOST_TEST(get_with(target, "Muster-Token: elsewhere:5\r\n").header("cache-status") ==
               "muster; fwd=request");
    BOOST_TEST(get_with("/openapi.json",
                        "If-None-Match: " + get_with("/openapi.json").header("etag") + "\r\n")
                   .status == 304);
}

BOOST_AUTO_TEST_CASE(of_compressed_answers) {
    const auto plain = get_with("/probe/big/100000");
    BOOST_TEST(plain.header("content-encoding") == "");
    BOOST_TEST(has(plain.header("vary"), "Accept-Encoding"));
    const auto packed = get_with("/probe/big/100000", "Accept-Encoding: br, gzip;q=0.5\r\n");
    BOOST_TEST(packed.header("content-encoding") == "gzip");
    BOOST_TEST(has(packed.header("vary"), "Accept-Encoding"));
    BOOST_TEST(packed.body.size() < 2000u);
    BOOST_TEST((unpacked(packed.body, 200000) == plain.body));
    BOOST_TEST(
        get_with("/probe/big/100000", "Accept-Encoding: gzip;q=0\r\n").header("content-encoding") ==
        "");
    BOOST_TEST(get_with("/probe/big/100", "Accept-Encoding: gzip\r\n").header("content-encoding") ==
               "");
}

BOOST_AUTO_TEST_CASE(of_scripts_in_browsers) {
    const std::string ours = "Origin: https://app.example.org\r\n";
    const auto preflight = ask("OPTIONS", "/agents/",
                               ours +
                                   "Access-Control-Request-Method: PATCH\r\n"
                                   "Access-Control-Request-Headers: x-api-key\r\n");
    BOOST_TEST(preflight.status == 204);
    BOOST_TEST(preflight.header("access-control-allow-origin") == "https://app.example.org");
    BOOST_TEST(preflight.header("access-control-max-age") == "7200");
    for (const char* name :
         {"Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"})
        BOOST_TEST(has(preflight.header("vary"), name), name);
    for (const char* name : {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
        BOOST_TEST(has(preflight.header("access-control-allow-methods"), name), name);
    // Whatever header of a request the door reads that a script may not set unasked.
    for (const char* name :
         {"Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Last-Event-ID",
          "Muster-Token", "Prefer", "X-API-Key", "X-Request-Id", "traceparent", "tracestate"})
        BOOST_TEST(has(preflight.header("access-control-allow-headers"), name), name);

    const auto answer = get_with("/agents/?limit=1", ours);
    BOOST_TEST(answer.header("access-control-allow-origin") == "https://app.example.org");
    BOOST_TEST(answer.header("access-control-allow-credentials") == "");
    // Whatever header of an answer a script could not read otherwise.
    for (const char* name :
         {"Cache-Status", "ETag", "Idempotency-Replayed", "Link", "Location", "Muster-Token",
          "RateLimit", "RateLimit-Policy", "Retry-After", "Server-Timing", "X-RateLimit-Limit",
          "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-Request-Id", "traceparent"})
        BOOST_TEST(has(answer.header("access-control-expose-headers"), name), name);
    BOOST_TEST(ask("GET", "/agents/", ours).header("access-control-allow-origin") ==
               "https://app.example.org");  // a refusal, too
    const auto theirs = get_with("/agents/?limit=1", "Origin: https://evil.example\r\n");
    BOOST_TEST(theirs.status == 200);
    BOOST_TEST(theirs.header("access-control-allow-origin") == "");
    BOOST_TEST(has(theirs.header("vary"), "Origin"));
}

BOOST_AUTO_TEST_CASE(of_times) {
    const auto asked = get_with("/probe/sleep/20", "Prefer: server-timing\r\n");
    BOOST_TEST(asked.header("server-timing").find("db;dur=") != std::string::npos,
               asked.header("server-timing"));
    BOOST_TEST(get_with("/probe/sleep/1").header("server-timing") == "");
    // Who has no key is not told.
    BOOST_TEST(ask("GET", "/agents/", "Prefer: server-timing\r\n").header("server-timing") == "");
}

BOOST_AUTO_TEST_CASE(of_pages_for_operators) {
    const auto operate = [](const std::string& accept) {
        return HttpClient(probed().admin).request("GET", "/queries", accept);
    };
    const auto page = operate("Accept: text/html,*/*;q=0.8\r\n");
    BOOST_TEST(page.header("content-type") == "text/html; charset=utf-8");
    BOOST_TEST(page.header("content-security-policy").starts_with("default-src 'none'"));
    BOOST_TEST(page.header("cache-control") == "no-store");
    BOOST_TEST(page.header("vary") == "Accept");
    BOOST_TEST(operate("Accept: application/json\r\n").header("content-type") ==
               "application/json");
}

// What is missed while one is away follows, whichever proxy one comes back to.
BOOST_AUTO_TEST_CASE(of_live_updates) {
    auto& stack = shared_stack();
    const auto id = make_agent(fresh_name("live"))["id"].text();
    const auto wanted = "?event_type=agent.updated&aggregate_id=" + id;
    std::string last;
    {
        SseConnection stream(stack.port("http"), "/events/stream" + wanted, key());
        BOOST_TEST(stream.status == 200);
        for (const char* line :
             {"Content-Type: text/event-stream\r\n", "Cache-Control: no-store\r\n",
              "X-Accel-Buffering: no\r\n", "RateLimit-Policy: ", "X-Request-Id: "})
            BOOST_TEST(stream.answer.find(line) != std::string::npos, stream.answer);
        BOOST_TEST(stream.next_news()->kind == "subscribed");
        patch("/agents/" + id, R"({"status":"busy"})");
        const auto told = stream.next_news();
        BOOST_REQUIRE(told);
        BOOST_TEST(member(told->text, "event_type") == "agent.updated");
        last = told->id;
    }
    patch("/agents/" + id, R"({"status":"idle"})");
    SseConnection again(probed().http, "/events/stream" + wanted,
                        key() + "Last-Event-ID: " + last + "\r\n");
    BOOST_TEST(again.next_news()->kind == "subscribed");
    const auto missed = again.next_news();
    BOOST_REQUIRE(missed);
    BOOST_TEST(missed->text.find("\"idle\"") != std::string::npos, missed->text);

    WebSocketConnection socket(probed().http, "/ws" + wanted + "&resume=" + last, key());
    BOOST_REQUIRE(socket.status == 101);
    BOOST_TEST(socket.next_news()->kind == "subscribed");
    BOOST_TEST(socket.next_news()->text == missed->text);
    // A browser's way: a ticket, taken from one proxy and shown to another, once.
    const auto issued = ask("POST", "/tickets", key());
    BOOST_TEST(issued.status == 201);
    BOOST_TEST(issued.header("cache-control") == "no-store");
    const auto shown = "/ws?ticket=" + Json::parse(issued.body)["ticket"].text();
    BOOST_TEST(WebSocketConnection(stack.port("http"), shown, "").status == 101);
    BOOST_TEST(WebSocketConnection(stack.port("http"), shown, "").status == 401);
}

BOOST_AUTO_TEST_SUITE_END()
