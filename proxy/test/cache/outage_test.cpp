// What HTTP clients get from the cache while the database is away.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <string>

#include "cache/world.hpp"

using namespace muster;
using namespace muster::test;
using namespace std::chrono_literals;

namespace {

using Time = std::chrono::steady_clock;

double circuit(const CachedProxy& proxy) {
    return proxy.metric("circuit_breaker_state{circuit=\"database\"}");
}

// Should a heartbeat be late, what is in the cache is served all the same.
const std::string patient = "[cache]\nstale_if_error = \"60s\"\n";

// Takes the database away behind a hit, and waits until the breaker has opened.
void lock_out_until_open(const CacheWorld& world, CachedProxy& proxy) {
    wait_until("a hit", [&] { return is_hit(get(proxy, "/items/1")); });
    world.lock_out();
    wait_until("the breaker to open", [&] {
        get(proxy, "/slow");
        return circuit(proxy) >= 2;
    });
}

// No request is refused until then.
void wait_until_closed(CachedProxy& proxy) {
    wait_until("the breaker to close", [&] {
        BOOST_CHECK_EQUAL(get(proxy, "/items/1").status, 200);
        return circuit(proxy) == 0;
    });
}

}  // namespace

BOOST_AUTO_TEST_CASE(with_the_database_away_what_is_old_stands_in_and_what_is_wrong_does_not) {
    CacheWorld world;
    const auto proxy = world.proxy({.more = "[cache]\nstale_if_error = \"4s\"\n"});
    world.beat(*proxy);
    const auto fresh = get(*proxy, "/items/1");
    get(*proxy, "/items/2");
    BOOST_REQUIRE(is_hit(get(*proxy, "/items/1")));
    world.change(*proxy, "update items set name = 'new' where id = 2", R"("items:2")");
    world.beat(*proxy);
    world.lock_out();

    // Once the heartbeats have been missed for a second and the breaker has opened.
    HttpAnswer stale;
    wait_until("a stale answer", [&] {
        stale = get(*proxy, "/items/1");
        return status(stale).find("detail=stale") != std::string::npos;
    });
    BOOST_CHECK_EQUAL(stale.status, 200);
    BOOST_CHECK_EQUAL(stale.body, fresh.body);
    BOOST_CHECK_EQUAL(stale.header("etag"), fresh.header("etag"));
    BOOST_CHECK_EQUAL(status(stale).substr(0, 18), "muster; hit; ttl=-");
    BOOST_CHECK(proxy->metric("circuit_breaker_state{circuit=\"database\"}") >= 2);
    BOOST_CHECK(proxy->metric("cache_stale_total") >= 1);
    BOOST_CHECK_EQUAL(
        get(*proxy, "/items/1", "If-None-Match: " + fresh.header("etag") + "\r\n").status, 304);
    // Known to have changed; asked for by who has written since; never read; a write.
    BOOST_CHECK_EQUAL(get(*proxy, "/items/2").status, 503);
    const auto unseen = get(*proxy, "/items/1", "Muster-Token: e1:9000000000000000000\r\n");
    BOOST_CHECK_EQUAL(unseen.status, 503);
    BOOST_CHECK_EQUAL(unseen.header("retry-after"), "1");
    BOOST_CHECK_EQUAL(get(*proxy, "/items/1", "Muster-Token: e9:1\r\n").status, 503);
    BOOST_CHECK_EQUAL(get(*proxy, "/items/3").status, 503);
    BOOST_CHECK_EQUAL(HttpClient(proxy->port()).request("PUT", "/items/1/x", key).status, 503);
    // For a time.
    wait_until("it to be too old", [&] { return get(*proxy, "/items/1").status == 503; });

    world.let_in();
    wait_until("the database to answer", [&] {
        const auto answer = get(*proxy, "/items/1");
        return answer.status == 200 && status(answer) == "muster; fwd=bypass";
    });
}

BOOST_AUTO_TEST_CASE(a_key_that_one_thread_has_heard_of_is_known_to_all_in_an_outage) {
    CacheWorld world;
    const auto proxy = world.proxy({.threads = 8, .more = "[cache]\nstale_if_error = \"60s\"\n"});
    world.beat(*proxy);
    BOOST_REQUIRE_EQUAL(get(*proxy, "/items/1").status, 200);
    world.lock_out();
    wait_until("a stale answer", [&] {
        return status(get(*proxy, "/items/1")).find("detail=stale") != std::string::npos;
    });
    for (int i = 0; i < 50; ++i) {
        BOOST_CHECK_EQUAL(get(*proxy, "/items/1").status, 200);
    }
}

// Answered from the cache all of them, requests still are what finds the database back.
BOOST_AUTO_TEST_CASE(known_keys_find_the_database_back) {
    CacheWorld world;
    const auto proxy = world.proxy({.more = patient});
    const auto session = world.session();
    world.beat(*proxy);
    {
        const Beats beats(world);
        lock_out_until_open(world, *proxy);
        for (int i = 0; i < 20; ++i) {
            BOOST_CHECK_EQUAL(get(*proxy, "/items/1").status, 200);
        }
        world.let_in();
        wait_until_closed(*proxy);
        session->run("delete from muster.keys where sha256 = sha256('key')");
        wait_until("the key to end", [&] { return get(*proxy, "/items/1").status == 401; });
    }
}

BOOST_AUTO_TEST_CASE(known_keys_do_not_wait_for_a_database_that_hangs) {
    CacheWorld world;
    const auto proxy = world.proxy({.http = "request_timeout = \"20s\"\n", .more = patient});
    const auto session = world.session();
    world.beat(*proxy);
    {
        const Beats beats(world);
        lock_out_until_open(world, *proxy);
        session->run("begin; lock table muster.keys in access exclusive mode");
        world.let_in();
        const auto begun = Time::now();
        Time::duration longest{};
        while (Time::now() - begun < 4s) {  // in which each thread asks for the key again and again
            const auto sent = Time::now();
            BOOST_CHECK_EQUAL(get(*proxy, "/items/1").status, 200);
            longest = std::max(longest, Time::now() - sent);
        }
        BOOST_CHECK(longest < 10s);
        session->run("commit");
        wait_until_closed(*proxy);
    }
}
