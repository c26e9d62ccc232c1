// What clients of live updates see of the door: answers, tickets, origins, and how connections end.
#include <boost/test/unit_test.hpp>

#include <thread>

#include "push/world.hpp"

using namespace muster;
using namespace muster::test;
using namespace std::chrono_literals;

namespace {

World& world() {
    static World shared(
        "[push]\nheartbeat = \"500ms\"\nmax_clients = 20\n"
        "allowed_origins = \"https://app.example\"\n");
    return shared;
}

unsigned short port() {
    return world().proxy->port();
}

// Waits until nobody is connected any more.
void wait_for_nobody(const PushProxy& proxy) {
    wait_until("the clients to be gone", [&] {
        return proxy.metric("push_clients{kind=\"sse\"}") +
                   proxy.metric("push_clients{kind=\"websocket\"}") ==
               0;
    });
}

SseConnection sse(const std::string& query = "", const std::string& headers = "") {
    return {port(), "/events/stream" + query, world().header() + headers};
}

std::string ticket() {
    const HttpAnswer answer = HttpClient(port()).request("POST", "/tickets", world().header());
    BOOST_REQUIRE(answer.status == 201);
    BOOST_TEST(answer.header("cache-control") == "no-store");
    BOOST_TEST(answer.body.ends_with(",\"expires_in\":30}"));
    return member(answer.body, "ticket");
}

int status_of(const std::string& target, const std::string& headers) {
    return SseConnection(port(), target, headers).status;
}

const std::string upgrade =
    "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

}  // namespace

BOOST_AUTO_TEST_SUITE(answers)

BOOST_AUTO_TEST_CASE(a_stream_of_server_sent_events) {
    SseConnection stream = sse();
    BOOST_TEST(stream.status == 200);
    BOOST_TEST(stream.answer.find("Content-Type: text/event-stream\r\n") != std::string::npos);
    BOOST_TEST(stream.answer.find("Cache-Control: no-store\r\n") != std::string::npos);
    BOOST_TEST(stream.answer.find("Content-Length") == std::string::npos);
    BOOST_TEST(stream.next()->kind == "subscribed");
    world().insert("a", "one");
    const auto told = stream.next_news();
    BOOST_TEST(told->kind == "event");
    const Message entry = world().stream().back();
    BOOST_TEST(told->id == entry.id);
    BOOST_TEST(told->text == entry.json);
    // Heartbeats carry a browser's last event id on, even if nothing of what came was wanted.
    SseConnection other = sse("?event_type=nothing");
    BOOST_TEST(other.next()->kind == "subscribed");
    world().insert("a", "two");
    wait_until("the id to move", [&] { return other.next()->id == world().stream().back().id; });
}

BOOST_AUTO_TEST_CASE(a_websocket) {
    WebSocketConnection socket(port(), "/ws?event_type=thing.created", world().header());
    BOOST_REQUIRE(socket.status == 101);
    BOOST_TEST(socket.next()->kind == "subscribed");
    world().insert("a", "one");
    const auto told = socket.next_news();
    BOOST_TEST(told->text == world().stream().back().json);
    BOOST_TEST(socket.next()->kind == "heartbeat");
    socket.ping();
    wait_until("a pong", [&] { return socket.next() && socket.pongs > 0; });
    socket.close();
    wait_for_nobody(*world().proxy);
}

BOOST_AUTO_TEST_CASE(filters_by_query_and_by_message) {
    SseConnection by_id = sse("?aggregate_id=b,c");
    SseConnection by_type = sse("?event_type=thing.*&aggregate_type=thing&aggregate_id=b");
    SseConnection by_other = sse("?aggregate_type=agent");
    WebSocketConnection by_message(port(), "/ws?aggregate_id=none", world().header());
    for (LiveConnection* one :
         std::initializer_list<LiveConnection*>{&by_id, &by_type, &by_other, &by_message}) {
        BOOST_TEST(one->next_news()->kind == "subscribed");
    }
    const std::string before = world().stream().back().id;
    world().insert("a", "1");
    world().insert("b", "2");
    world().insert("c", "3");
    BOOST_TEST(parse(by_id.next_news()->text).key == "2");
    BOOST_TEST(parse(by_id.next_news()->text).key == "3");
    BOOST_TEST(parse(by_type.next_news()->text).key == "2");
    BOOST_TEST(by_other.next()->kind == "heartbeat");

    by_message.send(R"({"subscribe": {"aggregate_id": ["a", "c"]}, "resume": ")" + before + "\"}");
    const auto answer = by_message.next_news();
    BOOST_TEST(answer->kind == "subscribed");
    BOOST_TEST(answer->id == before);
    BOOST_TEST(parse(by_message.next_news()->text).key == "1");
    BOOST_TEST(parse(by_message.next_news()->text).key == "3");
    by_message.send(R"({"subscribe": {}})");
    BOOST_TEST(by_message.next_news()->kind == "subscribed");
    world().insert("b", "4");
    BOOST_TEST(parse(by_message.next_news()->text).key == "4");
}

BOOST_AUTO_TEST_CASE(large_events_come_whole) {
    WebSocketConnection socket(port(), "/ws", world().header());
    SseConnection stream = sse();
    BOOST_TEST(socket.next()->kind == "subscribed");
    BOOST_TEST(stream.next()->kind == "subscribed");
    for (const char* size : {"100", "5000", "70000", "500000", "10"}) {
        world().session->run(
            "INSERT INTO things (aggregate, key, fill) VALUES ('a', 'large', repeat('x', " +
            std::string(size) + "))");
        const auto one = socket.next_news();
        const auto other = stream.next_news();
        BOOST_REQUIRE((one && other));
        BOOST_TEST(one->text.size() > std::stoul(size));
        BOOST_TEST((one->text == other->text));
    }
}

BOOST_AUTO_TEST_CASE(what_is_refused) {
    const auto get = [](const std::string& target, const std::string& headers,
                        const std::string& method = "GET") {
        return HttpClient(port()).request(method, target, headers);
    };
    const std::string key = world().header();
    BOOST_TEST(get("/events/stream", "").status == 401);
    BOOST_TEST(get("/events/stream", "X-API-Key: wrong\r\n").status == 401);
    BOOST_TEST(get("/ws", upgrade).status == 401);
    BOOST_TEST(get("/tickets", "", "POST").status == 401);
    BOOST_TEST(get("/events/stream", key, "POST").header("allow") == "GET");
    BOOST_TEST(get("/tickets", key).header("allow") == "POST");
    BOOST_TEST(get("/events/stream?resume=1", key).status == 422);
    BOOST_TEST(get("/events/stream?event_type=", key).status == 422);
    BOOST_TEST(get("/events/stream", key + "Last-Event-ID: x\r\n").status == 422);
    const HttpAnswer plain = get("/ws", key);
    BOOST_TEST(plain.status == 426);
    BOOST_TEST(plain.header("upgrade") == "websocket");
    std::string old = upgrade;
    old.replace(old.find("13"), 2, "12");
    BOOST_TEST(get("/ws", key + old).header("sec-websocket-version") == "13");
    std::string keyless = upgrade;
    keyless.replace(keyless.find("dGhl"), 4, "");
    BOOST_TEST(get("/ws", key + keyless).status == 400);
    BOOST_TEST(get("/events/stream", key + "Content-Length: 1\r\n").status == 400);
    const std::string writer =
        world().session->value("select muster.create_api_key('writer', scopes => '{write}')");
    BOOST_TEST(get("/events/stream", "X-API-Key: " + writer + "\r\n").status == 403);
    BOOST_TEST(get("/tickets", "X-API-Key: " + writer + "\r\n", "POST").status == 403);
}

BOOST_AUTO_TEST_CASE(no_more_clients_than_allowed) {
    wait_for_nobody(*world().proxy);
    std::vector<std::unique_ptr<SseConnection>> all;
    for (int i = 0; i < 20; ++i) {
        all.push_back(std::make_unique<SseConnection>(port(), "/events/stream", world().header()));
        BOOST_TEST(all.back()->status == 200);
    }
    const SseConnection refused = sse();
    BOOST_TEST(refused.status == 503);
    BOOST_TEST(refused.answer.find("Retry-After: 1\r\n") != std::string::npos);
    all.clear();
    wait_for_nobody(*world().proxy);
    BOOST_TEST(sse().status == 200);
}

BOOST_AUTO_TEST_CASE(a_connection_costs_a_token_and_so_does_a_message) {
    World limited("[limits]\nstandard_rate = 1\nstandard_burst = 3\n");
    wait_until("the limits to be shared",
               [&] { return limited.proxy->metric("muster_limit_local_share") == 0; });
    WebSocketConnection socket(limited.proxy->port(), "/ws", limited.header());
    BOOST_REQUIRE(socket.status == 101);
    BOOST_TEST(socket.next_news()->kind == "subscribed");
    // Past the life of what is leased: then Redis has to be asked.
    std::this_thread::sleep_for(1200ms);
    constexpr int messages = 20;
    for (int i = 0; i < messages; ++i) {
        socket.send(R"({"subscribe": {}})");
    }
    int obeyed = 0;
    while (obeyed < messages && socket.next_news()) {
        ++obeyed;
    }
    BOOST_REQUIRE(obeyed < messages);
    BOOST_TEST(socket.close_code() == 1008);
    BOOST_TEST(socket.close_reason() == "the API key's quota is exceeded");
    int status = 200;
    for (int i = 0; i < 20 && status == 200; ++i) {
        status = SseConnection(limited.proxy->port(), "/events/stream", limited.header()).status;
    }
    BOOST_TEST(status == 429);
}

BOOST_AUTO_TEST_SUITE_END()
BOOST_AUTO_TEST_SUITE(ends)

BOOST_AUTO_TEST_CASE(by_what_a_websocket_client_says) {
    const auto code_after = [](const std::function<void(WebSocketConnection&)>& say) {
        WebSocketConnection socket(port(), "/ws", world().header());
        BOOST_REQUIRE(socket.status == 101);
        say(socket);
        while (socket.next()) {
        }
        return socket.close_code();
    };
    BOOST_TEST(code_after([](auto& s) { s.send("{\"subscribe\": 1}"); }) == 1008);
    BOOST_TEST(code_after([](auto& s) { s.send("hello"); }) == 1008);
    BOOST_TEST(code_after([](auto& s) { s.send("\xff\xfe"); }) == 1007);
    BOOST_TEST(code_after([](auto& s) { s.send("x", true); }) == 1003);
    BOOST_TEST(code_after([](auto& s) { s.send(std::string(20000, ' ')); }) == 1009);
    WebSocketConnection socket(port(), "/ws", world().header());
    socket.send(R"({"subscribe": {"event": "x"}})");
    while (socket.next()) {
    }
    BOOST_TEST(socket.close_reason() ==
               "subscribe must have no members but event_type, aggregate_type, aggregate_id");
}

BOOST_AUTO_TEST_CASE(with_its_key) {
    const std::string key = world().session->value("select muster.create_api_key('short-lived')");
    const std::string header = "X-API-Key: " + key + "\r\n";
    SseConnection stream(port(), "/events/stream", header);
    WebSocketConnection socket(port(), "/ws", header);
    SseConnection other = sse();
    BOOST_TEST(stream.next()->kind == "subscribed");
    BOOST_TEST(socket.next()->kind == "subscribed");
    for (int i = 0; i < 4; ++i) {  // for two seconds, in which the key is asked for again and again
        BOOST_TEST(socket.next()->kind == "heartbeat");
        BOOST_TEST(stream.next()->kind == "heartbeat");
    }
    world().session->run("select muster.revoke_api_key('short-lived')");
    const auto closed = stream.next_news();
    BOOST_REQUIRE(closed);
    BOOST_TEST(closed->kind == "closed");
    BOOST_TEST(closed->text ==
               R"({"type":"closed","code":1008,"reason":"the API key is no longer valid"})");
    BOOST_TEST(!stream.next().has_value());
    BOOST_TEST(!socket.next_news().has_value());
    BOOST_TEST(socket.close_code() == 1008);
    world().insert("a", "still there");
    BOOST_TEST(other.next()->kind == "subscribed");
    BOOST_TEST(other.next_news()->kind == "event");
}

// Though somebody asked about the key a moment before it was revoked: the keys are asked for once a
// second, and an answer that is almost as old then would make two seconds of it.
BOOST_AUTO_TEST_CASE(with_its_key_at_the_next_look) {
    using Time = std::chrono::steady_clock;
    const auto proxy = world().another_proxy("", 1);
    SseConnection first(proxy->port(), "/events/stream", world().header());
    BOOST_TEST(first.next()->kind == "subscribed");
    const auto looks = Time::now();  // each second from then on
    bool prompt = false;
    for (int round = 0; round < 5 && !prompt; ++round) {  // the machine may have much else to do
        const std::string name = "looked-" + std::to_string(round);
        const std::string key =
            world().session->value("select muster.create_api_key('" + name + "')");
        const auto second = std::chrono::ceil<std::chrono::seconds>(Time::now() - looks);
        std::this_thread::sleep_until(looks + second + 300ms);
        SseConnection stream(proxy->port(), "/events/stream", "X-API-Key: " + key + "\r\n");
        BOOST_TEST(stream.next()->kind == "subscribed");
        world().session->run("select muster.revoke_api_key('" + name + "')");
        const auto revoked = Time::now();
        BOOST_TEST(stream.next_news()->kind == "closed");
        prompt = Time::now() - revoked < 1200ms;
    }
    BOOST_TEST(prompt);
}

BOOST_AUTO_TEST_CASE(with_the_server) {
    const auto proxy = world().another_proxy();
    SseConnection stream(proxy->port(), "/events/stream", world().header());
    WebSocketConnection socket(proxy->port(), "/ws", world().header());
    WebSocketConnection silent(proxy->port(), "/ws", world().header());  // does not answer
    BOOST_TEST(stream.next()->kind == "subscribed");
    BOOST_TEST(socket.next()->kind == "subscribed");
    bool stopped = false;
    std::thread stopping([&] { stopped = proxy->stop(); });
    const auto closed = stream.next_news();
    BOOST_TEST((closed && closed->kind == "closed"));
    BOOST_TEST((closed && member(closed->text, "reason") == "the server is stopping"));
    BOOST_TEST(!socket.next_news().has_value());
    BOOST_TEST(socket.close_code() == 1001);
    stopping.join();
    BOOST_TEST(stopped);
}

BOOST_AUTO_TEST_SUITE_END()
BOOST_AUTO_TEST_SUITE(tickets)

BOOST_AUTO_TEST_CASE(a_ticket_is_good_once_at_any_proxy) {
    const auto other = world().another_proxy();
    const std::string one = ticket();
    BOOST_TEST(one.size() == 64U);
    SseConnection stream(other->port(), "/events/stream?ticket=" + one, "");
    BOOST_TEST(stream.status == 200);
    BOOST_TEST(stream.next()->kind == "subscribed");
    BOOST_TEST(status_of("/events/stream?ticket=" + one, "") == 401);
    BOOST_TEST(status_of("/events/stream?ticket=" + std::string(64, 'a'), "") == 401);
    BOOST_TEST(status_of("/events/stream?ticket=x", "") == 401);
    const std::string two = ticket();
    BOOST_TEST(WebSocketConnection(port(), "/ws?ticket=" + two, "").status == 101);
    BOOST_TEST(WebSocketConnection(port(), "/ws?ticket=" + two, "").status == 401);
    // It is for live updates alone.
    BOOST_TEST(status_of("/items/?ticket=" + ticket(), "") != 200);
}

BOOST_AUTO_TEST_CASE(redis_holds_its_hash_for_thirty_seconds) {
    const std::string one = ticket();
    const std::string keys = world().redis.cli({"KEYS", "muster:ticket:*"});
    BOOST_TEST(keys.find(one) == std::string::npos);
    const std::string name = keys.substr(0, keys.find('\n'));
    const std::string left = world().redis.cli({"PTTL", name});
    BOOST_TEST(std::stoi(left) > 0);
    BOOST_TEST(std::stoi(left) <= 30000);
    world().redis.cli({"FLUSHDB"});  // as if it had expired
    BOOST_TEST(status_of("/events/stream?ticket=" + one, "") == 401);
}

BOOST_AUTO_TEST_CASE(a_ticket_of_a_revoked_key_is_worth_nothing) {
    const std::string key = world().session->value("select muster.create_api_key('gone')");
    const HttpAnswer answer =
        HttpClient(port()).request("POST", "/tickets", "X-API-Key: " + key + "\r\n");
    BOOST_REQUIRE(answer.status == 201);
    world().session->run("select muster.revoke_api_key('gone')");
    std::this_thread::sleep_for(1100ms);
    BOOST_TEST(status_of("/events/stream?ticket=" + member(answer.body, "ticket"), "") == 401);
}

BOOST_AUTO_TEST_CASE(pages_of_other_origins_are_refused) {
    const std::string foreign = "Origin: https://evil.example\r\n";
    const std::string listed = "Origin: https://app.example\r\n";
    const std::string same = "Origin: http://test\r\n";
    const std::string one = ticket();
    BOOST_TEST(status_of("/events/stream?ticket=" + one, foreign) == 403);
    BOOST_TEST(status_of("/events/stream?ticket=" + one, listed) == 200);  // it was not used up
    BOOST_TEST(status_of("/events/stream?ticket=" + ticket(), same) == 200);
    BOOST_TEST(status_of("/ws", world().header() + upgrade + foreign) == 403);
    BOOST_TEST(WebSocketConnection(port(), "/ws", world().header() + listed).status == 101);
    // With a key in a header it is no browser's doing, or CORS has allowed it.
    BOOST_TEST(sse("", foreign).status == 200);
}

BOOST_AUTO_TEST_CASE(without_redis_there_are_none) {
    World other;
    const unsigned short its_port = other.proxy->port();
    SseConnection stream(its_port, "/events/stream", other.header());
    BOOST_TEST(stream.next()->kind == "subscribed");
    other.redis.kill();
    BOOST_TEST(HttpClient(its_port).request("POST", "/tickets", other.header()).status == 503);
    const std::string any = "/events/stream?ticket=" + std::string(64, 'a');
    BOOST_TEST(HttpClient(its_port).request("GET", any).status == 503);
    other.redis.start();
    other.insert("a", "one");
    BOOST_TEST(stream.next_news()->kind == "event");
    wait_until("a ticket again", [&] {
        return HttpClient(its_port).request("POST", "/tickets", other.header()).status == 201;
    });
}

BOOST_AUTO_TEST_SUITE_END()
