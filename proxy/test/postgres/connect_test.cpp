// postgres::Connection::connect against real servers, closed ports and mute ones.
#include "postgres/connection.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "servers/coroutine.hpp"
#include "servers/postgres.hpp"

using namespace muster;
using namespace std::chrono_literals;
using postgres::Connection;
using test::in;

namespace {

test::PostgresServer& server() {
    static test::PostgresServer instance;
    return instance;
}

// The only value of a statement without parameters.
Task<std::string> value_of(Connection& connection, const char* sql) {
    auto rows = co_await connection.query(sql, {}, in(10s));
    if (!rows)
        throw std::runtime_error(rows.error().message);
    co_return std::string(rows.value().get(0, 0));
}

// A socket that accepts connections in the kernel and never says a word.
class SilentListener {
  public:
    SilentListener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        BOOST_REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), size) == 0);
        BOOST_REQUIRE(::listen(fd_, 10) == 0);
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
        port_ = ntohs(address.sin_port);
    }
    ~SilentListener() { ::close(fd_); }
    std::string port() const { return std::to_string(port_); }

  private:
    int fd_;
    unsigned short port_ = 0;
};

}  // namespace

BOOST_AUTO_TEST_CASE(connection_refused_and_unknown_names_are_class_08) {
    test::run([](net::io_context& context) -> Task<> {
        const std::string port = std::to_string(test::free_port());
        auto refused =
            co_await Connection::connect(context, "host=127.0.0.1 user=x port=" + port, in(10s));
        BOOST_REQUIRE(!refused);
        BOOST_TEST(refused.error().sqlstate == "08001");
        BOOST_TEST(refused.error().connection_lost);
        BOOST_TEST(refused.error().message.find("refused") != std::string::npos);
        BOOST_TEST(refused.error().message.find('\n') == std::string::npos);
        BOOST_TEST(refused.error().detail ==
                   "Is the server running on that host and accepting TCP/IP connections?");

        auto unknown = co_await Connection::connect(context, "host=nowhere.invalid", in(10s));
        BOOST_REQUIRE(!unknown);
        BOOST_TEST(unknown.error().sqlstate == "08001");
        BOOST_TEST(unknown.error().message.find("nowhere.invalid") != std::string::npos);

        auto no_socket = co_await Connection::connect(context, "host=/nonexistent", in(10s));
        BOOST_REQUIRE(!no_socket);
        BOOST_TEST(no_socket.error().sqlstate == "08001");

        auto invalid = co_await Connection::connect(context, "host=x password=se cret", in(10s));
        BOOST_REQUIRE(!invalid);
        BOOST_TEST(invalid.error().message.find("cret") == std::string::npos);

        auto uneven = co_await Connection::connect(context, "host=a,b,c port=1,2", in(10s));
        BOOST_REQUIRE(!uneven);
        BOOST_TEST(uneven.error().message == "connection string lists 3 hosts and 2 ports");
    });
}

BOOST_AUTO_TEST_CASE(the_servers_refusal_keeps_its_sqlstate) {
    test::run([](net::io_context& context) -> Task<> {
        auto database = co_await Connection::connect(
            context, server().socket_conninfo("no_such_database"), in(10s));
        BOOST_REQUIRE(!database);
        BOOST_TEST(database.error().sqlstate == "3D000");
        BOOST_TEST(database.error().message.find("no_such_database") != std::string::npos);
        BOOST_TEST(database.error().message.find("LOCATION") == std::string::npos);

        BOOST_TEST(database.error().message.find('\n') == std::string::npos);
        BOOST_TEST(database.error().detail.find("LOCATION") == std::string::npos);

        auto password = co_await Connection::connect(
            context, server().tcp_conninfo("locked") + " password=wrong", in(10s));
        BOOST_REQUIRE(!password);
        BOOST_TEST(password.error().sqlstate == "28P01");
        auto right = co_await Connection::connect(
            context, server().tcp_conninfo("locked") + " password=secret", in(10s));
        BOOST_TEST(bool(right));
    });
}

BOOST_AUTO_TEST_CASE(names_and_several_hosts_are_tried_in_order) {
    test::run([](net::io_context& context) -> Task<> {
        const std::string port = std::to_string(server().port());
        auto named = co_await Connection::connect(
            context, "host=localhost user=postgres dbname=postgres port=" + port, in(10s));
        BOOST_TEST(bool(named));
        auto uri = co_await Connection::connect(
            context, "postgresql://postgres@localhost:" + port + "/postgres", in(10s));
        BOOST_TEST(bool(uri));

        const SilentListener silent;
        const std::string closed = std::to_string(test::free_port());
        auto third = co_await Connection::connect(context,
                                                  "host=127.0.0.1,nowhere.invalid,127.0.0.1,127.0."
                                                  "0.1 user=postgres dbname=postgres port=" +
                                                      closed + ",1," + silent.port() + "," + port,
                                                  in(6s));
        BOOST_REQUIRE(third);
        const std::string reached = co_await value_of(*third.value(), "select inet_server_port()");
        BOOST_TEST(reached == port);
    });
}

BOOST_AUTO_TEST_CASE(a_server_that_never_answers_meets_the_deadline) {
    test::run([](net::io_context& context) -> Task<> {
        const SilentListener silent;
        auto mute = co_await Connection::connect(
            context, "host=127.0.0.1 user=x sslmode=disable port=" + silent.port(), in(200ms));
        BOOST_REQUIRE(!mute);
        BOOST_TEST(mute.error().sqlstate == "08001");
        BOOST_TEST(mute.error().message.find("timed out") != std::string::npos);
    });
}
