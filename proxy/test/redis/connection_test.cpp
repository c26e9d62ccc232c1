// redis::Connection against a real server.
#include "redis/connection.hpp"

#include <csignal>
#include <fstream>

#include <boost/test/unit_test.hpp>

#include "redis/script.hpp"
#include "servers/coroutine.hpp"
#include "servers/redis.hpp"

using namespace muster;
using namespace std::chrono_literals;
using redis::Connection;
using redis::Error;
using test::in;

namespace {

test::RedisServer& server() {
    static test::RedisServer instance;
    return instance;
}

Task<std::unique_ptr<Connection>> connected(net::io_context& context, config::Redis where) {
    auto made = co_await Connection::connect(context, where, "muster-test", in(10s));
    if (!made)
        throw std::runtime_error(made.error().message);
    co_return std::move(made).value();
}

Task<std::unique_ptr<Connection>> connected(net::io_context& context) {
    return connected(context, server().tcp());
}

}  // namespace

BOOST_AUTO_TEST_CASE(replies_of_every_kind_are_owned_values) {
    test::run([](net::io_context& context) -> Task<> {
        auto redis = co_await connected(context, server().unix_socket());
        auto set = co_await redis->command(in(5s), "SET", "key", std::string("a\0b", 3));
        BOOST_REQUIRE(set);
        BOOST_TEST(set.value().text() == "OK");
        auto got = co_await redis->command(in(5s), "GET", "key");
        BOOST_REQUIRE(got);
        BOOST_TEST(got.value().is_string());
        BOOST_TEST((got.value().text() == std::string_view("a\0b", 3)));
        auto nil = co_await redis->command(in(5s), "GET", "absent");
        BOOST_REQUIRE(nil);
        BOOST_TEST(nil.value().is_nil());
        auto number = co_await redis->command(in(5s), "INCRBY", "number", "-9000000000");
        BOOST_REQUIRE(number);
        BOOST_TEST(number.value().integer() == -9000000000);
        auto nested = co_await redis->command(
            in(5s), "EVAL", "return {1, 'two', {3, {redis.status_reply('four')}}, false}", "0");
        BOOST_REQUIRE(nested);
        const auto& list = nested.value().array();
        BOOST_REQUIRE(list.size() == 4u);
        BOOST_TEST(list[0].integer() == 1);
        BOOST_TEST(list[1].text() == "two");
        BOOST_TEST(list[2].array().at(1).array().at(0).text() == "four");
        BOOST_TEST(list[3].is_nil());
        auto empty = co_await redis->command(in(5s), "LRANGE", "absent", "0", "-1");
        BOOST_REQUIRE(empty);
        BOOST_TEST(empty.value().is_array());
        BOOST_TEST(empty.value().array().empty());
    });
}

BOOST_AUTO_TEST_CASE(error_replies_are_replies) {
    test::run([](net::io_context& context) -> Task<> {
        auto redis = co_await connected(context);
        auto unknown = co_await redis->command(in(5s), "EVALSHA", std::string(40, 'f'), "0");
        BOOST_REQUIRE(unknown);
        BOOST_TEST(unknown.value().is_error());
        BOOST_TEST(unknown.value().error_code() == "NOSCRIPT");
        auto wrong = co_await redis->command(in(5s), "LPUSH", "word", "x");
        BOOST_REQUIRE(wrong);
        auto type = co_await redis->command(in(5s), "GET", "word");
        BOOST_REQUIRE(type);
        BOOST_TEST(type.value().error_code() == "WRONGTYPE");
        BOOST_TEST(redis->connected());
    });
}

BOOST_AUTO_TEST_CASE(out_of_memory_is_an_error_reply) {
    test::RedisServer small({"--maxmemory", "3mb", "--maxmemory-policy", "noeviction"});
    test::run([&small](net::io_context& context) -> Task<> {
        auto redis = co_await connected(context, small.tcp());
        const std::string value(1024 * 1024, 'x');
        std::string code;
        for (int i = 0; i < 10 && code.empty(); ++i) {
            auto reply = co_await redis->command(in(5s), "SET", std::to_string(i), value);
            BOOST_REQUIRE(reply);
            code = reply.value().error_code();
        }
        BOOST_TEST(code == "OOM");
        BOOST_TEST(redis->connected());
    });
}

BOOST_AUTO_TEST_CASE(replies_larger_than_one_read_arrive_whole) {
    test::run([](net::io_context& context) -> Task<> {
        auto redis = co_await connected(context);
        for (const std::size_t size : {16384ul, 16385ul, 100000ul, 20000000ul}) {
            std::string value(size, 'x');
            value.back() = 'y';
            auto set = co_await redis->command(in(10s), "SET", "large", value);
            BOOST_REQUIRE(set);
            auto got = co_await redis->command(in(10s), "GET", "large");
            BOOST_REQUIRE(got);
            BOOST_TEST((got.value().text() == value));
        }
        auto list = co_await redis->command(
            in(10s), "EVAL", "local t = {} for i = 1, 100000 do t[i] = i end return t", "0");
        BOOST_REQUIRE(list);
        BOOST_REQUIRE(list.value().array().size() == 100000u);
        BOOST_TEST(list.value().array().back().integer() == 100000);
    });
}

BOOST_AUTO_TEST_CASE(coroutines_pipeline_ten_thousand_commands) {
    test::run([](net::io_context& context) -> Task<> {
        auto redis = co_await connected(context);
        int ended = 0;
        int wrong = 0;
        std::size_t most = 0;
        for (int worker = 0; worker < 20; ++worker) {
            net::co_spawn(
                context,
                [](Connection& shared, int number, int& bad, std::size_t& deepest) -> Task<> {
                    for (int i = 0; i < 500; ++i) {
                        const std::string text = std::to_string(number) + ":" + std::to_string(i);
                        auto reply = co_await shared.command(in(30s), "ECHO", text);
                        if (!reply || reply.value().text() != text)
                            ++bad;
                        deepest = std::max(deepest, shared.in_flight());
                    }
                }(*redis, worker, wrong, most),
                [&ended](std::exception_ptr error) {
                    BOOST_TEST(!error);
                    ++ended;
                });
        }
        for (int i = 0; i < 1000 && ended < 20; ++i)
            co_await test::sleep_for(20ms);
        BOOST_TEST(ended == 20);
        BOOST_TEST(wrong == 0);
        BOOST_TEST(most > 1u);
        BOOST_TEST(redis->in_flight() == 0u);
    });
}

BOOST_AUTO_TEST_CASE(commands_are_sent_in_the_order_of_the_calls_and_bounded) {
    test::run([](net::io_context& context) -> Task<> {
        auto redis = co_await connected(context);
        std::vector<Task<redis::Outcome<redis::Reply>>> waits;
        for (std::size_t i = 0; i < Connection::most_commands + 1; ++i)
            waits.push_back(redis->command(in(30s), "INCR", "counter"));
        for (std::size_t i = 0; i < Connection::most_commands; ++i) {
            auto reply = co_await std::move(waits[i]);
            BOOST_REQUIRE(reply);
            BOOST_REQUIRE(reply.value().integer() == static_cast<std::int64_t>(i + 1));
        }
        auto over = co_await std::move(waits.back());
        BOOST_REQUIRE(!over);
        BOOST_TEST((over.error().kind == Error::Kind::not_sent));

        const std::string half(Connection::most_bytes / 2, 'x');
        auto first = redis->command(in(30s), "SET", "half", half);
        auto second = redis->command(in(30s), "SET", "half", half);
        auto refused = co_await std::move(second);
        BOOST_REQUIRE(!refused);
        BOOST_TEST((refused.error().kind == Error::Kind::not_sent));
        auto taken = co_await std::move(first);
        BOOST_REQUIRE(taken);
        BOOST_TEST(taken.value().text() == "OK");
        BOOST_TEST(redis->in_flight() == 0u);
    });
}

BOOST_AUTO_TEST_CASE(a_deadline_ends_the_wait_and_the_connection_goes_on) {
    test::run([](net::io_context& context) -> Task<> {
        auto redis = co_await connected(context);
        auto sleeping = redis->command(in(100ms), "DEBUG", "SLEEP", "0.5");
        auto behind = redis->command(in(10s), "ECHO", "behind");
        auto late = co_await std::move(sleeping);
        BOOST_REQUIRE(!late);
        BOOST_TEST((late.error().kind == Error::Kind::timed_out));
        BOOST_TEST(redis->in_flight() == 2u);
        auto reply = co_await std::move(behind);
        BOOST_REQUIRE(reply);
        BOOST_TEST(reply.value().text() == "behind");
        BOOST_TEST(redis->in_flight() == 0u);
    });
}

BOOST_AUTO_TEST_CASE(a_server_killed_in_mid_command_leaves_an_unknown_outcome) {
    test::RedisServer victim;
    test::run([&victim](net::io_context& context) -> Task<> {
        auto redis = co_await connected(context, victim.tcp());
        auto sleeping = redis->command(in(20s), "DEBUG", "SLEEP", "5");
        auto behind = redis->command(in(20s), "PING");
        co_await test::sleep_for(50ms);
        victim.kill();
        auto lost = co_await std::move(sleeping);
        BOOST_REQUIRE(!lost);
        BOOST_TEST((lost.error().kind == Error::Kind::lost));
        BOOST_TEST(!lost.error().message.empty());
        auto also = co_await std::move(behind);
        BOOST_REQUIRE(!also);
        BOOST_TEST((also.error().kind == Error::Kind::lost));
        co_await test::sleep_for(10ms);
        BOOST_TEST(!redis->connected());
        auto after = co_await redis->command(in(1s), "PING");
        BOOST_REQUIRE(!after);
        BOOST_TEST((after.error().kind == Error::Kind::not_sent));

        auto refused = co_await Connection::connect(context, victim.tcp(), "test", in(5s));
        BOOST_REQUIRE(!refused);
        BOOST_TEST((refused.error().kind == Error::Kind::not_sent));
        auto no_socket =
            co_await Connection::connect(context, victim.unix_socket(), "test", in(5s));
        BOOST_TEST(!no_socket);
    });
}

BOOST_AUTO_TEST_CASE(a_client_killed_by_the_server_is_a_lost_connection) {
    test::run([](net::io_context& context) -> Task<> {
        auto redis = co_await connected(context);
        auto other = co_await connected(context);
        auto id = co_await redis->command(in(5s), "CLIENT", "ID");
        BOOST_REQUIRE(id);
        const std::string number = std::to_string(id.value().integer());
        auto killed = co_await other->command(in(5s), "CLIENT", "KILL", "ID", number);
        BOOST_REQUIRE(killed);
        BOOST_TEST(killed.value().integer() == 1);
        for (int i = 0; i < 500 && redis->connected(); ++i)
            co_await test::sleep_for(10ms);
        BOOST_TEST(!redis->connected());
    });
}

BOOST_AUTO_TEST_CASE(destroying_the_connection_ends_commands_in_flight) {
    test::run([](net::io_context& context) -> Task<> {
        auto redis = co_await connected(context);
        auto first = redis->command(in(20s), "DEBUG", "SLEEP", "0.2");
        auto second = redis->command(in(20s), "PING");
        redis.reset();
        auto lost = co_await std::move(first);
        BOOST_REQUIRE(!lost);
        BOOST_TEST((lost.error().kind == Error::Kind::lost));
        auto also = co_await std::move(second);
        BOOST_TEST(!also);
    });
    {
        // A context that goes with a coroutine suspended in it.
        net::io_context context(1);
        net::co_spawn(
            context,
            [](net::io_context& io) -> Task<> {
                auto redis = co_await connected(io);
                (void)co_await redis->command(in(20s), "BLPOP", "nothing", "5");
            }(context),
            [](std::exception_ptr) { BOOST_ERROR("ended"); });
        context.run_for(200ms);
    }
}

BOOST_AUTO_TEST_CASE(names_are_resolved_and_unknown_ones_are_errors) {
    test::run([](net::io_context& context) -> Task<> {
        config::Redis named = server().tcp();
        named.address.host = "localhost";
        auto redis = co_await connected(context, named);
        auto name = co_await redis->command(in(5s), "CLIENT", "GETNAME");
        BOOST_REQUIRE(name);
        BOOST_TEST(name.value().text() == "muster-test");
        named.address.host = "nowhere.invalid";
        auto unknown = co_await Connection::connect(context, named, "test", in(10s));
        BOOST_REQUIRE(!unknown);
        BOOST_TEST(unknown.error().message.find("nowhere.invalid") != std::string::npos);
    });
}

BOOST_AUTO_TEST_CASE(passwords_come_from_a_file_and_are_not_repeated) {
    test::RedisServer locked({"--requirepass", "open sesame"});
    locked.cli({"-a", "open sesame", "ACL", "SETUSER", "relay", "on", ">other", "~*", "&*", "+@all",
                "-client"});
    const auto file = [&locked](const std::string& name, const std::string& text) {
        const auto path = locked.directory() / name;
        std::ofstream(path) << text;
        return path.string();
    };
    test::run([&](net::io_context& context) -> Task<> {
        config::Redis where = locked.tcp();
        auto without = co_await Connection::connect(context, where, "test", in(5s));
        BOOST_REQUIRE(!without);
        BOOST_TEST((without.error().kind == Error::Kind::refused));
        BOOST_TEST(without.error().message.find("NOAUTH") != std::string::npos);

        where.password_file = file("right", "open sesame\n");
        auto right = co_await Connection::connect(context, where, "test", in(5s));
        BOOST_TEST(bool(right));

        where.password_file = file("wrong", "open barley\n");
        auto wrong = co_await Connection::connect(context, where, "test", in(5s));
        BOOST_REQUIRE(!wrong);
        BOOST_TEST((wrong.error().kind == Error::Kind::refused));
        BOOST_TEST(wrong.error().message.find("WRONGPASS") != std::string::npos);
        BOOST_TEST(wrong.error().message.find("barley") == std::string::npos);

        where.username = "relay";  // may not CLIENT SETNAME
        where.password_file = file("other", "other");
        auto user = co_await Connection::connect(context, where, "test", in(5s));
        BOOST_TEST(bool(user));

        where.password_file = (locked.directory() / "absent").string();
        auto absent = co_await Connection::connect(context, where, "test", in(5s));
        BOOST_REQUIRE(!absent);
        BOOST_TEST((absent.error().kind == Error::Kind::refused));
    });
}

BOOST_AUTO_TEST_CASE(a_server_that_does_not_answer_meets_the_connect_deadline) {
    test::RedisServer stopped;
    stopped.signal(SIGSTOP);
    test::run([&stopped](net::io_context& context) -> Task<> {
        auto mute = co_await Connection::connect(context, stopped.tcp(), "test", in(200ms));
        BOOST_REQUIRE(!mute);
        BOOST_TEST((mute.error().kind == Error::Kind::timed_out));
    });
}

BOOST_AUTO_TEST_CASE(a_script_is_loaded_once_and_again_when_forgotten) {
    test::run([](net::io_context& context) -> Task<> {
        auto redis = co_await connected(context);
        redis::Script script("return {KEYS[1], ARGV[1]}");
        const std::vector<std::string_view> keys{"k"};
        const std::vector<std::string_view> arguments{"a"};
        for (int round = 0; round < 3; ++round) {
            auto reply = co_await script.run(*redis, keys, arguments, in(5s));
            BOOST_REQUIRE(reply);
            BOOST_REQUIRE(reply.value().array().size() == 2u);
            BOOST_TEST(reply.value().array()[1].text() == "a");
            if (round == 1) {
                auto flushed = co_await redis->command(in(5s), "SCRIPT", "FLUSH");
                BOOST_TEST(bool(flushed));
            }
        }
        redis::Script broken("return !");
        auto refused = co_await broken.run(*redis, {}, {}, in(5s));
        BOOST_REQUIRE(refused);
        BOOST_TEST(refused.value().is_error());
    });
}
