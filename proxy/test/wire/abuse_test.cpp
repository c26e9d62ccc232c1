// The wire door against clients and upstreams that misbehave, and its own end.
#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <random>
#include <thread>

#include <boost/asio/ip/tcp.hpp>

#include "harness/libpq.hpp"
#include "servers/postgres.hpp"
#include "wire/bytes.hpp"
#include "wire/door.hpp"
#include "wire/full_listener.hpp"

using namespace muster;
using namespace muster::test;
using namespace std::chrono_literals;

namespace {

PostgresServer& postgres() {
    static PostgresServer instance;
    return instance;
}

config::Wire settings() {
    config::Wire wire;
    wire.upstream = {postgres().socket_directory(), postgres().port()};
    return wire;
}

const std::string ssl_request{"\0\0\0\x08\x04\xd2\x16\x2f", 8};
const std::string gssenc_request{"\0\0\0\x08\x04\xd2\x16\x30", 8};

std::string query(const std::string& sql) {
    return message('Q', sql + '\0');
}

// The number of the server's sessions that came through a door and said who they are.
std::string backends() {
    return postgres().psql(
        "select count(*) from pg_stat_activity where application_name = '' and "
        "backend_type = 'client backend'");
}

std::size_t open_descriptors() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
        ++count;
    return count;
}

// Reads messages up to ReadyForQuery; true if it came.
bool receive_ready(RawClient& client) {
    for (;;) {
        const auto header = client.receive(5);
        if (header.size() < 5)
            return false;
        const auto length = wire::read_uint32(header.data() + 1);
        client.receive(length - 4);
        if (header[0] == 'Z')
            return true;
    }
}

// A listener that accepts in the kernel and answers nothing.
class SilentUpstream {
  public:
    SilentUpstream() : acceptor_(context_, {net::ip::address_v4::loopback(), 0}) {}
    std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
    // Accepts one connection and closes it.
    void hang_up_on_next() { acceptor_.accept().close(); }

  private:
    net::io_context context_;
    net::ip::tcp::acceptor acceptor_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(wire_abuse)

BOOST_AUTO_TEST_CASE(encryption_is_declined_in_either_order) {
    Door door(settings());
    for (const bool ssl_first : {true, false}) {
        RawClient client(door.port());
        client.send(ssl_first ? ssl_request : gssenc_request);
        BOOST_TEST(client.receive(1) == "N");
        client.send(ssl_first ? gssenc_request : ssl_request);
        BOOST_TEST(client.receive(1) == "N");
        client.send(startup_message("postgres", "postgres"));
        BOOST_TEST(receive_ready(client));
    }
    for (const auto& request : {ssl_request, gssenc_request}) {
        RawClient repeated(door.port());
        repeated.send(request);
        BOOST_TEST(repeated.receive(1) == "N");
        repeated.send(request);
        BOOST_TEST(error_state(repeated.receive_all()) == "08P01");
    }
}

BOOST_AUTO_TEST_CASE(bytes_behind_a_request_for_encryption_are_refused) {
    Door door(settings());
    for (const auto& request : {ssl_request, gssenc_request}) {
        RawClient client(door.port());
        client.send(request + startup_message("postgres", "postgres"));
        const auto answer = client.receive_all();
        BOOST_TEST(answer.substr(0, 1) == "E");
        BOOST_TEST(error_state(answer) == "08P01");
    }
    door.wait_until_empty();
    BOOST_TEST(door.server().stats().connections == 0);
}

BOOST_AUTO_TEST_CASE(sslmode_require_fails_and_prefer_works) {
    Door door(settings());
    BOOST_TEST(pg_connect_error(door.conninfo("user=postgres sslmode=require")).find("SSL") !=
               std::string::npos);
    BOOST_TEST(pg_value(pg_connect(door.conninfo("user=postgres sslmode=prefer")), "select 1") ==
               "1");
}

BOOST_AUTO_TEST_CASE(a_startup_byte_by_byte) {
    Door door(settings());
    RawClient client(door.port());
    for (const char byte : ssl_request) {
        client.send({&byte, 1});
        std::this_thread::sleep_for(1ms);
    }
    BOOST_TEST(client.receive(1) == "N");
    for (const char byte : startup_message("postgres", "postgres")) {
        client.send({&byte, 1});
        std::this_thread::sleep_for(1ms);
    }
    BOOST_TEST(receive_ready(client));
    for (const char byte : query("select 'slowly'")) {
        client.send({&byte, 1});
        std::this_thread::sleep_for(1ms);
    }
    client.send(message('X'));
    BOOST_TEST(client.receive_all().find("slowly") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(garbage_is_answered_with_a_protocol_violation) {
    Door door(settings());
    const std::string garbage[] = {
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        std::string("\x16\x03\x01\x02\x00\x01", 6),  // a TLS ClientHello
        std::string(8, '\0'),
        std::string(20000, '\xff'),
        std::string("\0\0\0\x0c\0\3\0\0abcd", 12),
    };
    for (const auto& bytes : garbage) {
        RawClient client(door.port());
        client.send(bytes);
        BOOST_TEST(error_state(client.receive_all()) == "08P01");
    }
    RawClient old(door.port());
    old.send(std::string("\0\0\0\x09\0\2\0\0\0", 9));
    BOOST_TEST(error_state(old.receive_all()) == "0A000");
    old.close();
    door.wait_until_empty();
    const auto stats = door.server().stats();
    BOOST_TEST(stats.refused == 6);
    BOOST_TEST(stats.connections == 0);
}

BOOST_AUTO_TEST_CASE(a_stream_out_of_step_is_closed) {
    Door door(settings());
    RawClient client(door.port());
    client.send(startup_message("postgres", "postgres"));
    BOOST_REQUIRE(receive_ready(client));
    client.send(std::string("Q\0\0\0\3", 5));
    BOOST_TEST(error_state(client.receive_all()) == "08P01");
    client.close();
    door.wait_until_empty();
}

BOOST_AUTO_TEST_CASE(a_port_scanner_leaves_nothing_behind) {
    Door door(settings());
    for (int i = 0; i < 100; ++i)
        RawClient(door.port()).close();
    for (int i = 0; i < 100; ++i)
        RawClient(door.port()).reset();
    wait_until("all to be accepted and gone", [&] {
        // A reset connection may vanish from the queue before it is accepted.
        return door.server().stats().sockets_now == 0;
    });
    BOOST_TEST(door.server().stats().connections == 0);
    BOOST_TEST(door.server().stats().upstream_failures == 0);
}

BOOST_AUTO_TEST_CASE(a_slow_loris_meets_the_deadline) {
    auto strict = settings();
    strict.startup_timeout = 300ms;
    Door door(strict);
    RawClient silent(door.port()), slow(door.port());
    const auto bytes = startup_message("postgres", std::string(5000, 'x'));
    bool open = true;
    for (std::size_t i = 0; i < bytes.size() && open; ++i) {
        open = slow.try_send({bytes.data() + i, 1});
        std::this_thread::sleep_for(10ms);
    }
    BOOST_TEST(!open);
    BOOST_TEST(silent.receive_all() == "");
    door.wait_until_empty();
    BOOST_TEST(door.server().stats().refused == 2);
}

BOOST_AUTO_TEST_CASE(a_login_that_stalls_meets_the_deadline) {
    auto strict = settings();
    strict.upstream = {"127.0.0.1", postgres().port()};
    strict.login_timeout = 300ms;
    Door door(strict);
    RawClient client(door.port());
    client.send(startup_message("locked", "postgres"));  // and never a password
    const auto answer = client.receive_all();
    BOOST_TEST(answer.substr(0, 1) == "R");
    BOOST_TEST(error_state(answer) == "28000");
    client.close();
    door.wait_until_empty();
}

BOOST_AUTO_TEST_CASE(an_upstream_that_is_down_or_silent_is_told_without_its_address) {
    const auto state_and_text = [](config::Wire wire) {
        Door door(std::move(wire));
        RawClient client(door.port());
        client.send(startup_message("postgres", "postgres"));
        const auto answer = client.receive_all();
        BOOST_TEST(answer.find("127.0.0.1") == std::string::npos);
        client.close();
        door.wait_until_empty();
        BOOST_TEST(door.server().stats().upstream_failures == 1);
        return error_state(answer);
    };
    auto wire = settings();
    wire.upstream = {"127.0.0.1", free_port()};
    BOOST_TEST(state_and_text(wire) == "08001");
    wire.upstream = {"/nonexistent", 5432};
    BOOST_TEST(state_and_text(wire) == "08001");
    wire.upstream = {"muster.invalid", 5432};
    BOOST_TEST(state_and_text(wire) == "08001");

    SilentUpstream silent;
    wire.upstream = {"127.0.0.1", silent.port()};
    wire.login_timeout = 300ms;
    BOOST_TEST(state_and_text(wire) == "08006");

    wire.login_timeout = 30s;
    SilentUpstream rude;
    wire.upstream = {"localhost", rude.port()};
    std::thread hangs_up([&] { rude.hang_up_on_next(); });
    BOOST_TEST(state_and_text(wire) == "08006");
    hangs_up.join();
}

BOOST_AUTO_TEST_CASE(a_full_listen_queue_upstream_meets_the_connect_deadline) {
    const FullListener full;
    auto wire = settings();
    wire.upstream = {"127.0.0.1", full.port()};
    wire.connect_timeout = 300ms;
    Door door(wire);
    RawClient client(door.port());
    client.send(startup_message("postgres", "postgres"));
    BOOST_TEST(error_state(client.receive_all()) == "08001");
}

BOOST_AUTO_TEST_CASE(the_connection_limit_has_its_own_error_and_frees_its_places) {
    auto few = settings();
    few.max_connections = 3;
    Door door(few);
    {
        std::vector<PgConnection> sessions;
        for (int i = 0; i < 3; ++i)
            sessions.push_back(pg_connect(door.conninfo("user=postgres")));
        BOOST_TEST(pg_connect_error(door.conninfo("user=postgres"))
                       .find("sorry, too many clients already") != std::string::npos);
        RawClient raw(door.port());
        raw.send(startup_message("postgres", "postgres"));
        BOOST_TEST(error_state(raw.receive_all()) == "53300");
        // A cancel request still gets through.
        BOOST_REQUIRE(PQsendQuery(sessions[0].get(), "select pg_sleep(30) as at_limit") == 1);
        wait_until("the query to run", [] {
            return postgres().psql(
                       "select count(*) from pg_stat_activity where state = "
                       "'active' and query like '%as at_limit'") == "1\n";
        });
        const std::unique_ptr<PGcancel, decltype(&PQfreeCancel)> cancel(
            PQgetCancel(sessions[0].get()), &PQfreeCancel);
        char error[256] = "";
        BOOST_TEST(PQcancel(cancel.get(), error, sizeof error) == 1, error);
        const PgResult result(PQgetResult(sessions[0].get()));
        BOOST_TEST(sqlstate(result) == "57014");
    }
    wait_until("the places to be free", [&] { return door.server().stats().connections_now == 0; });
    BOOST_TEST(pg_value(pg_connect(door.conninfo("user=postgres")), "select 1") == "1");
}

BOOST_AUTO_TEST_CASE(cancel_requests_are_limited_and_bounded) {
    SilentUpstream silent;
    auto wire = settings();
    wire.upstream = {"127.0.0.1", silent.port()};
    wire.max_cancels = 2;
    wire.connect_timeout = 1s;
    Door door(wire);
    const std::string request("\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1\0\0\0\2", 16);
    RawClient first(door.port()), second(door.port());
    first.send(request);
    second.send(request);
    wait_until("two cancels to be on their way",
               [&] { return door.server().stats().cancels_now == 2; });
    RawClient third(door.port());
    third.send(request);
    BOOST_TEST(third.receive_all() == "");
    BOOST_TEST(door.server().stats().refused == 1);
    BOOST_TEST(first.receive_all() == "");
    BOOST_TEST(second.receive_all() == "");
    door.wait_until_empty();
    BOOST_TEST(door.server().stats().cancels_now == 0);
    BOOST_TEST(door.server().stats().cancels == 2);
}

BOOST_AUTO_TEST_CASE(five_hundred_clients_dropped_anywhere_leave_nothing) {
    Door door(settings());
    const auto hello = startup_message("postgres", "postgres");
    const auto descriptors = open_descriptors();
    std::mt19937 random(11);
    const auto script = ssl_request + hello + query("select generate_series(1, 20000)") +
                        query("select pg_sleep(0.05)") + query("begin");
    for (int i = 0; i < 500; ++i) {
        RawClient client(door.port());
        const auto cut = random() % script.size();
        client.send(std::string_view(script).substr(0, std::min<std::size_t>(cut, 8)));
        if (cut > 8) {
            client.receive(1);
            client.send(std::string_view(script).substr(8, cut - 8));
            if (cut > script.find("select pg_sleep"))  // many rows are on their way
                client.receive(random() % 3 * 700);
        }
        if (random() % 2 == 0)
            client.reset();
        // else closed by its destructor, with input unread or not
    }
    door.wait_until_empty();
    const auto stats = door.server().stats();
    BOOST_TEST(stats.connections_now == 0);
    BOOST_TEST(stats.connections > 100);
    BOOST_TEST(open_descriptors() == descriptors);
    wait_until("the server's sessions to end", [] { return backends() == "0\n"; });
    BOOST_TEST(pg_value(pg_connect(door.conninfo("user=postgres")), "select 1") == "1");
}

BOOST_AUTO_TEST_CASE(a_backend_that_is_terminated_says_so_through_the_door) {
    Door door(settings());
    const auto session = pg_connect(door.conninfo("user=postgres"));
    const auto pid = pg_value(session, "select pg_backend_pid()");
    postgres().psql("select pg_terminate_backend(" + pid + ")");
    const PgResult result(PQexec(session.get(), "select 1"));
    BOOST_TEST(std::string(PQerrorMessage(session.get())).find("terminating connection") !=
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(stopping_ends_the_idle_and_lets_others_finish) {
    Door door(settings());
    RawClient before_startup(door.port());
    RawClient idle(door.port());
    idle.send(startup_message("postgres", "postgres"));
    BOOST_REQUIRE(receive_ready(idle));
    const auto busy = pg_connect(door.conninfo("user=postgres"));
    BOOST_REQUIRE(PQsendQuery(busy.get(), "select 'done' from pg_sleep(1)") == 1);
    const auto in_transaction = pg_connect(door.conninfo("user=postgres"));
    pg_exec(in_transaction, "begin");
    wait_until("all to be there", [&] { return door.server().stats().sockets_now == 4; });
    wait_until("the query to run", [] {
        return postgres().psql(
                   "select count(*) from pg_stat_activity where wait_event = "
                   "'PgSleep'") == "1\n";
    });

    door.server().stop(Clock::now() + 30s);
    BOOST_TEST(error_state(before_startup.receive_all()) == "57P03");
    BOOST_TEST(error_state(idle.receive_all()) == "57P01");
    {
        const PgResult result(PQgetResult(busy.get()));
        BOOST_TEST(PQgetvalue(result.get(), 0, 0) == std::string("done"));
        const PgResult last(PQgetResult(busy.get()));  // the goodbye came behind it
        BOOST_TEST((last == nullptr || sqlstate(last) == "57P01"));
    }
    BOOST_TEST(pg_value(in_transaction, "select 'still here'") == "still here");
    // libpq shows a FATAL that comes between two queries as a notice.
    std::string said;
    PQsetNoticeProcessor(
        in_transaction.get(),
        [](void* to, const char* text) { static_cast<std::string*>(to)->append(text); }, &said);
    pg_exec(in_transaction, "commit");
    const PgResult late(PQexec(in_transaction.get(), "select 1"));
    said += PQerrorMessage(in_transaction.get());
    BOOST_TEST(said.find("the proxy is shutting down") != std::string::npos, said);
    before_startup.close();
    idle.close();
    BOOST_CHECK_THROW(RawClient(door.port()), std::system_error);
    door.wait_until_empty();
}

BOOST_AUTO_TEST_CASE(stopping_cuts_off_what_is_left_at_the_deadline) {
    Door door(settings());
    const auto in_transaction = pg_connect(door.conninfo("user=postgres"));
    pg_exec(in_transaction, "begin");
    door.server().stop(Clock::now() + 300ms);
    door.wait_until_empty();
    const PgResult late(PQexec(in_transaction.get(), "select 1"));
    BOOST_TEST(PQstatus(in_transaction.get()) == CONNECTION_BAD);
    wait_until("the server's sessions to end", [] { return backends() == "0\n"; });
}

BOOST_AUTO_TEST_SUITE_END()
