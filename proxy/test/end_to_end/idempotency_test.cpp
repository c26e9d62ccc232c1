// Idempotency keys on a whole stack: what is replayed, refused and forgotten, and that a write
// whose answer was lost, whoever died, is there once after the retry.
#include <chrono>
#include <csignal>
#include <fstream>
#include <mutex>
#include <thread>

#include "end_to_end/support.hpp"

using namespace muster::test;
using namespace std::chrono_literals;

namespace {

std::string owner(const std::string& sql) {
    return pg_value(pg_connect(shared_stack().env("MUSTER_POSTGRES_DSN")), sql);
}

void owner_run(const std::string& sql) {
    pg_exec(pg_connect(shared_stack().env("MUSTER_POSTGRES_DSN")), sql);
}

// Header lines of an API key of its own, whose quota is large.
std::string key_headers(const std::string& name) {
    return "X-API-Key: " + owner("select muster.create_api_key('" + name + "', 'premium')") +
           "\r\nContent-Type: application/json\r\n";
}

const std::string& alice() {
    static const std::string headers = [] {
        // Agents of these names take their time, before they are there.
        owner_run(
            "create function slow_agent() returns trigger language plpgsql as $$ begin"
            " if new.name like 'slow-%' then perform pg_sleep(0.7); end if; return new; end $$");
        owner_run(
            "create trigger slow before insert on agents for each row execute function"
            " slow_agent()");
        return key_headers("alice");
    }();
    return headers;
}

std::string fresh_key() {
    return fresh_name("idempotency");
}

HttpAnswer send(const std::string& method, const std::string& target,
                std::optional<std::string> body, const std::string& key,
                const std::string& headers = alice(),
                unsigned short port = shared_stack().port("http")) {
    return HttpClient(port).request(method, target, headers + "Idempotency-Key: " + key + "\r\n",
                                    std::move(body));
}

std::string agent_body(const std::string& name) {
    return R"({"name":")" + name + R"("})";
}

std::string agents_called(const std::string& name) {
    return owner("select count(*) from agents where name = '" + name + "'");
}

bool replayed(const HttpAnswer& answer) {
    return answer.header("idempotency-replayed") == "true";
}

void same_answer(const HttpAnswer& a, const HttpAnswer& b) {
    BOOST_TEST(a.status == b.status);
    BOOST_TEST(a.body == b.body);
    BOOST_TEST(a.header("location") == b.header("location"));
    BOOST_TEST(a.header("link") == b.header("link"));
    BOOST_TEST(a.header("content-type") == b.header("content-type"));
}

// Sends until the answer is about the request and not about the servers.
HttpAnswer retry(const std::string& name, const std::string& key) {
    HttpAnswer answer;
    wait_until("the retry to be answered", [&] {
        try {
            answer = send("POST", "/agents/", agent_body(name), key);
        } catch (const std::runtime_error&) {
            return false;
        }
        return answer.status != 503 && answer.status != 409;
    });
    return answer;
}

void start_again() {
    wait_until("the stack to start", [] {
        try {
            shared_stack().start();
            return true;
        } catch (const std::runtime_error&) {
            return false;  // a killed server's children may still hold its memory
        }
    });
}

// A request that is being carried out, on a thread of its own. Its answer may never come.
class Pending {
  public:
    Pending(const std::string& name, const std::string& key)
        : thread_([this, name, key] {
              try {
                  status_ = send("POST", "/agents/", agent_body(name), key).status;
              } catch (const std::runtime_error&) {
                  status_ = 0;
              }
          }) {
        wait_until("the write to be under way", [] {
            return owner(
                       "select count(*) from pg_stat_activity where state = 'active' and"
                       " wait_event = 'PgSleep'") != "0";
        });
    }
    ~Pending() { end(); }
    // The status; 0 if the connection ended without an answer.
    int end() {
        if (thread_.joinable())
            thread_.join();
        return status_;
    }

  private:
    int status_ = 0;
    std::thread thread_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(idempotency)

BOOST_AUTO_TEST_CASE(a_write_is_done_once_and_answered_the_same) {
    const auto name = fresh_name("once");
    const auto key = fresh_key();
    const auto first = send("POST", "/agents/", agent_body(name), key);
    BOOST_REQUIRE(first.status == 201);
    BOOST_TEST(!replayed(first));
    const auto second = send("POST", "/agents", agent_body(name), key);
    BOOST_TEST(replayed(second));
    same_answer(first, second);
    // A structured field's string is the same key.
    BOOST_TEST(replayed(send("POST", "/agents/", agent_body(name), '"' + key + '"')));
    BOOST_TEST(agents_called(name) == "1");
    // The token is that of the transaction that did it.
    BOOST_TEST(first.header("muster-token") != "");
    BOOST_TEST(second.header("muster-token") == first.header("muster-token"));

    // PATCH and DELETE: the item that is gone is not missed.
    const auto item = "/agents/" + Json::parse(first.body)["id"].text();
    const auto change = fresh_key();
    const auto changed = send("PATCH", item, R"({"status":"busy"})", change);
    BOOST_TEST(changed.status == 200);
    const auto remove = fresh_key();
    BOOST_TEST(send("DELETE", item, {}, remove).status == 204);
    const auto again = send("DELETE", item, {}, remove);
    BOOST_TEST(again.status == 204);
    BOOST_TEST(replayed(again));
    BOOST_TEST(again.body == "");
    same_answer(changed, send("PATCH", item, R"({"status":"busy"})", change));
}

BOOST_AUTO_TEST_CASE(another_request_under_the_same_key_is_refused) {
    const auto name = fresh_name("mismatch");
    const auto key = fresh_key();
    BOOST_REQUIRE(send("POST", "/agents/", agent_body(name), key).status == 201);
    const auto detail =
        problem(send("POST", "/agents/", R"({"name": ")" + name + R"("})", key), 422);
    BOOST_TEST(detail.find("Idempotency-Key") != std::string::npos);
    problem(send("POST", "/agents/?x=1", agent_body(name), key), 422);
    BOOST_TEST(agents_called(name) == "1");
    // Under another path or method, or of another owner, it is another key.
    BOOST_TEST(
        send("POST", "/tools/", R"({"name":")" + name + R"(","schema_def":{}})", key).status ==
        201);
    const auto bob = send("POST", "/agents/", agent_body(name), key, key_headers("bob"));
    BOOST_TEST(bob.status == 201);
    BOOST_TEST(!replayed(bob));
    BOOST_TEST(agents_called(name) == "2");
}

BOOST_AUTO_TEST_CASE(what_fails_is_run_again) {
    const auto key = fresh_key();
    problem(send("POST", "/agents/", R"({"agent_type":"nameless"})", key), 422);
    const auto name = fresh_name("corrected");
    const auto corrected = send("POST", "/agents/", agent_body(name), key);
    BOOST_TEST(corrected.status == 201);
    BOOST_TEST(!replayed(corrected));
    // So is what there was nothing to do about.
    const auto nothing = fresh_key();
    problem(send("DELETE", "/agents/" + nobody, {}, nothing), 404);
    owner_run("insert into agents (id, did, name) values ('" + nobody + "', 'did:nobody', 'n')");
    BOOST_TEST(send("DELETE", "/agents/" + nobody, {}, nothing).status == 204);
}

BOOST_AUTO_TEST_CASE(keys_have_a_form) {
    for (const std::string bad :
         {"", "\"\"", "a b", "\"a", "\"a\"b", "a\"b", "\"a\\b\"", "\xc3\xa4", "\"a b\"", "a\\b"})
        problem(send("POST", "/agents/", agent_body("never"), bad), 400);
    problem(send("POST", "/agents/", agent_body("never"), std::string(256, 'k')), 400);
    problem(send("POST", "/agents/", agent_body("never"), "a\r\nIdempotency-Key: b"), 400);
    BOOST_TEST(agents_called("never") == "0");
    BOOST_TEST(
        send("POST", "/agents/", agent_body(fresh_name("long")), std::string(255, 'k')).status ==
        201);
    BOOST_TEST(send("POST", "/agents/", agent_body(fresh_name("quoted")), R"("a\"\\b")").status ==
               201);
    // Reads have no use for one, whatever it is.
    BOOST_TEST(send("GET", "/agents/?limit=1", {}, "a b").status == 200);
}

BOOST_AUTO_TEST_CASE(a_request_in_flight_is_not_run_beside) {
    const auto name = fresh_name("slow-flight");
    const auto key = fresh_key();
    Pending pending(name, key);
    const auto busy = send("POST", "/agents/", agent_body(name), key);
    problem(busy, 409);
    BOOST_TEST(busy.header("retry-after") == "1");
    BOOST_TEST(pending.end() == 201);
    BOOST_TEST(replayed(retry(name, key)));
    BOOST_TEST(agents_called(name) == "1");
}

BOOST_AUTO_TEST_CASE(of_64_equal_requests_one_is_carried_out) {
    for (const std::string stem : {"crowd", "slow-crowd"}) {
        const auto name = fresh_name(stem);
        const auto key = fresh_key();
        std::mutex mutex;
        std::vector<HttpAnswer> answers;
        std::vector<std::thread> threads;
        for (int i = 0; i < 64; ++i) {
            threads.emplace_back([&] {
                const auto answer = send("POST", "/agents/", agent_body(name), key);
                const std::lock_guard lock(mutex);
                answers.push_back(answer);
            });
        }
        for (auto& thread : threads)
            thread.join();
        int done = 0;
        std::set<std::string> bodies;
        for (const auto& answer : answers) {
            BOOST_TEST((answer.status == 201 || answer.status == 409), answer.body);
            done += answer.status == 201 && !replayed(answer) ? 1 : 0;
            if (answer.status == 201)
                bodies.insert(answer.body);
        }
        BOOST_TEST(answers.size() == 64U);
        BOOST_TEST(done == 1);
        BOOST_TEST(bodies.size() == 1U);
        BOOST_TEST(agents_called(name) == "1");
    }
}

BOOST_AUTO_TEST_CASE(a_day_later_the_key_is_free) {
    const auto name = fresh_name("expired");
    const auto key = fresh_key();
    BOOST_REQUIRE(send("POST", "/agents/", agent_body(name), key).status == 201);
    owner_run(
        "update muster.idempotency_records set expires_at = expires_at - interval '24 h'"
        " where key = '" +
        key + "'");
    const auto later = send("POST", "/agents/", agent_body(fresh_name("later")), key);
    BOOST_TEST(later.status == 201);
    BOOST_TEST(!replayed(later));
}

// What a write through another proxy, or before a restart, has ended in the cache is ended here
// when its answer is given again.
BOOST_AUTO_TEST_CASE(a_replay_is_followed_by_what_it_wrote) {
    const auto name = fresh_name("seen");
    const auto key = fresh_key();
    BOOST_REQUIRE(send("POST", "/agents/", agent_body(name), key).status == 201);
    const auto again = send("POST", "/agents/", agent_body(name), key);
    BOOST_REQUIRE(replayed(again));
    const auto list =
        HttpClient(shared_stack().port("http"))
            .request("GET", "/agents/?limit=1000",
                     alice() + "Muster-Token: " + again.header("muster-token") + "\r\n");
    BOOST_TEST(list.body.find(name) != std::string::npos);
}

BOOST_AUTO_TEST_CASE(functions_of_every_shape) {
    auto& stack = shared_stack();
    owner_run("create table orders (id int generated always as identity, doc json)");
    owner_run(
        "create function place_order(doc json, out body json, out next text, out status smallint,"
        " out location varchar) language sql security definer as $$"
        " insert into orders (doc) values (doc) returning to_json(orders), 'n', 202::smallint,"
        " '/orders/' || id $$");
    owner_run(
        "create function order_jsonb(doc json) returns jsonb language sql security definer as $$"
        " insert into orders (doc) values (doc) returning to_jsonb(orders) $$");
    owner_run(
        "create function order_table(doc json) returns table (body json) language sql security"
        " definer as $$ insert into orders (doc) values (doc) returning '  {\"n\" : 1}\n'::json"
        " $$");
    owner_run(
        "create function order_set(doc json) returns setof json language sql security definer as"
        " $$ insert into orders (doc) select doc where doc ->> 'n' is null returning 'null'::json"
        " $$");
    owner_run(
        "create function order_refused(doc json, out status int, out body json) language sql"
        " security definer as $$ insert into orders (doc) values (doc) returning 422, '{}'::json"
        " $$");
    owner_run(
        "create function order_twice(doc json) returns setof json language sql security definer"
        " as $$ insert into orders (doc) values (doc), (doc) returning '{}'::json $$");
    auto command = stack.proxy_command();
    const Sandbox sandbox;
    const auto file = sandbox.path() / "proxy.toml";
    for (std::size_t i = 0; i + 1 < command.size(); ++i) {
        if (command[i] == "--config") {
            std::ofstream text(file);
            text << read_file(command[i + 1]);
            for (const std::string function : {"place_order", "order_jsonb", "order_table",
                                               "order_set", "order_refused", "order_twice"})
                text << "\n[[route]]\nname = \"" << function << "\"\nmatch = \"POST /" << function
                     << "\"\ncall = \"" << function << "($body::json)\"\nsuccess = 201\n";
            text << "\n[[route]]\nname = \"freely\"\nmatch = \"POST /freely\"\n"
                    "call = \"order_jsonb($body::json)\"\nidempotent = false\n";
            command[i + 1] = file.string();
        }
    }
    const auto port = free_port();
    for (const std::string& setting :
         {"http.listen=127.0.0.1:" + std::to_string(port), std::string("admin.listen=127.0.0.1:0"),
          std::string("wire.listen=127.0.0.1:0"), std::string("relay.enabled=false")}) {
        command.push_back("--set");
        command.push_back(setting);
    }
    Process proxy(command, sandbox.path() / "log", SIGTERM);
    wait_until("the proxy with more routes", [&] {
        if (!proxy.running())
            throw std::runtime_error(read_file(sandbox.path() / "log"));
        try {
            return HttpClient(port).request("GET", "/health/ready").status == 200;
        } catch (const std::runtime_error&) {
            return false;
        }
    });
    const auto order = [&](const std::string& path, const std::string& key,
                           const std::string& body = "{}") {
        return send("POST", path, body, key, alice(), port);
    };
    const auto orders = [] { return std::stoi(owner("select count(*) from orders")); };

    for (const std::string path : {"/place_order", "/order_jsonb", "/order_table", "/order_set"}) {
        const auto before = orders();
        const auto key = fresh_key();
        const auto first = order(path, key);
        BOOST_TEST(first.status == (path == "/place_order" ? 202 : 201), first.body);
        const auto second = order(path, key);
        same_answer(first, second);
        BOOST_TEST(replayed(second));
        BOOST_TEST(orders() == before + 1);
        // Without a key the answer is the same bytes, but for what is new in it.
        const auto plain = HttpClient(port).request("POST", path, alice(), "{}");
        BOOST_TEST(plain.status == first.status);
        BOOST_TEST((plain.header("link") == "") == (first.header("link") == ""));
        if (path == "/order_table" || path == "/order_set")
            BOOST_TEST(plain.body == first.body);
    }
    BOOST_TEST(order("/place_order", fresh_key()).header("location").starts_with("/orders/"));

    // No row: nothing was done, and nothing is stored.
    const auto none = fresh_key();
    problem(order("/order_set", none, R"({"n":0})"), 404);
    problem(order("/order_set", none, R"({"n":0})"), 404);
    // A function's own refusal is an answer, but not one to keep.
    const auto refused = fresh_key();
    auto before = orders();
    BOOST_TEST(order("/order_refused", refused).status == 422);
    const auto again = order("/order_refused", refused);
    BOOST_TEST(again.status == 422);
    BOOST_TEST(!replayed(again));
    BOOST_TEST(orders() == before + 2);
    // Two rows are no answer; nothing of it stays.
    before = orders();
    BOOST_TEST(order("/order_twice", fresh_key()).status == 409);
    BOOST_TEST(orders() == before);
    // A route that has switched it off.
    const auto freely = fresh_key();
    BOOST_TEST(order("/freely", freely).status == 200);
    BOOST_TEST(!replayed(order("/freely", freely)));
    BOOST_TEST(orders() == before + 2);
}

BOOST_AUTO_TEST_SUITE_END()

// Each kills with SIGKILL; pgbouncer, stopped in time, keeps the answer from going anywhere.
BOOST_AUTO_TEST_SUITE(between_the_write_and_its_answer)

BOOST_AUTO_TEST_CASE(the_proxy_dies) {
    auto& stack = shared_stack();
    const auto name = fresh_name("slow-proxy");
    const auto key = fresh_key();
    Pending pending(name, key);
    stack.signal("pgbouncer", SIGSTOP);
    wait_until("the write to be committed", [&] { return agents_called(name) == "1"; });
    stack.signal("proxy", SIGKILL);
    BOOST_TEST(pending.end() == 0);
    stack.signal("pgbouncer", SIGCONT);
    start_again();
    const auto answer = retry(name, key);
    BOOST_TEST(answer.status == 201);
    BOOST_TEST(replayed(answer));
    BOOST_TEST(Json::parse(answer.body)["name"] == name);
    BOOST_TEST(agents_called(name) == "1");
}

BOOST_AUTO_TEST_CASE(postgresql_dies_after_the_commit) {
    auto& stack = shared_stack();
    const auto name = fresh_name("slow-commit");
    const auto key = fresh_key();
    Pending pending(name, key);
    stack.signal("pgbouncer", SIGSTOP);
    wait_until("the write to be committed", [&] { return agents_called(name) == "1"; });
    stack.signal("postgres", SIGKILL);
    stack.signal("pgbouncer", SIGKILL);
    BOOST_TEST(pending.end() == 503);
    start_again();
    const auto answer = retry(name, key);
    BOOST_TEST(answer.status == 201);
    BOOST_TEST(replayed(answer));
    BOOST_TEST(agents_called(name) == "1");
}

BOOST_AUTO_TEST_CASE(postgresql_dies_before_the_commit) {
    auto& stack = shared_stack();
    const auto name = fresh_name("slow-write");
    const auto key = fresh_key();
    Pending pending(name, key);
    stack.signal("postgres", SIGKILL);
    BOOST_TEST(pending.end() == 503);
    start_again();
    const auto answer = retry(name, key);
    BOOST_TEST(answer.status == 201);
    BOOST_TEST(!replayed(answer));
    BOOST_TEST(agents_called(name) == "1");
}

BOOST_AUTO_TEST_SUITE_END()
