// The program muster-proxy as its users start it: command line, exit codes, life and end.
#include <boost/test/unit_test.hpp>

#include <csignal>
#include <string>
#include <vector>

#include "program.hpp"
#include "servers/redis.hpp"

namespace test = muster::test;
using namespace muster::test;

BOOST_AUTO_TEST_CASE(a_wrong_file_ends_it_with_2_and_the_line) {
    Program program("threads = 1\n[http]\nlisten = 5\n");
    BOOST_TEST(program.exit_code() == 2);
    BOOST_TEST(program.logged(program.file() + ":3: http.listen must be"), program.log());
    Program wrong_override(usual, {"--set", "http.listen"});
    BOOST_TEST(wrong_override.exit_code() == 2);
    Program wrong_option(usual, {"--nonsense"});
    BOOST_TEST(wrong_option.exit_code() == 2);
}

BOOST_AUTO_TEST_CASE(the_check_of_the_configuration_uses_the_database_if_it_can) {
    const std::vector<std::string> there{"--check-config", "--set",
                                         "database.conninfo=" + database().socket_conninfo()};
    Program good(usual, there);
    BOOST_TEST(good.exit_code() == 0);
    BOOST_TEST(good.logged("the routes fit the database"), good.log());

    Program bad(
        std::string(usual) + "[[route]]\nname = \"b\"\nmatch = \"GET /b\"\ncall = \"b()\"\n",
        there);
    BOOST_TEST(bad.exit_code() == 2);
    BOOST_TEST(bad.logged(bad.file() + ":7: route \"b\": function b() does not exist"), bad.log());

    Program alone(usual, {"--check-config", "--set", "database.conninfo=" + nowhere});
    BOOST_TEST(alone.exit_code() == 0);
    BOOST_TEST(!alone.logged("the routes fit the database"), alone.log());
    BOOST_TEST(alone.logged("cannot be reached"), alone.log());
}

BOOST_AUTO_TEST_CASE(the_version_is_printed) {
    Program program(usual, {"--version"});
    BOOST_TEST(program.exit_code() == 0);
    BOOST_TEST(program.log() == "muster-proxy " MUSTER_VERSION "\n");
}

BOOST_AUTO_TEST_CASE(a_taken_port_is_an_error) {
    const unsigned short http = test::free_port();
    const unsigned short admin = test::free_port();
    Program first(usual, settings(http, admin, nowhere));
    test::wait_until("ready", [&] { return first.logged("ready"); });
    Program second(usual, settings(http, test::free_port(), nowhere));
    BOOST_TEST(second.exit_code() == 1);
    BOOST_TEST(second.logged("http.listen: cannot listen on 127.0.0.1:" + std::to_string(http)),
               second.log());
}

BOOST_AUTO_TEST_CASE(it_serves_until_it_is_told_to_end_and_ends_what_it_has_in_hand) {
    const test::RedisServer redis;
    const unsigned short http = test::free_port();
    const unsigned short admin = test::free_port();
    auto arguments = settings(http, admin, database().socket_conninfo());
    const auto address = redis.tcp().address;
    arguments.insert(arguments.end(),
                     {"--set", "redis.address=127.0.0.1:" + std::to_string(address.port)});
    Program program(std::string(usual) +
                        "[[route]]\nname = \"slow\"\nmatch = \"GET /slow\"\ncall = \"slow()\"\n",
                    arguments);
    test::wait_until("ready", [&] { return program.logged("ready"); });
    HttpClient client(http);
    BOOST_TEST(client.request("GET", "/now", "X-API-Key: key\r\n").status == 200);
    BOOST_TEST(client.request("GET", "/health/ready").body ==
               R"({"status":"ready","database":"up","redis":"up"})");
    BOOST_TEST(HttpClient(admin).request("GET", "/metrics").status == 200);
    BOOST_TEST(!program.logged("key\n"));

    client.send("GET /slow HTTP/1.1\r\nHost: x\r\nX-API-Key: key\r\n\r\n");
    test::wait_until("the request to be in hand", [&] {
        return HttpClient(admin)
                   .request("GET", "/metrics")
                   .body.find("http_requests_in_flight 1\n") != std::string::npos;
    });
    program.process().signal(SIGTERM);
    const HttpAnswer answer = client.read();
    BOOST_TEST(answer.status == 200);
    BOOST_TEST(answer.header("connection") == "close");
    BOOST_TEST(client.closed());
    BOOST_TEST(program.exit_code() == 0);
    BOOST_TEST(program.logged("stopped"), program.log());
}

BOOST_AUTO_TEST_CASE(the_relay_runs_alone_with_the_admin_port) {
    test::PostgresServer postgres(test::PostgresServer::WithMuster{});
    postgres.psql(
        "create extension muster; create table things (id int primary key);"
        "select muster.publish('things', 'thing', 'key')");
    test::RedisServer redis;
    const unsigned short admin = test::free_port();
    const unsigned short http = test::free_port();
    auto arguments = settings(http, admin, nowhere);
    arguments.insert(
        arguments.end(),
        {"--relay-only", "--set", "relay.conninfo=" + postgres.socket_conninfo(), "--set",
         "redis.address=127.0.0.1:" + std::to_string(redis.tcp().address.port)});
    Program program(usual, arguments);
    test::wait_until("ready", [&] {
        return program.logged("ready: the relay") &&
               HttpClient(admin).request("GET", "/health/ready").body ==
                   R"({"status":"ready","database":"up","redis":"up"})";
    });
    postgres.psql("insert into things values (1)");
    const auto shows = [&](const std::string& line) {
        return HttpClient(admin).request("GET", "/metrics").body.find(line) != std::string::npos;
    };
    test::wait_until("the change", [&] { return shows("relay_published_total 2\n"); });
    BOOST_TEST(shows("relay_leader 1\n"));
    BOOST_TEST(shows("relay_woken 1\n"));
    BOOST_TEST(HttpClient(admin).request("GET", "/health/live").status == 200);
    redis.kill();
    test::wait_until("not ready", [&] {
        return HttpClient(admin).request("GET", "/health/ready").status == 503;
    });
    program.process().signal(SIGTERM);
    BOOST_TEST(program.exit_code() == 0);
    BOOST_TEST(program.logged("stopped"), program.log());
}

BOOST_AUTO_TEST_CASE(a_second_signal_drops_what_is_in_hand) {
    const unsigned short http = test::free_port();
    const unsigned short admin = test::free_port();
    Program program(std::string(usual) +
                        "[[route]]\nname = \"slow\"\nmatch = \"GET /slow\"\ncall = \"slow()\"\n",
                    settings(http, admin, database().socket_conninfo()));
    test::wait_until("ready", [&] { return program.logged("ready"); });
    HttpClient client(http);
    client.send("GET /slow HTTP/1.1\r\nHost: x\r\nX-API-Key: key\r\n\r\n");
    test::wait_until("the request to be in hand", [&] {
        return HttpClient(admin)
                   .request("GET", "/metrics")
                   .body.find("http_requests_in_flight 1\n") != std::string::npos;
    });
    program.process().signal(SIGINT);
    test::wait_until("the first signal", [&] { return program.logged("received SIGINT"); });
    program.process().signal(SIGTERM);
    BOOST_TEST(program.exit_code() == 1);
    BOOST_TEST(client.closed());
}
