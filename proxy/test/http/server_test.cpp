// The HTTP server over real sockets: keeping in step, limits, slow and wrong clients, the end.
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "http/problem.hpp"
#include "http/server.hpp"
#include "runtime/event.hpp"
#include "runtime/listener.hpp"
#include "runtime/listeners.hpp"
#include "runtime/runtime.hpp"
#include "servers/http_client.hpp"
#include "servers/process.hpp"

using namespace muster;
using namespace muster::http;
using namespace std::chrono_literals;
using muster::test::HttpAnswer;
using muster::test::HttpClient;

namespace {

// A server whose handler says what it was asked: "/echo" with its body, "/wait" after release(),
// "/throw" not at all, anything else without reading the body.
class Echo {
  public:
    explicit Echo(const config::Http& config)
        : runtime_(1), gate_(std::make_shared<Event>(runtime_.context(0))) {
        server_ = Server::make(
            runtime_.context(0), config,
            [gate = gate_](Exchange& exchange) { return answer(exchange, gate); },
            std::make_shared<std::atomic<std::size_t>>(0));
        const auto sockets = Listeners().open("http", "127.0.0.1", config.listen.port, 1);
        if (!sockets) {
            throw std::runtime_error(sockets.error());
        }
        server_->listen(sockets.value().front());
        port_ = server_->port();
        server_->start();
        counters_ = server_->counters();
        thread_ = std::thread([this] {
            graceful_ = runtime_.run(10s, [this] {
                net::post(runtime_.context(0), [server = server_] { server->stop(); });
            });
        });
    }
    ~Echo() {
        if (thread_.joinable()) {
            release();
            stop();
            join();
        }
    }
    Echo(const Echo&) = delete;
    Echo& operator=(const Echo&) = delete;

    unsigned short port() const { return port_; }
    const ServerCounters& counters() const { return *counters_; }
    void release() {
        net::post(runtime_.context(0), [gate = gate_] { gate->set(); });
    }
    void stop() { runtime_.request_stop(); }
    bool join() {
        thread_.join();
        return graceful_;
    }

  private:
    static Task<Response> answer(Exchange& exchange, std::shared_ptr<Event> gate) {
        if (exchange.target == "/throw") {
            throw std::runtime_error("thrown by the test");
        }
        if (exchange.target == "/wait") {
            co_await gate->wait(Clock::now() + 30s);
        }
        if (exchange.target == "/echo") {
            if (auto refused = co_await exchange.receive_body()) {
                co_return *std::move(refused);
            }
        }
        Response response;
        if (exchange.target.starts_with("/big")) {
            response.text.assign(8 * 1024 * 1024, 'x');
            co_return response;
        }
        response.text =
            std::string(exchange.method) + " " + std::string(exchange.target) + " " + exchange.body;
        response.headers.emplace_back("X-Given", std::string("a\r\nX-Smuggled: b"));
        co_return response;
    }

    Runtime runtime_;
    std::shared_ptr<Event> gate_;
    std::shared_ptr<Server> server_;
    std::shared_ptr<const ServerCounters> counters_;
    std::thread thread_;
    std::uint16_t port_ = 0;
    bool graceful_ = false;
};

config::Http usual() {
    config::Http config;
    config.listen.port = 0;
    return config;
}

const std::string host = "Host: x\r\n";

// Sends bytes on a connection of their own and checks the status of the answer, after which the
// connection must be closed.
void refused(const Echo& echo, const std::string& bytes, int status) {
    BOOST_TEST_CONTEXT(bytes.substr(0, 120)) {
        HttpClient client(echo.port());
        client.send(bytes);
        const HttpAnswer answer = client.read();
        BOOST_TEST(answer.status == status);
        BOOST_TEST(answer.header("connection") == "close");
        BOOST_TEST(answer.header("content-type") == "application/problem+json");
        BOOST_TEST(client.closed());
    }
}

void wait_until_closed(unsigned short port) {
    test::wait_until("the door to be closed", [port] {
        try {
            HttpClient client(port);
            return false;
        } catch (const std::runtime_error&) {
            return true;
        }
    });
}

}  // namespace

BOOST_AUTO_TEST_CASE(requests_of_one_connection_are_answered_in_order) {
    const Echo echo(usual());
    HttpClient client(echo.port());
    std::string pipelined;
    for (int i = 0; i < 50; ++i) {
        pipelined += i % 2 == 0 ? "GET /" + std::to_string(i) + " HTTP/1.1\r\n" + host + "\r\n"
                                : "POST /echo HTTP/1.1\r\n" + host + "Content-Length: 2\r\n\r\n" +
                                      std::to_string(10 + i % 10);
    }
    client.send(pipelined);
    for (int i = 0; i < 50; ++i) {
        const std::string expected = i % 2 == 0 ? "GET /" + std::to_string(i) + " "
                                                : "POST /echo " + std::to_string(10 + i % 10);
        BOOST_TEST(client.read().body == expected);
    }
    BOOST_TEST(echo.counters().accepted.value() == 1U);
}

BOOST_AUTO_TEST_CASE(requests_may_come_byte_by_byte) {
    const Echo echo(usual());
    HttpClient client(echo.port());
    for (char c : "POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n" +
                      "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n") {
        client.send(std::string(1, c));
    }
    BOOST_TEST(client.read().body == "POST /echo abcde");
    BOOST_TEST(client.request("GET", "/after").body == "GET /after ");
}

BOOST_AUTO_TEST_CASE(head_is_answered_without_the_body_and_in_step) {
    const Echo echo(usual());
    HttpClient client(echo.port());
    const HttpAnswer answer = client.request("HEAD", "/x");
    BOOST_TEST(answer.status == 200);
    BOOST_TEST(answer.header("content-length") == "8");
    BOOST_TEST(client.request("GET", "/y").body == "GET /y ");
}

BOOST_AUTO_TEST_CASE(connections_are_kept_as_the_client_asks) {
    const Echo echo(usual());
    {
        HttpClient client(echo.port());
        BOOST_TEST(client.request("GET", "/", "Connection: close\r\n").header("connection") ==
                   "close");
        BOOST_TEST(client.closed());
    }
    {
        HttpClient client(echo.port());
        client.send("GET / HTTP/1.0\r\n\r\n");
        BOOST_TEST(client.read().status == 200);
        BOOST_TEST(client.closed());
    }
    {
        HttpClient client(echo.port());
        client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        BOOST_TEST(client.read().header("connection") == "keep-alive");
        BOOST_TEST(client.request("GET", "/y").status == 200);
    }
    {
        HttpClient client(echo.port());
        client.send("GET /half HTTP/1.1\r\n" + host + "\r\n");
        client.finish();
        BOOST_TEST(client.read().status == 200);
        BOOST_TEST(client.closed());
    }
}

BOOST_AUTO_TEST_CASE(request_ids_are_taken_or_made_and_headers_cannot_be_smuggled) {
    const Echo echo(usual());
    HttpClient client(echo.port());
    const HttpAnswer own = client.request("GET", "/", "X-Request-Id: abc-1\r\n");
    BOOST_TEST(own.header("x-request-id") == "abc-1");
    BOOST_TEST(own.header("x-smuggled") == "");
    BOOST_TEST(own.header("x-given") == "a  X-Smuggled: b");
    BOOST_TEST(client.request("GET", "/").header("x-request-id").size() == 32U);
    BOOST_TEST(client.request("GET", "/", "X-Request-Id: a\"b\r\n").header("x-request-id").size() ==
               32U);
}

BOOST_AUTO_TEST_CASE(unwanted_bodies_do_not_break_the_connection) {
    const Echo echo(usual());
    HttpClient client(echo.port());
    BOOST_TEST(client.request("POST", "/unread", "", std::string(1000, 'x')).status == 200);
    BOOST_TEST(client.request("GET", "/next").body == "GET /next ");

    HttpClient big(echo.port());
    const HttpAnswer answer = big.request("POST", "/unread", "", std::string(200000, 'x'));
    BOOST_TEST(answer.status == 200);
    BOOST_TEST(answer.header("connection") == "close");
}

BOOST_AUTO_TEST_CASE(expectations_are_met_when_the_body_is_wanted) {
    const Echo echo(usual());
    HttpClient client(echo.port());
    client.send("POST /echo HTTP/1.1\r\n" + host +
                "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    BOOST_TEST(client.read().status == 100);
    client.send("abc");
    BOOST_TEST(client.read().body == "POST /echo abc");
    refused(echo, "POST /echo HTTP/1.1\r\n" + host + "Expect: x\r\nContent-Length: 3\r\n\r\nabc",
            417);
    HttpClient unwanted(echo.port());
    unwanted.send("POST /no HTTP/1.1\r\n" + host +
                  "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    BOOST_TEST(unwanted.read().header("connection") == "close");
    BOOST_TEST(unwanted.closed());
}

BOOST_AUTO_TEST_CASE(wrong_requests_are_refused_and_the_connection_ends) {
    const Echo echo(usual());
    refused(echo, "hello\r\n\r\n", 400);
    refused(echo, "GET / HTTP/1.1\r\n\r\n", 400);
    refused(echo, "GET / HTTP/1.1\r\n" + host + host + "\r\n", 400);
    refused(echo, "GET / HTTP/3.1\r\n" + host + "\r\n", 400);
    refused(echo, "GET / HTTP/1.1\r\n" + host + "No colon\r\n\r\n", 400);
    refused(echo, "GET / HTTP/1.1\r\n" + host + "Space : x\r\n\r\n", 400);
    refused(echo, std::string("GET / HTTP/1.1\r\nHost: x\0y\r\n\r\n", 30), 400);
    refused(echo, "GET / \x01 HTTP/1.1\r\n" + host + "\r\n", 400);
    const std::string post = "POST /echo HTTP/1.1\r\n" + host;
    refused(echo, post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
    refused(echo, post + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400);
    refused(echo, post + "Content-Length: 3\r\nTransfer-Encoding: identity\r\n\r\nabc", 400);
    refused(echo, post + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400);
    refused(echo, post + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400);
    refused(echo, post + "Content-Length: -1\r\n\r\n", 400);
    refused(echo, post + "Content-Length: 1x\r\n\r\n", 400);
    refused(echo, post + "Content-Length: 99999999999999999999999\r\n\r\n", 400);
    refused(echo, post + "Transfer-Encoding: gzip\r\n\r\n", 400);
    refused(echo, post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400);
    refused(echo, post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    refused(echo, post + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400);
    refused(echo, "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400);
    BOOST_TEST(HttpClient(echo.port()).request("GET", "/alive").status == 200);
}

BOOST_AUTO_TEST_CASE(what_is_too_large_is_refused) {
    config::Http config = usual();
    config.max_header_bytes = 2048;
    config.max_headers = 20;
    config.max_body_bytes = 1000;
    const Echo echo(config);
    refused(echo, "GET /" + std::string(3000, 'x') + " HTTP/1.1\r\n" + host + "\r\n", 431);
    refused(echo, "GET / HTTP/1.1\r\n" + host + "X: " + std::string(3000, 'x') + "\r\n\r\n", 431);
    std::string many;
    for (int i = 0; i < 21; ++i) {
        many += "A: b\r\n";
    }
    refused(echo, "GET / HTTP/1.1\r\n" + host + many + "\r\n", 431);
    const std::string post = "POST /echo HTTP/1.1\r\n" + host;
    refused(echo, post + "Content-Length: 1001\r\n\r\n" + std::string(1001, 'x'), 413);
    refused(echo, post + "Transfer-Encoding: chunked\r\n\r\n7d0\r\n" + std::string(2000, 'x'), 413);
    HttpClient client(echo.port());
    BOOST_TEST(client.request("POST", "/echo", "", std::string(1000, 'x')).status == 200);
}

BOOST_AUTO_TEST_CASE(slow_clients_are_let_go_and_hold_up_nobody) {
    config::Http config = usual();
    config.read_timeout = 300ms;
    config.idle_timeout = 300ms;
    config.write_timeout = 300ms;
    const Echo echo(config);
    HttpClient silent(echo.port());
    HttpClient slow_head(echo.port());
    slow_head.send("GET / HTTP/1.1\r\nHo");
    HttpClient slow_body(echo.port());
    slow_body.send("POST /echo HTTP/1.1\r\n" + host + "Content-Length: 10\r\n\r\nabc");
    HttpClient greedy(echo.port());  // asks for far more than buffers hold and reads nothing
    for (int i = 0; i < 4; ++i) {
        greedy.send("GET /big HTTP/1.1\r\n" + host + "\r\n");
    }
    BOOST_TEST(HttpClient(echo.port()).request("GET", "/quick").status == 200);
    BOOST_TEST(silent.closed());
    BOOST_TEST(slow_head.closed());
    BOOST_TEST(slow_body.closed());
    test::wait_until("the greedy client to be let go",
                     [&] { return echo.counters().timeouts.value() >= 4U; });
}

BOOST_AUTO_TEST_CASE(connections_are_bounded) {
    config::Http config = usual();
    config.max_connections = 2;
    const Echo echo(config);
    HttpClient first(echo.port());
    BOOST_TEST(first.request("GET", "/1").status == 200);
    {
        HttpClient second(echo.port());
        BOOST_TEST(second.request("GET", "/2").status == 200);
        HttpClient third(echo.port());
        const HttpAnswer refusal = third.read();
        BOOST_TEST(refusal.status == 503);
        BOOST_TEST(refusal.header("retry-after") == "1");
        BOOST_TEST(third.closed());
        BOOST_TEST(echo.counters().refused.value() == 1U);
    }
    test::wait_until("the second connection's place",
                     [&] { return echo.counters().connections.value() == 1; });
    BOOST_TEST(HttpClient(echo.port()).request("GET", "/4").status == 200);
}

BOOST_AUTO_TEST_CASE(a_failing_handler_costs_one_answer) {
    const Echo echo(usual());
    HttpClient client(echo.port());
    BOOST_TEST(client.request("GET", "/throw").status == 500);
    BOOST_TEST(client.request("GET", "/after").status == 200);
}

BOOST_AUTO_TEST_CASE(stopping_lets_requests_in_hand_end) {
    Echo echo(usual());
    HttpClient idle(echo.port());
    BOOST_TEST(idle.request("GET", "/").status == 200);
    HttpClient busy(echo.port());
    busy.send("GET /wait HTTP/1.1\r\n" + host + "\r\n");
    HttpClient fresh(echo.port());
    test::wait_until("three connections", [&] { return echo.counters().connections.value() == 3; });
    echo.stop();
    wait_until_closed(echo.port());
    fresh.send("GET /late HTTP/1.1\r\n" + host + "\r\n");
    BOOST_TEST(fresh.read().header("connection") == "close");
    BOOST_TEST(idle.closed());
    echo.release();
    const HttpAnswer answer = busy.read();
    BOOST_TEST(answer.status == 200);
    BOOST_TEST(answer.header("connection") == "close");
    BOOST_TEST(busy.closed());
    BOOST_TEST(echo.join());
}

// A client that sends one request after the other has its next one answered, if it comes soon.
BOOST_AUTO_TEST_CASE(stopping_takes_no_request_away_from_a_busy_connection) {
    Echo echo(usual());
    HttpClient client(echo.port());
    BOOST_TEST(client.request("GET", "/").status == 200);
    echo.stop();
    wait_until_closed(echo.port());
    const HttpAnswer answer = client.request("GET", "/");
    BOOST_TEST(answer.status == 200);
    BOOST_TEST(answer.header("connection") == "close");
    BOOST_TEST(echo.join());
}

// A connection that the stop finds between an answer and the next wait must end too.
BOOST_AUTO_TEST_CASE(stopping_right_after_an_answer) {
    for (int round = 0; round < 5; ++round) {
        std::vector<std::unique_ptr<Echo>> echoes;
        std::vector<std::unique_ptr<HttpClient>> clients;
        for (int i = 0; i < 40; ++i) {
            echoes.push_back(std::make_unique<Echo>(usual()));
            clients.push_back(std::make_unique<HttpClient>(echoes.back()->port()));
            clients.back()->send("GET / HTTP/1.1\r\n" + host + "\r\n");
            BOOST_TEST(clients.back()->read().status == 200);
            echoes.back()->stop();
        }
        for (const auto& echo : echoes) {
            BOOST_REQUIRE(echo->join());
        }
    }
}

BOOST_AUTO_TEST_CASE(a_taken_port_is_an_error_that_names_it) {
    const Echo echo(usual());
    const auto error = taken({net::ip::make_address_v4("127.0.0.1"), echo.port()});
    BOOST_REQUIRE(error.has_value());
    BOOST_TEST(error->find(":" + std::to_string(echo.port())) != std::string::npos);
}
