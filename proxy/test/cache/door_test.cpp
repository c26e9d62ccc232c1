// What HTTP clients see of the cache.
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "cache/world.hpp"

using namespace muster;
using namespace muster::test;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_CASE(an_answer_is_kept_with_its_headers) {
    CacheWorld world;
    const auto proxy = world.proxy();
    BOOST_CHECK_EQUAL(status(get(*proxy, "/items/?limit=1")), "muster; fwd=bypass");
    world.beat(*proxy);
    const auto first = get(*proxy, "/items/?limit=1");
    const auto second = get(*proxy, "/items/?x=1&limit=001&y=2");
    BOOST_CHECK(!is_hit(first));
    BOOST_CHECK_MESSAGE(is_hit(second), status(second));
    BOOST_CHECK_EQUAL(first.body, second.body);
    BOOST_CHECK_EQUAL(first.header("etag"), second.header("etag"));
    BOOST_CHECK_EQUAL(second.header("vary"), "Authorization, X-API-Key");
    BOOST_CHECK_EQUAL(second.header("cache-control"), "private, no-cache");
    BOOST_CHECK_EQUAL(second.header("link"),
                      "</items/?x=1&limit=001&y=2&after=cursor>; rel=\"next\"");
    BOOST_CHECK(!is_hit(get(*proxy, "/items/?limit=2")));
    HttpClient client(proxy->port());
    client.send("HEAD /items/?limit=1 HTTP/1.1\r\nHost: x\r\n" + key + "\r\n");
    const auto head = client.read(true);
    BOOST_CHECK(is_hit(head));
    BOOST_CHECK_EQUAL(head.header("content-length"), std::to_string(first.body.size()));
}

BOOST_AUTO_TEST_CASE(a_client_that_has_it_is_told_so) {
    CacheWorld world;
    const auto proxy = world.proxy();
    world.beat(*proxy);
    const std::string etag = get(*proxy, "/items/1").header("etag");
    BOOST_REQUIRE_EQUAL(etag.size(), 34U);
    for (const std::string& header : {etag, "\"a\", " + etag, "W/" + etag, std::string("*")}) {
        const auto answer = get(*proxy, "/items/1", "If-None-Match: " + header + "\r\n");
        BOOST_CHECK_EQUAL(answer.status, 304);
        BOOST_CHECK_EQUAL(answer.header("etag"), etag);
        BOOST_CHECK_EQUAL(answer.body, "");
    }
    for (const std::string header : {"\"a\"", "a", "", "\"", "W/", ","}) {
        BOOST_CHECK_EQUAL(get(*proxy, "/items/1", "If-None-Match: " + header + "\r\n").status, 200);
    }
    world.change(*proxy, "update items set name = 'new' where id = 1", R"("items","items:1")");
    BOOST_CHECK_EQUAL(get(*proxy, "/items/1", "If-None-Match: " + etag + "\r\n").status, 200);
    BOOST_CHECK_EQUAL(proxy->metric("cache_not_modified_total"), 4);
}

BOOST_AUTO_TEST_CASE(a_change_ends_what_has_its_tags_and_nothing_else) {
    CacheWorld world;
    const auto proxy = world.proxy();
    world.beat(*proxy);
    const std::vector<std::string> targets{"/items/", "/items/?include=owner", "/items/1",
                                           "/items/2"};
    const auto hits = [&] {
        std::string all;
        for (const auto& target : targets) {
            all += is_hit(get(*proxy, target)) ? 'h' : 'm';
        }
        return all;
    };
    BOOST_CHECK_EQUAL(hits(), "mmmm");
    BOOST_CHECK_EQUAL(hits(), "hhhh");
    world.change(*proxy, "update items set name = 'x' where id = 1", R"("items","items:1")");
    BOOST_CHECK_EQUAL(hits(), "mmmh");
    world.change(*proxy, "update items set name = 'y' where id = 2", R"("owners","owners:7")");
    BOOST_CHECK_EQUAL(hits(), "hmhh");
    BOOST_CHECK_EQUAL(proxy->metric("cache_not_served_total{reason=\"changed\"}"), 4);
    // A change of the whole table, as TRUNCATE announces it, ends its items too.
    BOOST_CHECK_EQUAL(hits(), "hhhh");
    world.change(*proxy, "delete from items", R"("items")");
    BOOST_CHECK_EQUAL(hits(), "mmmm");
    BOOST_CHECK_EQUAL(get(*proxy, "/items/1").status, 404);
}

BOOST_AUTO_TEST_CASE(a_write_is_read_by_its_writer_in_every_proxy) {
    CacheWorld world;
    const auto one = world.proxy();
    const auto two = world.proxy();
    world.beat(*one);
    world.beat(*two);
    for (const auto* proxy : {one.get(), two.get()}) {
        get(*proxy, "/items/1");
        get(*proxy, "/items/1");
    }
    HttpClient client(one->port());
    const auto written = client.request("PUT", "/items/1/mine", key);
    BOOST_REQUIRE_EQUAL(written.status, 200);
    const std::string token = written.header("muster-token");
    BOOST_CHECK_EQUAL(token.substr(0, 3), "e1:");
    BOOST_CHECK(client.request("GET", "/items/1", key).body.find("mine") != std::string::npos);
    // The other proxy has not heard of it: it may answer what it has, but not to who shows the
    // token.
    BOOST_CHECK(is_hit(get(*two, "/items/1")));
    const auto shown = get(*two, "/items/1", "Muster-Token: " + token + "\r\n");
    BOOST_CHECK(shown.body.find("mine") != std::string::npos);
    const auto again = get(*two, "/items/1", "Muster-Token: " + token + "\r\n");
    BOOST_CHECK(is_hit(again));
    BOOST_CHECK(again.body.find("mine") != std::string::npos);
    const auto foreign = get(*two, "/items/1", "Muster-Token: other:5\r\n");
    BOOST_CHECK_EQUAL(status(foreign), "muster; fwd=request");
    BOOST_CHECK_EQUAL(get(*two, "/items/1", "Muster-Token: nonsense\r\n").status, 400);
    // What changes nothing has no token.
    const auto nothing = client.request("DELETE", "/nothing", key);
    BOOST_CHECK_EQUAL(nothing.status, 404);
    BOOST_CHECK_EQUAL(nothing.header("muster-token"), "");
}

BOOST_AUTO_TEST_CASE(that_there_is_nothing_is_kept_until_there_is) {
    CacheWorld world;
    const auto proxy = world.proxy();
    world.beat(*proxy);
    BOOST_CHECK_EQUAL(get(*proxy, "/items/9").status, 404);
    const auto missing = get(*proxy, "/items/9");
    BOOST_CHECK_EQUAL(missing.status, 404);
    BOOST_CHECK(is_hit(missing));
    BOOST_CHECK_EQUAL(missing.header("content-type"), "application/problem+json");
    world.change(*proxy, "insert into items values (9, 'nine')", R"("items","items:9")");
    BOOST_CHECK_EQUAL(get(*proxy, "/items/9").status, 200);
}

BOOST_AUTO_TEST_CASE(who_may_not_ask_is_not_answered) {
    CacheWorld world;
    const auto proxy = world.proxy();
    world.beat(*proxy);
    get(*proxy, "/items/1");
    BOOST_CHECK(is_hit(get(*proxy, "/items/1")));
    HttpClient client(proxy->port());
    BOOST_CHECK_EQUAL(client.request("GET", "/items/1").status, 401);
    BOOST_CHECK_EQUAL(client.request("GET", "/items/1", "X-API-Key: guessed\r\n").status, 401);
    BOOST_CHECK_EQUAL(client.request("GET", "/items/1", "X-API-Key: writer\r\n").status, 403);
}

BOOST_AUTO_TEST_CASE(nothing_is_served_when_the_relay_is_silent_or_new) {
    CacheWorld world;
    const auto proxy = world.proxy();
    world.beat(*proxy);
    get(*proxy, "/items/1");
    wait_until("the heartbeat to grow old", [&] { return !proxy->alive(); });
    BOOST_CHECK_EQUAL(status(get(*proxy, "/items/1")), "muster; fwd=bypass");
    world.beat(*proxy);
    get(*proxy, "/items/1");
    BOOST_CHECK(is_hit(get(*proxy, "/items/1")));
    world.epoch = "e2";
    world.change(*proxy, "update items set name = 'z' where id = 2", R"("items","items:2")");
    world.beat(*proxy);
    BOOST_CHECK(!is_hit(get(*proxy, "/items/1")));
    BOOST_CHECK_EQUAL(proxy->metric("cache_fence_alive"), 1);
}

BOOST_AUTO_TEST_CASE(proxies_share_what_is_in_redis) {
    CacheWorld world;
    const auto one = world.proxy();
    world.beat(*one);
    // The first request of each thread finds no connection to Redis yet.
    wait_until("an entry to be in Redis", [&] {
        world.beat(*one);
        get(*one, "/items/?limit=" + std::to_string(1 + std::rand() % 1000));
        get(*one, "/items/1");
        return redis_server().cli({"--scan", "--pattern", "muster:cache:e1:*"}) != "";
    });
    const auto two = world.proxy();
    wait_until("an answer from L2", [&] {
        world.beat(*one);
        world.beat(*two);
        world.change(*two, "update items set name = 'l2' where id = 1", R"("items","items:1")");
        get(*one, "/items/1");  // heard of it too
        get(*two, "/items/2");
        const auto answer = get(*two, "/items/1");
        return status(answer).find("l2") != std::string::npos &&
               answer.body.find("l2") != std::string::npos;
    });
    BOOST_CHECK(two->metric("cache_reads_total{answered_by=\"l2\"}") >= 1);
    // Without Redis, or with a stopped one, reads are answered all the same.
    redis_server().signal(SIGSTOP);
    for (int i = 0; i < 5; ++i) {
        BOOST_CHECK_EQUAL(get(*two, "/items/2?limit=" + std::to_string(i)).status, 200);
    }
    redis_server().signal(SIGCONT);
}

namespace {

// Each by a client of its own.
void ask_at_once(const CachedProxy& proxy, std::vector<HttpAnswer>& answers) {
    std::vector<std::thread> clients;
    for (HttpAnswer& answer : answers) {
        clients.emplace_back([&] { answer = get(proxy, "/slow"); });
    }
    for (auto& client : clients) {
        client.join();
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(requests_share_a_query_that_has_seen_what_they_know) {
    CacheWorld world;
    const auto proxy = world.proxy({.threads = 1});
    world.beat(*proxy);
    std::vector<HttpAnswer> answers(8);
    {
        const Beats beats(world);
        ask_at_once(*proxy, answers);
    }
    for (const auto& answer : answers) {
        BOOST_CHECK_EQUAL(answer.body, answers[0].body);
    }
    BOOST_CHECK_EQUAL(proxy->metric("cache_reads_total{answered_by=\"database\"}"), 1);
    // A change that became known since the query began: the answer may be without it.
    world.beat(*proxy);
    HttpAnswer early;
    world.change(*proxy, "update items set name = 'a' where id = 1", R"("slow")");
    std::thread first([&] { early = get(*proxy, "/slow"); });
    std::this_thread::sleep_for(100ms);
    world.change(*proxy, "update items set name = 'b' where id = 1", R"("slow")");
    world.beat(*proxy);
    const auto late = get(*proxy, "/slow");
    first.join();
    BOOST_CHECK(early.body != late.body);
}

// The threads do not share, so that each of them may ask once.
BOOST_AUTO_TEST_CASE(a_crowd_asks_the_database_no_more_than_once_a_thread) {
    CacheWorld world;
    const auto proxy = world.proxy({.threads = 2});
    world.beat(*proxy);
    std::vector<HttpAnswer> answers(24);
    {
        const Beats beats(world);
        ask_at_once(*proxy, answers);
    }
    std::size_t collapsed = 0;
    for (const auto& answer : answers) {
        BOOST_CHECK_EQUAL(answer.status, 200);
        collapsed += status(answer).find("; collapsed") != std::string::npos ? 1U : 0U;
    }
    BOOST_CHECK(proxy->metric("cache_reads_total{answered_by=\"database\"}") <= 2);
    BOOST_CHECK(collapsed > 0);
    BOOST_CHECK_EQUAL(proxy->metric("cache_reads_total{answered_by=\"shared\"}"),
                      static_cast<double>(collapsed));
}

BOOST_AUTO_TEST_CASE(that_there_is_nothing_lives_no_longer_than_is_set) {
    CacheWorld world;
    const auto proxy = world.proxy({.more = "[cache]\nnegative_ttl = \"200ms\"\n"});
    bool hit = false;
    for (int round = 0; round < 20 && !hit; ++round) {  // the machine may have much else to do
        world.beat(*proxy);
        get(*proxy, "/items/9");
        hit = is_hit(get(*proxy, "/items/9"));
        std::this_thread::sleep_for(200ms);
        const auto after = get(*proxy, "/items/9");
        BOOST_CHECK_EQUAL(after.status, 404);
        BOOST_CHECK_MESSAGE(!is_hit(after), status(after));
    }
    BOOST_CHECK(hit);
}

BOOST_AUTO_TEST_CASE(an_answer_lives_no_longer_than_its_route_says) {
    CacheWorld world;
    const auto proxy = world.proxy();
    world.beat(*proxy);
    const auto first = get(*proxy, "/short").body;
    std::this_thread::sleep_for(150ms);
    world.beat(*proxy);
    BOOST_CHECK(get(*proxy, "/short").body != first);
}
