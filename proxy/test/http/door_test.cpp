// The HTTP door on a real PostgreSQL: answers of routes to a user's own functions, errors, keys.
#include "http/door_fixture.hpp"

using namespace muster;
using namespace muster::test;

namespace {

// The servers are stopped before the program's end, in this order.
struct Order {
    Order() { database(); }
};
BOOST_TEST_GLOBAL_FIXTURE(Order);

}  // namespace

BOOST_AUTO_TEST_SUITE(answers)

BOOST_AUTO_TEST_CASE(a_function_that_returns_json) {
    const HttpAnswer answer = get("/items/1");
    BOOST_TEST(answer.status == 200);
    BOOST_TEST(answer.header("content-type") == "application/json");
    contains(answer.body, R"("name":"one")");
    BOOST_TEST(get("/items/1/").status == 200);
    BOOST_TEST(get("/items/1?unknown=x").status == 200);
    const HttpAnswer head = HttpClient(shared().port).request("HEAD", "/items/1", reader);
    BOOST_TEST(head.status == 200);
    BOOST_TEST(head.header("content-length") == std::to_string(answer.body.size()));
}

BOOST_AUTO_TEST_CASE(no_row_and_null_are_not_found) {
    const HttpAnswer answer = get("/items/77");
    BOOST_TEST(answer.status == 404);
    BOOST_TEST(answer.header("content-type") == "application/problem+json");
    contains(answer.body, R"("title":"Not Found","status":404,"detail":")");
}

BOOST_AUTO_TEST_CASE(a_next_page_is_a_link) {
    const HttpAnswer answer = get("/items/?limit=1&x=%3E");
    BOOST_TEST(answer.status == 200);
    BOOST_TEST(answer.header("link") == "</items/?limit=1&x=%3E&after=a%2Fb%20c>; rel=\"next\"");
    BOOST_TEST(get("/items/").header("link") == "");
}

BOOST_AUTO_TEST_CASE(a_write_with_status_and_location) {
    const HttpAnswer created = post("/items/", R"({"id":50,"name":"fifty"})");
    BOOST_TEST(created.status == 201);
    BOOST_TEST(created.header("location") == "/items/50");
    BOOST_TEST(get("/items/50").status == 200);
    BOOST_TEST(post("/items", R"({"id":101,"name":"x"})").status == 202);

    HttpClient client(shared().port);
    const HttpAnswer removed = client.request("DELETE", "/items/50", writer);
    BOOST_TEST(removed.status == 204);
    BOOST_TEST(removed.body.empty());
    BOOST_TEST(removed.header("content-length") == "");
    BOOST_TEST(client.request("DELETE", "/items/50", writer).status == 404);
}

BOOST_AUTO_TEST_CASE(bodies_are_bound_whole_and_by_their_type) {
    BOOST_TEST(post("/binary/", R"({"b": [1, "ä"]})").body == R"({"b": [1, "ä"]})");
    BOOST_TEST(post("/text/", "a\"b").body == R"("a\"b")");
    const std::string large = '"' + std::string(3 * 1024 * 1024, 'x') + '"';
    BOOST_TEST((post("/binary/", large).body == large));
    // A NUL ends nothing: the server sees it and refuses.
    BOOST_TEST(post("/text/", std::string("a\0b", 3)).status == 422);
    BOOST_TEST(post("/binary/", std::string("{\"a\":1}\0", 8)).status == 422);
    const HttpAnswer broken = post("/items/", "{\"id\":");
    BOOST_TEST(broken.status == 422);
    contains(broken.body, R"("sqlstate":"22P02")");
    BOOST_TEST(post("/binary/", "\"\xff\"").status == 422);
}

BOOST_AUTO_TEST_CASE(large_documents_arrive_whole) {
    const HttpAnswer answer = get("/big/3000000");
    BOOST_TEST(answer.status == 200);
    BOOST_TEST(answer.body.size() == 3000002U);
}

BOOST_AUTO_TEST_CASE(parameters_are_values_never_sql) {
    BOOST_TEST(get("/echo/a'%20or%20$1--?b=%22;%C3%A4+%2B").body ==
               "[\"a' or $1--\", \"\\\";ä +\"]");
    BOOST_TEST(get("/echo/a%2Fb").body == R"(["a/b", null])");
    BOOST_TEST(get("/echo/%ff").status == 422);
    BOOST_TEST(get("/echo/a%00b").status == 422);
    BOOST_TEST(get("/echo/a?b=%00").status == 422);
    BOOST_TEST(get("/echo/%2").status == 400);
}

BOOST_AUTO_TEST_CASE(values_are_checked_before_any_sql) {
    const HttpAnswer answer = get("/items/?limit=1001");
    BOOST_TEST(answer.status == 422);
    contains(answer.body, R"("detail":"limit must be an integer from 1 to 1000, not \"1001\"")");
    BOOST_TEST(answer.body.find("sqlstate") == std::string::npos);
    BOOST_TEST(get("/items/x").status == 422);
    BOOST_TEST(get("/items/3000000000").status == 422);
}

BOOST_AUTO_TEST_CASE(what_no_answer_can_be_made_of) {
    BOOST_TEST(get("/two").status == 500);
    BOOST_TEST(get("/status/200").status == 200);
    BOOST_TEST(get("/status/418").status == 418);
    BOOST_TEST(get("/status/99").status == 500);
    BOOST_TEST(get("/status/1000").status == 500);
    BOOST_TEST(get("/status/-1").status == 500);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(errors)

BOOST_AUTO_TEST_CASE(sqlstates_decide_the_status) {
    const std::vector<std::pair<std::string, int>> expected{
        {"22023", 422}, {"23505", 409}, {"P0002", 404}, {"42501", 403}, {"54000", 413},
        {"40001", 503}, {"53100", 503}, {"P0001", 500}, {"XX000", 500},
    };
    for (const auto& [code, status] : expected) {
        const HttpAnswer answer = get("/fail/" + code + "?message=hidden");
        BOOST_TEST(answer.status == status, code);
        contains(answer.body, "\"sqlstate\":\"" + code + '"');
        contains(answer.body, "\"detail\":\"");
        const bool told = answer.body.find("hidden") != std::string::npos;
        BOOST_TEST(told == (status < 500), answer.body);
        BOOST_TEST((answer.header("retry-after") == "1") == (status == 503));
    }
    contains(get("/fail/22023").body, R"("hint":"A hint.")");
}

BOOST_AUTO_TEST_CASE(constraints_of_real_tables) {
    const HttpAnswer twice = post("/items/", R"({"id":1,"name":"new"})");
    BOOST_TEST(twice.status == 409);
    contains(twice.body, "Key (id)=(1) already exists.");
    BOOST_TEST(post("/items/", R"({"id":9,"name":"bad"})").status == 422);
    BOOST_TEST(post("/items/", R"({"id":9})").status == 422);
}

BOOST_AUTO_TEST_CASE(a_query_past_its_deadline_is_cancelled) {
    const HttpAnswer answer = get("/sleep");
    BOOST_TEST(answer.status == 504);
    contains(answer.body, R"("sqlstate":"57014")");
    test::wait_until("the query to be gone", [] {
        return database()
                   .psql(
                       "select count(*) from pg_stat_activity where query like "
                       "'%sleep()%' and state = 'active' and pid <> pg_backend_pid()")
                   .find('0') != std::string::npos;
    });
}

BOOST_AUTO_TEST_CASE(a_route_that_is_too_slow_is_kept_from_the_database) {
    std::string text = std::string(routes) + "[breaker]\nfailures = 3\nopen_time = \"30s\"\n";
    const std::string timeout = "request_timeout = \"1500ms\"";
    text.replace(text.find(timeout), timeout.size(), "request_timeout = \"300ms\"");
    const Proxy proxy(text);
    proxy.wait_until_ready();
    const auto ask = [&](const std::string& target) {
        return HttpClient(proxy.port).request("GET", target, reader);
    };
    BOOST_TEST(ask("/sleep").status == 504);
    BOOST_TEST(ask("/fail/22023").status == 422);
    BOOST_TEST(ask("/sleep").status == 504);
    BOOST_TEST(ask("/sleep").status == 504);
    const HttpAnswer refused = ask("/sleep");
    BOOST_TEST(refused.status == 503);
    BOOST_TEST(refused.header("retry-after") == "1");
    BOOST_TEST(ask("/items/1").status == 200);
    const std::string metrics = HttpClient(proxy.admin_port).request("GET", "/metrics").body;
    contains(metrics, "circuit_breaker_state{circuit=\"route sleep\"} 3");
    contains(metrics, "circuit_breaker_state{circuit=\"route items\"} 0");
    contains(metrics, "circuit_breaker_state{circuit=\"database\"} 0");
    // What a statement is refused for says that the database is well.
    for (int i = 0; i < 5; ++i) {
        BOOST_TEST(ask("/fail/22023").status == 422);
        BOOST_TEST(ask("/fail/XX000").status == 500);
    }
    BOOST_TEST(ask("/fail/22023").status == 422);
}

BOOST_AUTO_TEST_CASE(wrong_paths_methods_and_bodies) {
    BOOST_TEST(get("/nothing").status == 404);
    const HttpAnswer method = HttpClient(shared().port).request("PUT", "/items/1", writer, "{}");
    BOOST_TEST(method.status == 405);
    BOOST_TEST(method.header("allow") == "DELETE, GET, HEAD");
    BOOST_TEST(post("/items/", "{}", writer + "Content-Type: text/plain\r\n").status == 415);
    BOOST_TEST(post("/binary/", "{}", writer + "Content-Type: Application/JSON ;charset=utf-8\r\n")
                   .status == 200);
    BOOST_TEST(post("/binary/", "{}", writer).status == 200);
    BOOST_TEST(post("/binary/", "", writer + json).status == 422);
    BOOST_TEST(HttpClient(shared().port).request("POST", "/binary/", writer).status == 422);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(keys)

BOOST_AUTO_TEST_CASE(a_key_is_asked_for_and_its_scope_counts) {
    const HttpAnswer missing = get("/items/1", "");
    BOOST_TEST(missing.status == 401);
    BOOST_TEST(missing.header("www-authenticate") == "Bearer realm=\"muster\"");
    BOOST_TEST(get("/items/1", "X-API-Key: unknown\r\n").status == 401);
    BOOST_TEST(get("/items/1", "X-API-Key: " + std::string(600, 'x') + "\r\n").status == 401);
    BOOST_TEST(get("/items/1", "Authorization: Basic reader\r\n").status == 401);
    BOOST_TEST(get("/items/1", "Authorization: bearer reader\r\n").status == 200);
    BOOST_TEST(get("/items/1", writer).status == 200);
    const HttpAnswer forbidden = post("/items/", "{}", reader + json);
    BOOST_TEST(forbidden.status == 403);
    contains(forbidden.body, "write");
    BOOST_TEST(post("/items/", R"({"id":1})", json).status == 401);
}

BOOST_AUTO_TEST_CASE(a_revoked_key_stops_working_and_a_new_one_starts) {
    const std::string header = "X-API-Key: passing\r\n";
    HttpClient client(shared().port);  // one connection: one thread's cache is asked throughout
    const auto status = [&] { return client.request("GET", "/items/1", header).status; };
    BOOST_TEST(status() == 401);
    database().psql("insert into muster.keys values (sha256('passing'), 'p', '{read}')");
    test::wait_until("the new key", [&] { return status() == 200; });
    database().psql("delete from muster.keys where name = 'p'");
    test::wait_until("the revocation", [&] { return status() == 401; });
}

BOOST_AUTO_TEST_SUITE_END()
