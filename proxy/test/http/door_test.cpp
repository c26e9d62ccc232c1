// The HTTP door on a real PostgreSQL: routes to a user's own functions, keys, errors, outages.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "config/load.hpp"
#include "http/admin.hpp"
#include "http/door.hpp"
#include "http/start_check.hpp"
#include "servers/http_client.hpp"
#include "servers/postgres.hpp"
#include "servers/process.hpp"

using namespace muster;
using namespace std::chrono_literals;
using muster::test::HttpAnswer;
using muster::test::HttpClient;

namespace {

// What the extension gives a proxy to ask for keys, and functions such as a user would write.
// The keys are 'reader' and 'writer'.
constexpr const char* schema = R"(
create schema muster;
create table muster.keys (sha256 bytea, name text, scopes text[]);
insert into muster.keys values (sha256('reader'), 'r', '{read}'), (sha256('writer'), 'w', '{read,write}');
create function muster.api_key(sha256 bytea, out id uuid, out name text, out tier text, out scopes text[])
language sql stable as $$
  select gen_random_uuid(), k.name, 'standard', k.scopes from muster.keys k where k.sha256 = $1
$$;
create table items (id int primary key, name text not null unique check (name <> 'bad'), doc json);
insert into items values (1, 'one', '{"a":1}'), (2, 'two', null);
create function item(id int) returns json language sql stable as $$
  select to_json(i) from items i where i.id = $1
$$;
create function items(row_limit int, after text, out body json, out next text) language sql stable as $$
  select coalesce(json_agg(i.id), '[]'), case when row_limit = 1 then 'a/b c' end from items i
   where row_limit is null or i.id <= row_limit
$$;
create function add_item(body json, out body json, out status int, out location text) language sql as $$
  insert into items values ((body->>'id')::int, body->>'name', body)
  returning to_json(items), case when id > 100 then 202 end, '/items/' || id
$$;
create function add_item_binary(body jsonb) returns jsonb language sql as $$ select body $$;
create function text_body(body text) returns json language sql as $$ select to_json(body) $$;
create function remove_item(id int) returns json language sql as $$
  delete from items i where i.id = $1 returning to_json(i)
$$;
create function fail(code text, message text) returns json language plpgsql as $$
begin raise exception using errcode = code, message = coalesce(message, 'told'), hint = 'A hint.'; end $$;
create function sleep() returns json language sql as $$ select to_json(pg_sleep(20)::text) $$;
create function two() returns setof json language sql as $$ values ('1'::json), ('2') $$;
create function echo(a text, b text) returns json language sql as $$ select json_build_array(a, b) $$;
create function status(code int, out body json, out status int) language sql as $$ select '{}'::json, code $$;
create function big(size int) returns json language sql as $$ select to_json(repeat('x', size)) $$;
)";

constexpr const char* routes = R"toml(
threads = 2
[http]
listen = "127.0.0.1:0"
request_timeout = "1500ms"
[admin]
listen = "127.0.0.1:0"
[database]
pool_size = 3
[log]
level = "off"
[[route]]
name = "item"
match = "GET /items/{id}"
params = { id = { type = "int" } }
call = "item($id::int)"
[[route]]
name = "items"
match = "GET /items/"
params = { limit = { type = "int", min = 1, max = 1000 } }
call = "items(row_limit => $limit::int, after => $after)"
[[route]]
name = "add_item"
match = "POST /items/"
call = "add_item($body::json)"
success = 201
[[route]]
name = "add_item_binary"
match = "POST /binary/"
call = "add_item_binary($body::jsonb)"
[[route]]
name = "text_body"
match = "POST /text/"
call = "text_body($body::text)"
[[route]]
name = "remove_item"
match = "DELETE /items/{id}"
call = "remove_item($id::int)"
success = 204
[[route]]
name = "fail"
match = "GET /fail/{code}"
call = "fail($code, $message)"
[[route]]
name = "sleep"
match = "GET /sleep"
call = "sleep()"
[[route]]
name = "two"
match = "GET /two"
call = "two()"
[[route]]
name = "echo"
match = "GET /echo/{a}"
call = "echo($a, $b)"
[[route]]
name = "status"
match = "GET /status/{code}"
call = "status($code::int)"
[[route]]
name = "big"
match = "GET /big/{size}"
call = "big($size::int)"
)toml";

const std::string reader = "X-API-Key: reader\r\n";
const std::string writer = "Authorization: Bearer writer\r\n";
const std::string json = "Content-Type: application/json\r\n";

test::PostgresServer& database() {
    static const auto server = [] {
        auto made = std::make_unique<test::PostgresServer>();
        made->psql(schema);
        return made;
    }();
    return *server;
}

config::Config configured(const std::string& text) {
    const test::Sandbox sandbox;
    const std::string file = sandbox.path() / "proxy.toml";
    std::ofstream(file) << text;
    auto config = config::load(
        file, std::vector<std::string>{"database.conninfo=" + database().socket_conninfo()});
    if (!config) {
        throw std::runtime_error(config.error().text());
    }
    return std::move(config).value();
}

// A proxy with both of its HTTP doors, in this process.
class Proxy {
  public:
    explicit Proxy(const std::string& text = routes, bool redis_up = true)
        : config_(configured(text)),
          runtime_(config_.threads),
          door_(
              runtime_, config_, registry_,
              [redis_up](net::io_context&, TimePoint) -> Task<bool> { co_return redis_up; }, false),
          admin_(runtime_, config_, registry_, door_) {
        for (const auto& error : {door_.start(), admin_.start()}) {
            if (error) {
                throw std::runtime_error(*error);
            }
        }
        port = door_.port();
        admin_port = admin_.port();
        thread_ = std::thread([this] {
            runtime_.run(10s, [this] {
                door_.stop();
                admin_.stop();
            });
        });
    }
    ~Proxy() {
        runtime_.request_stop();
        thread_.join();
    }
    Proxy(const Proxy&) = delete;
    Proxy& operator=(const Proxy&) = delete;

    void wait_until_ready() const {
        test::wait_until("the proxy to be ready", [&] {
            return HttpClient(port).request("GET", "/health/ready").status == 200;
        });
    }

    unsigned short port = 0;
    unsigned short admin_port = 0;

  private:
    config::Config config_;
    Runtime runtime_;
    metrics::Registry registry_;
    http::Door door_;
    http::Admin admin_;
    std::thread thread_;
};

// One ready proxy for the tests that do not harm it.
Proxy& shared() {
    static Proxy proxy;
    static const bool ready = (proxy.wait_until_ready(), true);
    BOOST_REQUIRE(ready);
    return proxy;
}

HttpAnswer get(const std::string& target, const std::string& headers = reader) {
    return HttpClient(shared().port).request("GET", target, headers);
}

HttpAnswer post(const std::string& target, const std::string& body,
                const std::string& headers = writer + json) {
    return HttpClient(shared().port).request("POST", target, headers, body);
}

void contains(const std::string& text, const std::string& part) {
    BOOST_CHECK_MESSAGE(text.find(part) != std::string::npos, text << "\nhas no " << part);
}

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
    contains(text, "database_query_duration_seconds_count{query_name=\"item\",status=\"success\"} 3\n");
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
    proxy.wait_until_ready();
    BOOST_TEST(client.request("GET", "/items/1", reader).status == 200);
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
    proxy.wait_until_ready();
    BOOST_TEST(HttpClient(proxy.port).request("GET", "/items/1", reader).status == 200);
}

BOOST_AUTO_TEST_SUITE_END()
