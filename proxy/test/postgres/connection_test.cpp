// postgres::Connection against a real server.
#include "postgres/connection.hpp"

#include <filesystem>
#include <sstream>

#include <boost/test/unit_test.hpp>

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include "servers/coroutine.hpp"
#include "servers/postgres.hpp"

using namespace muster;
using namespace std::chrono_literals;
using postgres::Connection;
using postgres::Parameter;
using test::in;

namespace {

test::PostgresServer& server() {
    static test::PostgresServer instance;
    return instance;
}

Task<std::unique_ptr<Connection>> connected(net::io_context& context) {
    auto made = co_await Connection::connect(context, server().socket_conninfo(), in(10s));
    if (!made)
        throw std::runtime_error(made.error().message);
    co_return std::move(made).value();
}

Parameter text(std::string value) {
    return {.value = std::move(value)};
}

// The only value of a statement without parameters.
Task<std::string> value_of(Connection& connection, const char* sql) {
    auto rows = co_await connection.query(sql, {}, in(10s));
    if (!rows)
        throw std::runtime_error(rows.error().message);
    co_return std::string(rows.value().get(0, 0));
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_query_returns_rows_names_types_and_tag) {
    test::run([](net::io_context& context) -> Task<> {
        auto connection = co_await connected(context);
        std::vector<Parameter> parameters{text("41"), Parameter{}, text("x'y")};
        auto rows = co_await connection->query(
            "select $1::int + 1 as number, $2::text as nothing, $3::text as quoted", parameters,
            in(10s));
        BOOST_REQUIRE(rows);
        BOOST_TEST(rows.value().size() == 1);
        BOOST_TEST(rows.value().columns() == 3);
        BOOST_TEST(rows.value().name(0) == "number");
        BOOST_TEST(rows.value().type(0) == 23u);
        BOOST_TEST(rows.value().find("quoted") == 2);
        BOOST_TEST(rows.value().find("absent") == -1);
        BOOST_TEST(rows.value().get(0, 0) == "42");
        BOOST_TEST(rows.value().is_null(0, 1));
        BOOST_TEST(rows.value().get(0, 2) == "x'y");
        BOOST_TEST(rows.value().tag() == "SELECT 1");
        BOOST_TEST(connection->usable());
    });
}

BOOST_AUTO_TEST_CASE(an_error_carries_the_servers_fields_and_leaves_the_connection_usable) {
    test::run([](net::io_context& context) -> Task<> {
        auto connection = co_await connected(context);
        auto rows = co_await connection->query(
            "do $$begin raise exception 'no' using errcode = 'P0002', detail = 'why', hint = 'do';"
            "end$$",
            {}, in(10s));
        BOOST_REQUIRE(!rows);
        BOOST_TEST(rows.error().sqlstate == "P0002");
        BOOST_TEST(rows.error().message == "no");
        BOOST_TEST(rows.error().detail == "why");
        BOOST_TEST(rows.error().hint == "do");
        BOOST_TEST(!rows.error().connection_lost);
        BOOST_TEST(connection->usable());
        const std::string after = co_await value_of(*connection, "select 1");
        BOOST_TEST(after == "1");

        auto syntax = co_await connection->query("select from where", {}, in(10s));
        BOOST_REQUIRE(!syntax);
        BOOST_TEST(syntax.error().sqlstate == "42601");
        auto two = co_await connection->query("select 1; select 2", {}, in(10s));
        BOOST_REQUIRE(!two);
        BOOST_TEST(two.error().sqlstate == "42601");
        auto late = co_await connection->query("select 1 / (3 - g) from generate_series(1, 9) g",
                                               {}, in(10s));
        BOOST_REQUIRE(!late);
        BOOST_TEST(late.error().sqlstate == "22012");
        BOOST_TEST(connection->usable());
        auto empty = co_await connection->query("", {}, in(10s));
        BOOST_REQUIRE(empty);
        BOOST_TEST(empty.value().size() == 0);
        BOOST_TEST(connection->usable());
    });
}

BOOST_AUTO_TEST_CASE(a_connection_in_a_transaction_is_not_usable_for_others) {
    test::run([](net::io_context& context) -> Task<> {
        auto connection = co_await connected(context);
        auto begun = co_await connection->query("begin", {}, in(10s));
        BOOST_REQUIRE(begun);
        BOOST_TEST(!connection->usable());
        auto failed = co_await connection->query("select 1/0", {}, in(10s));
        BOOST_REQUIRE(!failed);
        BOOST_TEST(!connection->usable());
        auto ended = co_await connection->query("rollback", {}, in(10s));
        BOOST_REQUIRE(ended);
        BOOST_TEST(connection->usable());
    });
}

BOOST_AUTO_TEST_CASE(the_deadline_cancels_the_statement_in_the_server) {
    test::run([](net::io_context& context) -> Task<> {
        auto connection = co_await connected(context);
        const std::string pid = co_await value_of(*connection, "select pg_backend_pid()");
        auto rows = co_await connection->query("select pg_sleep(50)", {}, in(100ms));
        BOOST_REQUIRE(!rows);
        BOOST_TEST(rows.error().sqlstate == "57014");
        BOOST_TEST(!rows.error().connection_lost);  // the server answered the cancel request
        BOOST_TEST(!connection->usable());
        auto again = co_await connection->query("select 1", {}, in(1s));
        BOOST_REQUIRE(!again);
        BOOST_TEST(again.error().sqlstate == "08003");
        const std::string active = server().psql(
            "select count(*) from pg_stat_activity where state = 'active' and pid = " + pid);
        BOOST_TEST(active == "0\n");
    });
}

BOOST_AUTO_TEST_CASE(a_statement_that_resists_cancelling_costs_the_connection) {
    test::run([](net::io_context& context) -> Task<> {
        auto connection = co_await connected(context);
        auto rows = co_await connection->query(
            "do $$begin for i in 1..60 loop begin perform pg_sleep(0.2);"
            "exception when query_canceled then null; end; end loop; end$$",
            {}, in(100ms));
        BOOST_REQUIRE(!rows);
        BOOST_TEST(rows.error().sqlstate == "57014");
        BOOST_TEST(rows.error().connection_lost);
        BOOST_TEST(!connection->usable());
    });
}

BOOST_AUTO_TEST_CASE(a_killed_backend_is_a_lost_connection) {
    test::run([](net::io_context& context) -> Task<> {
        auto connection = co_await connected(context);
        auto rows = co_await connection->query("select pg_terminate_backend(pg_backend_pid())", {},
                                               in(10s));
        BOOST_REQUIRE(!rows);
        BOOST_TEST(rows.error().sqlstate == "57P01");
        BOOST_TEST(rows.error().connection_lost);
        BOOST_TEST(!connection->usable());
        auto again = co_await connection->query("select 1", {}, in(1s));
        BOOST_REQUIRE(!again);
        BOOST_TEST(again.error().sqlstate == "08003");
        BOOST_TEST(again.error().connection_lost);
    });
}

BOOST_AUTO_TEST_CASE(a_connection_killed_while_idle_is_no_longer_usable) {
    test::run([](net::io_context& context) -> Task<> {
        auto connection = co_await connected(context);
        auto other = co_await connected(context);
        const std::string pid = co_await value_of(*connection, "select pg_backend_pid()");
        std::vector<Parameter> parameters{text(pid)};
        auto terminated = co_await other->query("select pg_terminate_backend($1::int, 10000)",
                                                parameters, in(10s));
        BOOST_REQUIRE(terminated);
        BOOST_TEST(!connection->usable());
        auto rows = co_await connection->query("select 1", {}, in(1s));
        BOOST_REQUIRE(!rows);
        BOOST_TEST(rows.error().connection_lost);
    });
}

BOOST_AUTO_TEST_CASE(values_over_a_megabyte_travel_both_ways) {
    test::run([](net::io_context& context) -> Task<> {
        auto connection = co_await connected(context);
        const std::string big(24 * 1024 * 1024, 'x');
        std::vector<Parameter> parameters{text(big)};
        auto rows =
            co_await connection->query("select $1::text || 'y', md5($1)", parameters, in(30s));
        BOOST_REQUIRE(rows);
        BOOST_TEST(rows.value().get(0, 0).size() == big.size() + 1);
        BOOST_TEST((rows.value().get(0, 0) == big + "y"));
        // The server sends while it is still being sent to: neither side may wait for the other.
        auto noisy = co_await connection->query(
            "select repeat($1, 2), g from generate_series(1, 3) g", parameters, in(30s));
        BOOST_REQUIRE(noisy);
        BOOST_TEST(noisy.value().size() == 3);
        BOOST_TEST(noisy.value().get(2, 0).size() == 2 * big.size());
    });
}

BOOST_AUTO_TEST_CASE(binary_parameters_keep_nul_bytes_and_text_ones_are_refused) {
    test::run([](net::io_context& context) -> Task<> {
        auto connection = co_await connected(context);
        const std::string bytes("a\0b\xff", 4);
        std::vector<Parameter> binary{{.value = bytes, .binary = true, .type = 17}};
        auto rows = co_await connection->query("select encode($1, 'hex')", binary, in(10s));
        BOOST_REQUIRE(rows);
        BOOST_TEST(rows.value().get(0, 0) == "610062ff");

        std::vector<Parameter> json{{.value = R"({"a":"\u00e9"})", .binary = true, .type = 114}};
        auto document = co_await connection->query("select $1 ->> 'a'", json, in(10s));
        BOOST_REQUIRE(document);
        BOOST_TEST(document.value().get(0, 0) == "\xc3\xa9");

        std::vector<Parameter> nul{text(std::string("a\0b", 3))};
        auto refused = co_await connection->query("select $1::text", nul, in(10s));
        BOOST_REQUIRE(!refused);
        BOOST_TEST(refused.error().sqlstate == "22021");
        BOOST_TEST(connection->usable());
        std::vector<Parameter> binary_nul{
            {.value = std::string("a\0b", 3), .binary = true, .type = 25}};
        auto invalid = co_await connection->query("select $1", binary_nul, in(10s));
        BOOST_REQUIRE(!invalid);
        BOOST_TEST(invalid.error().sqlstate == "22021");
        std::vector<Parameter> many(65536, text("1"));
        auto too_many = co_await connection->query("select 1", many, in(10s));
        BOOST_REQUIRE(!too_many);
        BOOST_TEST(too_many.error().sqlstate == "54000");
        BOOST_TEST(connection->usable());
    });
}

BOOST_AUTO_TEST_CASE(notices_go_to_the_log_and_do_not_disturb) {
    std::ostringstream text_of_log;
    auto before = spdlog::default_logger();
    auto logger = std::make_shared<spdlog::logger>(
        "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text_of_log));
    logger->set_level(spdlog::level::debug);
    spdlog::set_default_logger(logger);
    test::run([](net::io_context& context) -> Task<> {
        auto connection = co_await connected(context);
        auto rows =
            co_await connection->query("do $$begin raise notice 'hear me'; end$$", {}, in(10s));
        BOOST_TEST(bool(rows));
        BOOST_TEST(connection->usable());
    });
    spdlog::set_default_logger(before);
    BOOST_TEST(text_of_log.str().find("hear me") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(rows_arrive_one_by_one) {
    test::run([](net::io_context& context) -> Task<> {
        auto connection = co_await connected(context);
        long sum = 0;
        auto count = co_await connection->query_rows(
            "select g, repeat('x', 1000) from generate_series(1, 20000) g", {}, in(30s),
            [&sum](const postgres::Rows& row) {
                BOOST_REQUIRE(row.size() == 1);
                sum += std::stol(std::string(row.get(0, 0)));
            });
        BOOST_REQUIRE(count);
        BOOST_TEST(count.value() == 20000u);
        BOOST_TEST(sum == 20000L * 20001 / 2);
        BOOST_TEST(connection->usable());

        std::size_t seen = 0;
        auto broken =
            co_await connection->query_rows("select 1 / (5 - g) from generate_series(1, 9) g", {},
                                            in(10s), [&seen](const postgres::Rows&) { ++seen; });
        BOOST_REQUIRE(!broken);
        BOOST_TEST(broken.error().sqlstate == "22012");
        BOOST_TEST(connection->usable());
        auto none = co_await connection->query_rows(
            "select 1 where false", {}, in(10s), [](const postgres::Rows&) { BOOST_ERROR("row"); });
        BOOST_REQUIRE(none);
        BOOST_TEST(none.value() == 0u);
    });
}

BOOST_AUTO_TEST_CASE(a_sink_holds_the_reading_back_while_it_flushes) {
    struct Hundreds final : postgres::RowSink {
        bool take(const postgres::Rows& row) override {
            BOOST_REQUIRE(!flushing);
            sum += std::stol(std::string(row.get(0, 0)));
            return ++held == 100;
        }
        Task<> flush() override {
            flushing = true;
            co_await test::sleep_for(1ms);
            held = 0;
            ++flushes;
            flushing = false;
        }
        long sum = 0;
        int held = 0;
        int flushes = 0;
        bool flushing = false;
    };
    test::run([](net::io_context& context) -> Task<> {
        auto connection = co_await connected(context);
        Hundreds sink;
        auto count = co_await connection->query_rows(
            "select g, repeat('x', 1000) from generate_series(1, 20050) g", {}, in(30s), sink);
        BOOST_REQUIRE(count);
        BOOST_TEST(count.value() == 20050u);
        BOOST_TEST(sink.sum == 20050L * 20051 / 2);
        BOOST_TEST(sink.flushes == 200);
        BOOST_TEST(sink.held == 50);
        BOOST_TEST(connection->usable());
    });
}

BOOST_AUTO_TEST_CASE(describe_tells_types_and_errors) {
    test::run([](net::io_context& context) -> Task<> {
        auto connection = co_await connected(context);
        auto description =
            co_await connection->describe("select $1::int as a, $2 || 'x' as b, $3::json", in(10s));
        BOOST_REQUIRE(description);
        const std::vector<Oid> parameters{23, 25, 114};
        BOOST_TEST(description.value().parameters == parameters, boost::test_tools::per_element());
        BOOST_REQUIRE(description.value().columns.size() == 3u);
        BOOST_TEST(description.value().columns[0].name == "a");
        BOOST_TEST(description.value().columns[0].type == 23u);
        BOOST_TEST(description.value().columns[1].name == "b");
        BOOST_TEST(connection->usable());

        auto wrong = co_await connection->describe("select no_such_function($1)", in(10s));
        BOOST_REQUIRE(!wrong);
        BOOST_TEST(wrong.error().sqlstate == "42883");
        BOOST_TEST(connection->usable());
        auto nothing = co_await connection->describe("create table described (a int)", in(10s));
        BOOST_REQUIRE(nothing);
        BOOST_TEST(nothing.value().columns.empty());
        const std::string absent =
            co_await value_of(*connection, "select to_regclass('described') is null");
        BOOST_TEST(absent == "t");
        auto killed = co_await connection->query("select pg_terminate_backend(pg_backend_pid())",
                                                 {}, in(10s));
        BOOST_REQUIRE(!killed);
        auto gone = co_await connection->describe("select 1", in(1s));
        BOOST_REQUIRE(!gone);
        BOOST_TEST(gone.error().connection_lost);
    });
}

BOOST_AUTO_TEST_CASE(describe_on_a_backend_killed_while_idle_ends) {
    test::run([](net::io_context& context) -> Task<> {
        auto connection = co_await connected(context);
        auto other = co_await connected(context);
        const std::string own = co_await value_of(*connection, "select pg_backend_pid()");
        std::vector<Parameter> pid{text(own)};
        auto terminated =
            co_await other->query("select pg_terminate_backend($1::int, 10000)", pid, in(10s));
        BOOST_REQUIRE(terminated);
        auto gone = co_await connection->describe("select 1", in(10s));
        BOOST_REQUIRE(!gone);
        BOOST_TEST(gone.error().connection_lost);
        BOOST_TEST(!connection->usable());
    });
}

BOOST_AUTO_TEST_CASE(copy_does_not_wedge) {
    for (const char* sql : {"copy (select 1) to stdout", "copy pg_temp.t from stdin"}) {
        test::run([sql](net::io_context& context) -> Task<> {
            auto connection = co_await connected(context);
            auto made = co_await connection->query("create temp table t (a int)", {}, in(10s));
            BOOST_REQUIRE(made);
            auto rows = co_await connection->query(sql, {}, in(10s));
            BOOST_REQUIRE(!rows);
            BOOST_TEST(rows.error().sqlstate == "0A000");
            BOOST_TEST(rows.error().connection_lost);
            BOOST_TEST(!connection->usable());
        });
    }
}

BOOST_AUTO_TEST_CASE(a_thousand_queries_in_a_row) {
    test::run([](net::io_context& context) -> Task<> {
        auto connection = co_await connected(context);
        for (int i = 0; i < 1000; ++i) {
            std::vector<Parameter> parameters{text(std::to_string(i))};
            auto rows = co_await connection->query("select $1::int * 2", parameters, in(10s));
            BOOST_REQUIRE(rows);
            BOOST_REQUIRE(rows.value().get(0, 0) == std::to_string(2 * i));
        }
    });
}

BOOST_AUTO_TEST_CASE(deadlines_of_successive_queries_do_not_mix) {
    test::run([](net::io_context& context) -> Task<> {
        auto connection = co_await connected(context);
        // The timer armed for the first must not end the second, nor let the third run on.
        auto first = co_await connection->query("select 1", {}, in(200ms));
        BOOST_REQUIRE(first);
        auto second = co_await connection->query("select pg_sleep(0.4)", {}, in(20s));
        BOOST_REQUIRE(second);
        auto late = co_await connection->query("select pg_sleep(30)", {}, in(100ms));
        BOOST_REQUIRE(!late);
        BOOST_TEST(late.error().sqlstate == "57014");
        auto passed = co_await connected(context);
        auto at_once = co_await passed->query("select pg_sleep(30)", {}, Clock::now() - 1s);
        BOOST_REQUIRE(!at_once);
        BOOST_TEST(at_once.error().sqlstate == "57014");
    });
}

BOOST_AUTO_TEST_CASE(a_connection_can_go_in_the_middle_of_a_query) {
    net::io_context context(1);
    {
        bool ended = false;
        net::co_spawn(
            context,
            [](net::io_context& io) -> Task<> {
                auto connection = co_await connected(io);
                (void)co_await connection->query("select pg_sleep(30)", {}, in(20s));
            }(context),
            [&ended](std::exception_ptr) { ended = true; });
        context.run_for(500ms);
        BOOST_TEST(!ended);
    }
    // The context is destroyed with the suspended coroutine in it.
}

BOOST_AUTO_TEST_CASE(two_requests_at_once_are_refused) {
    test::run([](net::io_context& context) -> Task<> {
        auto connection = co_await connected(context);
        bool ended = false;
        net::co_spawn(
            context,
            [](Connection& shared) -> Task<> {
                auto rows = co_await shared.query("select pg_sleep(0.3)", {}, in(10s));
                BOOST_TEST(bool(rows));
            }(*connection),
            [&ended](std::exception_ptr) { ended = true; });
        co_await test::sleep_for(50ms);
        auto second = co_await connection->query("select 1", {}, in(10s));
        BOOST_REQUIRE(!second);
        BOOST_TEST(second.error().sqlstate == "08003");
        BOOST_TEST(!second.error().connection_lost);
        for (int i = 0; i < 100 && !ended; ++i)
            co_await test::sleep_for(20ms);
        BOOST_TEST(ended);
        BOOST_TEST(connection->usable());
    });
}

BOOST_AUTO_TEST_CASE(descriptors_are_closed_once_and_none_is_left) {
    const auto open_descriptors = [] {
        std::size_t count = 0;
        for ([[maybe_unused]] const auto& entry :
             std::filesystem::directory_iterator("/proc/self/fd"))
            ++count;
        return count;
    };
    (void)server();
    const std::size_t before = open_descriptors();
    test::run([](net::io_context& context) -> Task<> {
        for (int i = 0; i < 50; ++i) {
            auto connection = co_await connected(context);
            auto rows = co_await connection->query(
                i % 2 == 0 ? "select 1" : "select pg_terminate_backend(pg_backend_pid())", {},
                in(10s));
            BOOST_TEST(bool(rows) == (i % 2 == 0));
        }
    });
    BOOST_TEST(open_descriptors() == before);
}
