// The connection pool against a real server: lending, waiting in order, outages.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "postgres/pool.hpp"
#include "runtime/runtime.hpp"
#include "servers/coroutine.hpp"
#include "servers/postgres.hpp"

using namespace muster;
using namespace muster::postgres;
using namespace std::chrono_literals;
using muster::test::in;
using muster::test::sleep_for;

namespace {

test::PostgresServer& server() {
    static test::PostgresServer one;
    return one;
}

PoolOptions options(std::size_t size, std::size_t queue = 100) {
    PoolOptions made;
    made.conninfo = server().socket_conninfo();
    made.size = size;
    made.queue = queue;
    return made;
}

Task<std::string> value(Pool::Lease& lease, const char* sql) {
    auto rows = co_await lease->query(sql, {}, in(10s));
    co_return rows ? std::string(rows.value().get(0, 0)) : rows.error().sqlstate;
}

// Takes a connection, notes when, and gives it back.
Task<> visit(Pool& pool, int number, std::vector<int>& order, int& ended) {
    {
        auto lease = co_await pool.acquire(in(10s));
        if (lease) {
            order.push_back(number);
            co_await sleep_for(1ms);
        }
    }
    ++ended;
}

Task<> collect_error(Pool& pool, std::vector<std::string>& sqlstates) {
    auto lease = co_await pool.acquire(in(5s));
    sqlstates.push_back(lease ? "" : lease.error().sqlstate);
}

template <class Condition>
Task<> until(Condition condition) {
    const TimePoint give_up = in(20s);
    while (!condition() && Clock::now() < give_up) {
        co_await sleep_for(1ms);
    }
    BOOST_REQUIRE(condition());
}

}  // namespace

BOOST_AUTO_TEST_CASE(connections_are_opened_when_needed_and_used_again) {
    test::run([](net::io_context& context) -> Task<> {
        Pool pool(context, options(3));
        BOOST_TEST(pool.open() == 0U);
        std::string first;
        for (int i = 0; i < 5; ++i) {
            auto lease = co_await pool.acquire(in(5s));
            BOOST_REQUIRE(lease.has_value());
            const std::string backend = co_await value(lease.value(), "select pg_backend_pid()");
            BOOST_TEST((first.empty() || first == backend));
            first = backend;
        }
        BOOST_TEST(pool.open() == 1U);
        BOOST_TEST(pool.idle() == 1U);
        auto a = co_await pool.acquire(in(5s));
        auto b = co_await pool.acquire(in(5s));
        BOOST_TEST(pool.open() == 2U);
        BOOST_TEST(pool.idle() == 0U);
    });
}

BOOST_AUTO_TEST_CASE(waiters_are_served_in_order_within_the_bound) {
    test::run([](net::io_context& context) -> Task<> {
        Pool pool(context, options(2));
        {
            const auto first = co_await pool.acquire(in(5s));
            const auto second = co_await pool.acquire(in(5s));
            BOOST_REQUIRE((first && second));
        }
        std::vector<int> order;
        int ended = 0;
        for (int i = 0; i < 20; ++i) {
            spawn(context, "a visit", visit(pool, i, order, ended));
        }
        co_await until([&] { return ended == 20; });
        BOOST_TEST(pool.open() == 2U);
        BOOST_TEST(pool.waiting() == 0U);
        BOOST_TEST(order.size() == 20U);
        BOOST_TEST(std::is_sorted(order.begin(), order.end()));
    });
}

BOOST_AUTO_TEST_CASE(waiting_has_a_deadline_and_a_bound) {
    test::run([](net::io_context& context) -> Task<> {
        Pool pool(context, options(1, 1));
        auto lease = co_await pool.acquire(in(5s));
        BOOST_REQUIRE(lease.has_value());
        auto late = co_await pool.acquire(in(30ms));
        BOOST_REQUIRE(!late.has_value());
        BOOST_TEST(late.error().sqlstate == "53300");
        BOOST_TEST(pool.waiting() == 0U);

        std::vector<std::string> waiting;
        spawn(context, "a waiter", collect_error(pool, waiting));
        co_await until([&] { return pool.waiting() == 1; });
        auto crowded = co_await pool.acquire(in(5s));
        BOOST_REQUIRE(!crowded.has_value());
        BOOST_TEST(crowded.error().message.find("too many") != std::string::npos);
        { const auto given_back = std::move(lease).value(); }
        co_await until([&] { return waiting.size() == 1; });
        BOOST_TEST(waiting[0] == "");
    });
}

BOOST_AUTO_TEST_CASE(a_connection_that_is_not_usable_is_not_lent_again) {
    test::run([](net::io_context& context) -> Task<> {
        Pool pool(context, options(1));
        std::string first;
        {
            auto lease = co_await pool.acquire(in(5s));
            BOOST_REQUIRE(lease.has_value());
            first = co_await value(lease.value(), "select pg_backend_pid()");
            // Left in a transaction.
            BOOST_REQUIRE((co_await lease.value()->query("begin", {}, in(5s))).has_value());
        }
        BOOST_TEST(pool.open() == 0U);
        std::string second;
        {
            auto lease = co_await pool.acquire(in(5s));
            BOOST_REQUIRE(lease.has_value());
            second = co_await value(lease.value(), "select pg_backend_pid()");
            BOOST_TEST(first != second);
            // Cut off by its deadline.
            BOOST_TEST(!(co_await lease.value()->query("select pg_sleep(5)", {}, in(50ms))));
        }
        BOOST_TEST(pool.open() == 0U);
        {
            auto lease = co_await pool.acquire(in(5s));
            BOOST_REQUIRE(lease.has_value());
            second = co_await value(lease.value(), "select pg_backend_pid()");
        }
        // Ended by the server while idle.
        server().psql("select pg_terminate_backend(" + second + ", 5000)");
        auto lease = co_await pool.acquire(in(5s));
        BOOST_REQUIRE(lease.has_value());
        BOOST_TEST((co_await value(lease.value(), "select 1")) == "1");
    });
}

BOOST_AUTO_TEST_CASE(a_broken_connection_frees_its_place_for_a_waiter) {
    test::run([](net::io_context& context) -> Task<> {
        Pool pool(context, options(1));
        std::vector<std::string> waiting;
        {
            auto lease = co_await pool.acquire(in(5s));
            BOOST_REQUIRE(lease.has_value());
            spawn(context, "a waiter", collect_error(pool, waiting));
            co_await until([&] { return pool.waiting() == 1; });
            BOOST_TEST((co_await value(lease.value(),
                                       "select pg_terminate_backend("
                                       "pg_backend_pid())")) == "57P01");
        }
        co_await until([&] { return waiting.size() == 1; });
        BOOST_TEST(waiting[0] == "");
    });
}

BOOST_AUTO_TEST_CASE(a_closed_pool_serves_but_keeps_nothing) {
    test::run([](net::io_context& context) -> Task<> {
        Pool pool(context, options(2));
        { const auto lease = co_await pool.acquire(in(5s)); }
        BOOST_TEST(pool.idle() == 1U);
        pool.close();
        BOOST_TEST(pool.open() == 0U);
        {
            auto lease = co_await pool.acquire(in(5s));
            BOOST_REQUIRE(lease.has_value());
            BOOST_TEST((co_await value(lease.value(), "select 1")) == "1");
        }
        BOOST_TEST(pool.open() == 0U);
    });
}

BOOST_AUTO_TEST_CASE(an_outage_costs_few_attempts_and_ends_by_itself) {
    test::run([](net::io_context& context) -> Task<> {
        Pool pool(context, options(5));
        { const auto lease = co_await pool.acquire(in(5s)); }
        server().stop();
        // The requests of an outage fail at once, all of them, and do not wait for their deadline.
        std::vector<std::string> sqlstates;
        const TimePoint begun = Clock::now();
        for (int i = 0; i < 1000; ++i) {
            spawn(context, "a request", collect_error(pool, sqlstates));
        }
        co_await until([&] { return sqlstates.size() == 1000; });
        BOOST_TEST((Clock::now() - begun < 5s));
        for (const std::string& sqlstate : sqlstates) {
            BOOST_TEST(sqlstate.starts_with("08"));
        }
        BOOST_TEST(pool.open() == 0U);
        BOOST_TEST(pool.waiting() == 0U);
        server().start();
        bool reached = false;
        for (int i = 0; i < 200 && !reached; ++i) {
            const auto lease = co_await pool.acquire(in(5s));
            reached = lease.has_value();
            if (!reached) {
                co_await sleep_for(20ms);
            }
        }
        BOOST_TEST(reached);
    });
}

BOOST_AUTO_TEST_CASE(an_attempt_cut_short_by_its_request_is_no_outage) {
    test::run([](net::io_context& context) -> Task<> {
        Pool pool(context, options(2));
        const auto cut = co_await pool.acquire(Clock::now() - 1s);
        BOOST_TEST(!cut.has_value());
        BOOST_TEST(pool.reached());
        const auto lease = co_await pool.acquire(in(5s));
        BOOST_TEST(lease.has_value());
    });
}

BOOST_AUTO_TEST_CASE(a_server_that_refuses_is_not_hammered) {
    test::run([](net::io_context& context) -> Task<> {
        TcpAcceptor acceptor(context, {net::ip::make_address_v4("127.0.0.1"), 0});
        int attempts = 0;
        spawn(context, "a server that hangs up", [](TcpAcceptor& accepting, int& count) -> Task<> {
            error_code ec;
            while (!ec) {
                TcpSocket socket(co_await net::this_coro::executor);
                co_await accepting.async_accept(socket, capture(ec));
                count += ec ? 0 : 1;
            }
        }(acceptor, attempts));
        PoolOptions made = options(4);
        made.conninfo = "host=127.0.0.1 dbname=x user=x sslmode=disable gssencmode=disable port=" +
                        std::to_string(acceptor.local_endpoint().port());
        Pool pool(context, made);
        const TimePoint begun = Clock::now();
        for (int i = 0; i < 300; ++i) {
            const auto lease = co_await pool.acquire(in(5s));
            BOOST_TEST(!lease);
            co_await sleep_for(2ms);
        }
        // The first pause is at least 25 ms and none is shorter.
        const auto most = 1 + (Clock::now() - begun) / 25ms;
        BOOST_TEST(attempts >= 2);
        BOOST_TEST(attempts <= most);
        acceptor.close();
    });
}
