// The HTTP door as a process: its own endpoints, metrics, checks at start, outages of its database.
#include <memory>
#include <vector>

#include "http/door_fixture.hpp"

using namespace muster;
using namespace muster::test;

BOOST_AUTO_TEST_SUITE(the_process)

BOOST_AUTO_TEST_CASE(the_proxys_own_endpoints_need_no_key) {
    const HttpAnswer root = get("/", "");
    BOOST_TEST(root.status == 200);
    contains(root.body, R"("status":"operational")");
    contains(root.body, R"("items":"GET /items/")");
    BOOST_TEST(get("/health", "").body == R"({"status":"alive"})");
    BOOST_TEST(get("/health/live", "").body == R"({"status":"alive"})");
    BOOST_TEST(get("/health/ready", "").body ==
               R"({"status":"ready","database":"up","redis":"up"})");
    BOOST_TEST(get("/health/other", "").status == 404);
    BOOST_TEST(post("/health", "{}").status == 405);
    BOOST_TEST(post("/", "{}").status == 405);
    HttpClient admin(shared().admin_port);
    BOOST_TEST(admin.request("GET", "/health/ready").status == 200);
    BOOST_TEST(admin.request("GET", "/health/live").status == 200);
    BOOST_TEST(admin.request("GET", "/items/1").status == 404);
    BOOST_TEST(admin.request("POST", "/metrics").status == 405);
}

BOOST_AUTO_TEST_CASE(redis_alone_being_down_does_not_make_it_unready) {
    const Proxy proxy(routes, false);
    proxy.wait_until_ready();
    BOOST_TEST(HttpClient(proxy.port).request("GET", "/health/ready").body ==
               R"({"status":"ready","database":"up","redis":"down"})");
}

BOOST_AUTO_TEST_CASE(metrics_count_what_happened) {
    const Proxy proxy;
    proxy.wait_until_ready();
    HttpClient client(proxy.port);
    for (int i = 0; i < 3; ++i) {
        BOOST_TEST(client.request("GET", "/items/1", reader).status == 200);
    }
    BOOST_TEST(client.request("GET", "/fail/22023", reader).status == 422);
    BOOST_TEST(client.request("GET", "/nothing", reader).status == 404);
    const std::string text = HttpClient(proxy.admin_port).request("GET", "/metrics").body;
    contains(text, "http_requests_total{route=\"item\",method=\"GET\",status=\"2xx\"} 3\n");
    contains(text, "http_requests_total{route=\"fail\",method=\"GET\",status=\"4xx\"} 1\n");
    contains(text, "http_requests_total{route=\"none\",method=\"GET\",status=\"4xx\"} 1\n");
    contains(text,
             "database_query_duration_seconds_count{query_name=\"item\",status=\"success\"} 3\n");
    contains(text,
             "database_query_duration_seconds_count{query_name=\"fail\",status=\"error\"} 1\n");
    contains(text,
             "database_query_duration_seconds_bucket{query_name=\"item\",status=\"success\","
             "le=\"0.00025\"} ");
    contains(text, "http_requests_in_flight 0\n");
    contains(text, "http_connections 1\n");
    contains(text, "database_pool_wait_seconds_count");
}

BOOST_AUTO_TEST_CASE(more_clients_than_connections_are_all_answered) {
    std::vector<std::thread> clients;
    std::atomic<int> good{0};
    const unsigned short port = shared().port;
    for (int i = 0; i < 16; ++i) {
        clients.emplace_back([&good, port] {
            HttpClient client(port);
            for (int n = 0; n < 50; ++n) {
                good += client.request("GET", "/items/1", reader).status == 200 ? 1 : 0;
            }
        });
    }
    for (std::thread& client : clients) {
        client.join();
    }
    BOOST_TEST(good == 800);
}

BOOST_AUTO_TEST_CASE(routes_that_do_not_fit_are_found_at_start) {
    const std::string text = std::string(routes) +
                             "[[route]]\nname = \"missing\"\nmatch = \"GET /missing\"\n"
                             "call = \"missing()\"\n"
                             "[[route]]\nname = \"extra\"\nmatch = \"GET /extra\"\n"
                             "call = \"muster.api_key('')\"\n"
                             "[[route]]\nname = \"typed\"\nmatch = \"GET /typed\"\n"
                             "call = \"item($x::date)\"\n";
    const http::StartCheck check = http::start_check(configured(text));
    BOOST_TEST(check.reached);
    BOOST_REQUIRE(check.mistakes.size() == 3U);
    const auto line = [lines = std::count(routes, routes + std::strlen(routes), '\n')](int n) {
        return "proxy.toml:" + std::to_string(lines + n) + ": route ";
    };
    contains(check.mistakes[0], line(1) + "\"missing\": function missing() does not exist");
    contains(check.mistakes[1], line(5) + "\"extra\": its result has no column \"body\"");
    contains(check.mistakes[2], line(9) + "\"typed\": ");

    // Found only later, because the process was up first, they cost these routes and readiness.
    const Proxy proxy(text);
    HttpClient admin(proxy.admin_port);
    test::wait_until("the check", [&] {
        return admin.request("GET", "/health/ready").body.find("missing()") != std::string::npos;
    });
    BOOST_TEST(admin.request("GET", "/health/ready").status == 503);
    const HttpAnswer open = HttpClient(proxy.port).request("GET", "/health/ready");
    BOOST_TEST(open.status == 503);
    BOOST_TEST(open.body.find("missing") == std::string::npos);
    BOOST_TEST(HttpClient(proxy.port).request("GET", "/missing", reader).status == 500);
    BOOST_TEST(HttpClient(proxy.port).request("GET", "/items/1", reader).status == 200);
}

BOOST_AUTO_TEST_CASE(a_pool_in_use_is_no_outage) {
    std::string text = routes;
    const std::string threads = "threads = 2";
    BOOST_REQUIRE(text.find(threads) != std::string::npos);
    text.replace(text.find(threads), threads.size(), "threads = 1");
    const Proxy proxy(text);
    proxy.wait_until_ready();
    HttpClient client(proxy.port);
    BOOST_TEST(client.request("GET", "/items/1", reader).status == 200);  // the key is known now
    // More requests than connections, all of which take longer than they may.
    std::vector<std::unique_ptr<HttpClient>> sleepers;
    for (int i = 0; i < 8; ++i) {
        sleepers.push_back(std::make_unique<HttpClient>(proxy.port));
        sleepers.back()->send("GET /sleep HTTP/1.1\r\nHost: x\r\n" + std::string(reader) + "\r\n");
    }
    const HttpAnswer busy = HttpClient(proxy.port).request("GET", "/health/ready");
    BOOST_TEST(busy.status == 200);
    BOOST_TEST(busy.body.find(R"("database":"up")") != std::string::npos);
    for (const auto& sleeper : sleepers) {
        const int status = sleeper->read().status;
        BOOST_TEST((status == 504 || status == 503), status);
    }
    test::wait_until("an answer again",
                     [&] { return client.request("GET", "/items/1", reader).status == 200; });
}

BOOST_AUTO_TEST_CASE(a_database_that_goes_and_comes_back) {
    const Proxy proxy;
    proxy.wait_until_ready();
    HttpClient client(proxy.port);
    BOOST_TEST(client.request("GET", "/items/1", reader).status == 200);
    database().stop();
    HttpAnswer answer = client.request("GET", "/items/1", reader);
    BOOST_TEST(answer.status == 503);
    BOOST_TEST(answer.header("retry-after") == "1");
    BOOST_TEST(answer.body.find("/tmp") == std::string::npos);
    BOOST_TEST(client.request("GET", "/items/1", "X-API-Key: another\r\n").status == 503);
    test::wait_until("not ready", [&] {
        return client.request("GET", "/health/ready").body ==
               R"({"status":"not_ready","database":"down","redis":"up"})";
    });
    BOOST_TEST(client.request("GET", "/health/live").status == 200);
    database().start();
    // Each thread finds out for itself, at its own next attempt.
    test::wait_until("an answer again",
                     [&] { return client.request("GET", "/items/1", reader).status == 200; });
}

BOOST_AUTO_TEST_CASE(a_process_that_starts_before_its_database) {
    database().stop();
    const http::StartCheck check = http::start_check(configured(routes));
    BOOST_TEST(!check.reached);
    BOOST_TEST(!check.reason.empty());
    const Proxy proxy;
    BOOST_TEST(HttpClient(proxy.port).request("GET", "/health/ready").status == 503);
    BOOST_TEST(HttpClient(proxy.port).request("GET", "/items/1", reader).status == 503);
    database().start();
    // Each thread finds out for itself, at its own next attempt.
    test::wait_until("an answer", [&] {
        return HttpClient(proxy.port).request("GET", "/items/1", reader).status == 200;
    });
    proxy.wait_until_ready();
}

BOOST_AUTO_TEST_SUITE_END()
