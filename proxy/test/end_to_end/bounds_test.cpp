// Every bound of the HTTP door on the whole stack: what happens past it, and that it goes on
// afterwards. Rate limits, memory and outages have tests of their own.
#include <chrono>
#include <memory>
#include <thread>

#include "end_to_end/extra_proxy.hpp"
#include "end_to_end/probes.hpp"
#include "end_to_end/support.hpp"
#include "push/client.hpp"

using namespace muster::test;
using namespace std::chrono_literals;

namespace {

const std::string& key() {
    static const std::string header = premium_key();
    return header;
}

const std::string json = "Content-Type: application/json\r\n";
const std::string host = "Host: x\r\n";

std::unique_ptr<HttpClient> asking(const ExtraProxy& proxy, const std::string& target) {
    auto client = std::make_unique<HttpClient>(proxy.http);
    client->send("GET " + target + " HTTP/1.1\r\n" + host + key() + "\r\n");
    return client;
}

// Waits until so many of /probe/sleep's statements run, of whichever proxy.
void wait_for_sleepers(const std::string& count) {
    wait_until("statements to run, or to end", [&] {
        return owner_value(
                   "select count(*) from pg_stat_activity where state = 'active' and query like "
                   "'%probe.sleep%' and pid <> pg_backend_pid()") == count;
    });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(bounds)

BOOST_AUTO_TEST_CASE(connections) {
    const ExtraProxy proxy({"http.max_connections=2"}, command_with_probes());
    const auto nobody_is_there = [&] {
        wait_until("the connections to be gone",
                   [&] { return proxy.metric("http_connections") == 0; });
    };
    nobody_is_there();
    {
        HttpClient first(proxy.http);
        HttpClient second(proxy.http);
        BOOST_TEST(first.request("GET", "/health").status == 200);
        BOOST_TEST(second.request("GET", "/health").status == 200);
        HttpClient third(proxy.http);
        const auto refused = third.read();
        BOOST_TEST(problem(refused, 503) == "too many connections; try again in 1 s");
        BOOST_TEST(refused.header("retry-after") == "1");
        BOOST_TEST(third.closed());
        BOOST_TEST(proxy.metric("http_connections_refused_total") == 1);
        BOOST_TEST(first.request("GET", "/probe/answer/200", key()).status == 200);
    }
    nobody_is_there();
    BOOST_TEST(HttpClient(proxy.http).request("GET", "/health").status == 200);
}

BOOST_AUTO_TEST_CASE(connections_of_operators) {
    const ExtraProxy proxy;
    std::vector<std::unique_ptr<HttpClient>> operators;
    for (int i = 0; i < 100; ++i) {
        operators.push_back(std::make_unique<HttpClient>(proxy.admin));
        BOOST_TEST(operators.back()->request("GET", "/health").status == 200);
    }
    BOOST_TEST(HttpClient(proxy.admin).read().status == 503);
    BOOST_TEST(operators.front()->request("GET", "/metrics").status == 200);
    BOOST_TEST(HttpClient(proxy.http).request("GET", "/health").status == 200);
}

BOOST_AUTO_TEST_CASE(sizes) {
    const ExtraProxy proxy(
        {"http.max_header_bytes=2048", "http.max_headers=20", "http.max_body_bytes=1000"},
        command_with_probes());
    const auto answer = [&](const std::string& bytes) {
        HttpClient client(proxy.http);
        client.send(bytes);
        const auto read = client.read();
        BOOST_TEST(read.header("connection") == "close");
        BOOST_TEST(client.closed());
        return read;
    };
    const std::string get = "GET /health HTTP/1.1\r\n" + host;
    BOOST_TEST(problem(answer(get + "X: " + std::string(3000, 'x') + "\r\n\r\n"), 431) ==
               "the request's head is larger than 2048 bytes");
    BOOST_TEST(problem(answer("GET /" + std::string(3000, 'x') + " HTTP/1.1\r\n" + host + "\r\n"),
                       431) == "the request's head is larger than 2048 bytes");
    std::string many;
    for (int i = 0; i < 20; ++i)
        many += "A: b\r\n";
    BOOST_TEST(problem(answer(get + many + "\r\n"), 431) == "the request has more than 20 headers");
    const std::string post = "POST /probe/answer/200 HTTP/1.1\r\n" + host + key() + json;
    const auto most = '"' + std::string(998, 'x') + '"';
    BOOST_TEST(problem(answer(post + "Content-Length: 1001\r\n\r\n" + most + ' '), 413) ==
               "the body is larger than 1000 bytes");
    BOOST_TEST(problem(answer(post + "Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + most + " \r\n"),
                       413) == "the body is larger than 1000 bytes");
    BOOST_TEST(
        HttpClient(proxy.http).request("POST", "/probe/answer/200", key() + json, most).body ==
        most);
    const std::string long_key = "X-API-Key: " + std::string(513, 'x') + "\r\n";
    BOOST_TEST(HttpClient(proxy.http).request("GET", "/tools/", long_key).status == 401);
    const auto idempotent = [&](std::size_t size) {
        return HttpClient(proxy.http)
            .request("POST", "/probe/answer/200",
                     key() + json + "Idempotency-Key: " + std::string(size, 'x') + "\r\n", "{}")
            .status;
    };
    BOOST_TEST(idempotent(256) == 400);
    BOOST_TEST(idempotent(255) == 200);
}

BOOST_AUTO_TEST_CASE(times_of_clients) {
    const ExtraProxy proxy(
        {"http.idle_timeout=800ms", "http.read_timeout=800ms", "http.write_timeout=800ms"},
        command_with_probes());
    const auto before = proxy.metric("http_connections_timeouts_total");
    HttpClient silent(proxy.http);
    HttpClient slow_head(proxy.http);
    slow_head.send("GET / HTTP/1.1\r\nHo");
    HttpClient slow_body(proxy.http);
    slow_body.send("POST /probe/answer/200 HTTP/1.1\r\n" + host + key() + json +
                   "Content-Length: 10\r\n\r\n{");
    HttpClient greedy(proxy.http);  // asks for far more than buffers hold, and reads nothing
    for (int i = 0; i < 4; ++i)
        greedy.send("GET /probe/big/8000000 HTTP/1.1\r\n" + host + key() + "\r\n");
    BOOST_TEST(HttpClient(proxy.http).request("GET", "/probe/answer/200", key()).status == 200);
    BOOST_TEST(silent.closed());
    BOOST_TEST(slow_head.closed());
    BOOST_TEST(slow_body.closed());
    wait_until("all four to be let go",
               [&] { return proxy.metric("http_connections_timeouts_total") >= before + 4; });
}

// A request in hand may end; one that does not is dropped.
BOOST_AUTO_TEST_CASE(time_to_stop) {
    ExtraProxy patient({"shutdown_timeout=20s"}, command_with_probes());
    const auto quick = asking(patient, "/probe/sleep/2500");
    wait_for_sleepers("1");
    BOOST_TEST(patient.stop() == 0);
    BOOST_TEST(quick->read().status == 200);
    ExtraProxy impatient({"shutdown_timeout=300ms"}, command_with_probes());
    const auto slow = asking(impatient, "/probe/sleep/4000");
    wait_for_sleepers("1");
    BOOST_TEST(impatient.stop() == 1);
    BOOST_TEST(slow->closed());
    BOOST_TEST(impatient.said().find("requests in hand are dropped") != std::string::npos);
    wait_for_sleepers("0");  // pgbouncer lets it end
}

BOOST_AUTO_TEST_CASE(lines_of_the_slow_log) {
    const ExtraProxy proxy(
        {"log.slow_query=stderr", "timing.slow_query=30ms", "timing.slow_lines=2"},
        command_with_probes());
    HttpClient client(proxy.http);
    BOOST_TEST(client.request("GET", "/probe/answer/200", key()).status == 200);
    BOOST_TEST(
        client.request("GET", "/probe/sleep/51", key() + "X-Request-Id: slow-1\r\n").status == 200);
    wait_until("the line",
               [&] { return proxy.said().find(R"("request_id":"slow-1")") != std::string::npos; });
    const auto said = proxy.said();
    const auto line = said.substr(said.rfind('\n', said.find("slow-1")) + 1);
    const auto json = Json::parse(line.substr(0, line.find('\n')));
    BOOST_TEST(json["event"] == "slow_query");
    BOOST_TEST(json["name"] == "probe_sleep");
    BOOST_TEST(json["client"] == "127.0.0.1");
    BOOST_TEST(json["text"].text().find("probe.sleep($1::int)") != std::string::npos, json["text"]);
    for (int i = 0; i < 20; ++i)
        BOOST_TEST(client.request("GET", "/probe/sleep/31", key()).status == 200);
    BOOST_TEST(proxy.metric("slow_queries_total") >= 21);
    BOOST_TEST(proxy.metric("slow_queries_suppressed_total") > 0);
}

// One connection to the database, one who waits for it, and who comes then is told to come back.
BOOST_AUTO_TEST_CASE(those_who_wait_for_the_database) {
    const ExtraProxy proxy({"threads=1", "database.pool_size=1", "database.pool_queue=1"},
                           command_with_probes());
    HttpClient client(proxy.http);
    BOOST_TEST(client.request("GET", "/probe/answer/200", key()).status == 200);
    const auto sent = std::chrono::steady_clock::now();
    const auto first = asking(proxy, "/probe/sleep/3000");
    wait_for_sleepers("1");
    const auto second = asking(proxy, "/probe/sleep/1");
    wait_until("it to wait", [&] { return proxy.metric("http_requests_in_flight") == 2; });
    const auto waits = std::chrono::steady_clock::now();
    const auto refused = client.request("GET", "/probe/answer/200", key());
    problem(refused, 503);
    BOOST_TEST(refused.header("retry-after") == "1");
    BOOST_TEST(client.request("GET", "/health/ready").status == 200);
    BOOST_TEST(first->read().status == 200);
    BOOST_TEST(second->read().status == 200);
    // From when it was seen to wait, at the latest, to the first one's end.
    const std::chrono::duration<double> waited = sent + 3s - waits;
    BOOST_TEST(proxy.metric("database_pool_wait_seconds_sum") >= waited.count());
    BOOST_TEST(client.request("GET", "/probe/answer/200", key()).status == 200);
}

// Too slow too often, a route is kept from the database for a while, and nothing else is.
BOOST_AUTO_TEST_CASE(failures_of_a_route) {
    const ExtraProxy proxy({"http.request_timeout=800ms", "breaker.failures=3",
                            "breaker.open_time=2s", "breaker.ramp=0ms"},
                           command_with_probes());
    HttpClient client(proxy.http);
    const auto status = [&](const std::string& target) {
        return client.request("GET", target, key()).status;
    };
    for (int i = 0; i < 3; ++i)
        BOOST_TEST(status("/probe/sleep/4000") == 504);
    const auto refused = client.request("GET", "/probe/sleep/1", key());
    BOOST_TEST(problem(refused, 503) == "the database has not answered this in time lately");
    BOOST_TEST(refused.header("retry-after") == "1");
    BOOST_TEST(status("/probe/answer/200") == 200);
    const std::string state = "circuit_breaker_state{circuit=\"route probe_sleep\"}";
    BOOST_TEST(proxy.metric(state) == 3);
    BOOST_TEST(proxy.metric("circuit_breaker_state{circuit=\"database\"}") == 0);
    wait_until("it to be tried again", [&] { return status("/probe/sleep/1") == 200; });
    BOOST_TEST(proxy.metric(state) == 0);
}

BOOST_AUTO_TEST_CASE(live_clients) {
    const ExtraProxy proxy({"push.max_clients=2", "push.heartbeat=200ms"});
    wait_until("the hub to listen", [&] { return proxy.metric("push_connected") == 1; });
    const std::string sse = "push_clients{kind=\"sse\"}";
    const std::string websocket = "push_clients{kind=\"websocket\"}";
    {
        SseConnection first(proxy.http, "/events/stream", key());
        WebSocketConnection second(proxy.http, "/ws", key());
        BOOST_TEST(first.status == 200);
        BOOST_TEST(second.status == 101);
        const SseConnection third(proxy.http, "/events/stream", key());
        BOOST_TEST(third.status == 503);
        BOOST_TEST(third.answer.find("too many live clients") != std::string::npos);
        BOOST_TEST(first.next_news()->kind == "subscribed");
        BOOST_TEST(first.next()->kind == "heartbeat");
        // A message has so much, and no more.
        second.send(std::string(20000, ' '));
        while (second.next()) {
        }
        BOOST_TEST(second.close_code() == 1009);
    }
    wait_until("the clients to be gone",
               [&] { return proxy.metric(sse) + proxy.metric(websocket) == 0; });
    std::string filter = "?aggregate_id=a";
    for (int i = 1; i < 64; ++i)
        filter += ",a";
    BOOST_TEST(SseConnection(proxy.http, "/events/stream" + filter, key()).status == 200);
    const auto stream = [&](const std::string& query) {
        return HttpClient(proxy.http).request("GET", "/events/stream" + query, key());
    };
    BOOST_TEST(problem(stream(filter + ",a"), 422).find("64") != std::string::npos);
    BOOST_TEST(problem(stream("?event_type=" + std::string(513, 'x')), 422).find("512") !=
               std::string::npos);
}

// Of a client that does not read, a few events wait; then it is told where to come back.
BOOST_AUTO_TEST_CASE(events_of_a_live_client) {
    const ExtraProxy proxy({"push.queue_messages=10", "http.write_timeout=20s"});
    wait_until("the hub to listen", [&] { return proxy.metric("push_connected") == 1; });
    const auto aggregate = owner_value("select gen_random_uuid()");
    SseConnection stalled(proxy.http, "/events/stream?aggregate_id=" + aggregate, key(), 4096);
    BOOST_TEST(stalled.status == 200);
    BOOST_TEST(stalled.next_news()->kind == "subscribed");
    owner_value(
        "with made as (insert into events (event_type, aggregate_type, aggregate_id, payload)"
        " select 'large', 'thing', '" +
        aggregate +
        "', json_build_object('n', n, 'fill', repeat('x', 100000)) from generate_series(1, 100) n"
        " returning 1) select count(*) from made");
    wait_until("the queue to be full", [&] {
        return proxy.metric("push_queue_bytes") == 0 && proxy.metric("push_messages_total") > 0;
    });
    std::string resume;
    int events = 0;
    while (const auto told = stalled.next_news()) {
        events += told->kind == "event";
        if (told->kind == "overflow")
            resume = member(told->text, "resume");
    }
    BOOST_TEST(proxy.metric("push_overflows_total") == 1);
    BOOST_REQUIRE(!resume.empty());
    SseConnection again(shared_stack().port("http"),
                        "/events/stream?aggregate_id=" + aggregate + "&resume=" + resume, key());
    BOOST_TEST(again.next_news()->kind == "subscribed");
    for (; events < 100; ++events)
        BOOST_REQUIRE(again.next_news()->kind == "event");
}

BOOST_AUTO_TEST_SUITE_END()
