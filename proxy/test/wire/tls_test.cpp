// The wire door's encryption: TLS on either leg or both, what it refuses, and Unix sockets.
#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <thread>

#include <openssl/ssl.h>
#include <poll.h>

#include "harness/libpq.hpp"
#include "servers/postgres.hpp"
#include "wire/certificate.hpp"
#include "wire/door.hpp"
#include "wire/fake_upstream.hpp"
#include "wire/startup.hpp"

using namespace muster;
using namespace muster::test;
using namespace std::chrono_literals;

namespace {

// libpq's message of a connection that fails, "" if it does not.
std::string refusal(const std::string& conninfo) {
    const PgConnection connection(PQconnectdb(conninfo.c_str()));
    return PQstatus(connection.get()) == CONNECTION_OK ? "" : PQerrorMessage(connection.get());
}

const Certificate& proxys() {
    static const Certificate instance("proxy.test");
    return instance;
}

const Certificate& servers() {
    static const Certificate instance("server.test");
    return instance;
}

// Offers TLS with the certificate of the server.
PostgresServer& postgres() {
    static const auto instance = [] {
        auto server = std::make_unique<PostgresServer>();
        server->psql("alter system set ssl_cert_file = '" + servers().file() + "'");
        server->psql("alter system set ssl_key_file = '" + servers().key_file() + "'");
        server->psql("alter system set ssl = on");
        server->psql("select pg_reload_conf()");
        wait_until("PostgreSQL to offer TLS",
                   [&] { return refusal(server->tcp_conninfo() + " sslmode=require").empty(); });
        return server;
    }();
    return *instance;
}

config::Wire plain() {
    config::Wire wire;
    wire.upstream = {"127.0.0.1", postgres().port()};
    return wire;
}

config::Wire with_tls(config::Wire wire, const Certificate& certificate = proxys()) {
    wire.tls = "allow";
    wire.tls_cert = certificate.file();
    wire.tls_key = certificate.key_file();
    return wire;
}

config::Wire with_upstream_tls(config::Wire wire, const std::string& mode) {
    wire.upstream_tls = mode;
    return wire;
}

const std::string trusted = "user=postgres dbname=postgres ";
const std::string locked = "user=locked password=secret dbname=postgres ";
const std::string upstream_encrypted =
    "select ssl::text from pg_stat_ssl where pid = pg_backend_pid()";

bool encrypted(const PgConnection& session) {
    return PQsslInUse(session.get()) == 1;
}

std::string big_value(std::size_t size) {
    std::string big(size, '\0');
    for (std::size_t i = 0; i < size; ++i)
        big[i] = static_cast<char>('a' + i % 23);
    return big;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(wire_tls)

BOOST_AUTO_TEST_CASE(clients_choose_where_it_is_allowed) {
    Door door(with_tls(plain()));
    BOOST_TEST(!encrypted(pg_connect(door.conninfo(trusted + "sslmode=disable"))));
    BOOST_TEST(encrypted(pg_connect(door.conninfo(trusted + "sslmode=prefer"))));
    const auto session =
        pg_connect("host=proxy.test hostaddr=127.0.0.1 port=" + std::to_string(door.port()) + " " +
                   locked + "sslmode=verify-full sslrootcert=" + proxys().file());
    BOOST_TEST(encrypted(session));
    BOOST_TEST(pg_value(session, upstream_encrypted) == "false");
    BOOST_TEST(std::string(PQsslAttribute(session.get(), "protocol")) == "TLSv1.3");
    BOOST_TEST(encrypted(
        pg_connect(door.conninfo(trusted + "sslmode=require ssl_max_protocol_version=TLSv1.2"))));
    BOOST_TEST(
        refusal(door.conninfo(trusted + "sslmode=verify-full sslrootcert=" + servers().file()))
            .find("certificate verify failed") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(tls_begins_behind_the_header_of_a_load_balancer) {
    auto wire = with_tls(plain());
    wire.proxy_protocol = config::parse_networks("127.0.0.1").value();
    Door door(wire);
    for (const auto begin : {TlsClient::Begin::by_request, TlsClient::Begin::at_once}) {
        TlsClient client(door.port(), begin, "postgresql",
                         "PROXY TCP4 203.0.113.9 198.51.100.1 56324 6433\r\n");
        client.send(startup_message("postgres", "nowhere"));
        BOOST_TEST(error_state(client.receive_all()) == "3D000");
    }
}

BOOST_AUTO_TEST_CASE(unencrypted_clients_are_refused_where_it_is_required) {
    auto wire = with_tls(plain());
    wire.tls = "require";
    const Sandbox sandbox;
    wire.socket_directory = sandbox.path();
    Door door(wire);
    BOOST_TEST(encrypted(pg_connect(door.conninfo(trusted + "sslmode=prefer"))));
    RawClient client(door.port());
    client.send(startup_message("postgres", "postgres"));
    BOOST_TEST(error_state(client.receive_all()) == "28000");
    BOOST_TEST(door.server().stats().connections == 1);
    // Not on the Unix socket, where nobody listens in.
    const auto local = pg_connect("host=" + sandbox.path().string() +
                                  " port=" + std::to_string(door.port()) + " " + trusted);
    BOOST_TEST(pg_value(local, "select 1") == "1");
}

BOOST_AUTO_TEST_CASE(gssapi_is_declined_and_tls_begun_in_its_place) {
    Door door(with_tls(plain()));
    RawClient client(door.port());
    client.send(std::string("\0\0\0\x08\x04\xd2\x16\x30", 8));
    BOOST_TEST(client.receive(1) == "N");
    client.send(wire::startup::tls_request);
    BOOST_TEST(client.receive(1) == "S");
}

BOOST_AUTO_TEST_CASE(a_cancel_request_reaches_an_encrypted_session) {
    auto wire = with_upstream_tls(with_tls(plain()), "require");
    wire.tls = "require";
    Door door(wire);
    const auto session = pg_connect(door.conninfo(trusted + "sslmode=require"));
    BOOST_REQUIRE(PQsendQuery(session.get(), "select pg_sleep(30) as cancelled") == 1);
    wait_until("the query to run", [] {
        return postgres().psql(
                   "select count(*) from pg_stat_activity where state = 'active' "
                   "and query like '%as cancelled'") == "1\n";
    });
    const std::unique_ptr<PGcancel, decltype(&PQfreeCancel)> cancel(PQgetCancel(session.get()),
                                                                    &PQfreeCancel);
    char error[256] = "";
    BOOST_TEST(PQcancel(cancel.get(), error, sizeof error) == 1, error);
    const PgResult result(PQgetResult(session.get()));
    BOOST_TEST(sqlstate(result) == "57014");
}

BOOST_AUTO_TEST_CASE(the_upstream_leg_is_as_strict_as_told) {
    const auto connects = [](const config::Wire& wire) {
        Door door(wire);
        const auto error = refusal(door.conninfo(trusted));
        BOOST_TEST(error.find("server.test") == std::string::npos, error);
        if (!error.empty())
            return error.find("could not connect to the upstream server") != std::string::npos
                       ? std::string("refused")
                       : error;
        return pg_value(pg_connect(door.conninfo(trusted)), upstream_encrypted);
    };
    BOOST_TEST(connects(plain()) == "false");
    BOOST_TEST(connects(with_upstream_tls(plain(), "prefer")) == "true");
    BOOST_TEST(connects(with_upstream_tls(plain(), "require")) == "true");

    auto wire = with_upstream_tls(plain(), "verify-ca");
    BOOST_TEST(connects(wire) == "refused");  // not among the system's authorities
    wire.upstream_ca = proxys().file();
    BOOST_TEST(connects(wire) == "refused");
    wire.upstream_ca = servers().file();
    BOOST_TEST(connects(wire) == "true");

    wire.upstream_tls = "verify-full";
    BOOST_TEST(connects(wire) == "refused");  // 127.0.0.1 is not in the certificate
    wire.upstream_name = "proxy.test";
    BOOST_TEST(connects(wire) == "refused");
    wire.upstream_name = "server.test";
    BOOST_TEST(connects(wire) == "true");

    // A server without TLS is spoken to as it is where that is preferred only.
    const PostgresServer plain_server;
    auto declined = with_upstream_tls(plain(), "prefer");
    declined.upstream = {"127.0.0.1", plain_server.port()};
    BOOST_TEST(connects(declined) == "false");
    declined.upstream_tls = "require";
    BOOST_TEST(connects(declined) == "refused");

    // As with libpq, a Unix socket has no TLS.
    wire.upstream = {postgres().socket_directory(), postgres().port()};
    BOOST_TEST(connects(wire) == "false");
}

BOOST_AUTO_TEST_CASE(a_name_in_the_settings_is_checked_by_itself) {
    const Certificate certificate("localhost");
    PostgresServer server;
    server.psql("alter system set ssl_cert_file = '" + certificate.file() + "'");
    server.psql("alter system set ssl_key_file = '" + certificate.key_file() + "'");
    server.psql("alter system set ssl = on");
    server.psql("select pg_reload_conf()");
    auto wire = with_upstream_tls(plain(), "verify-full");
    wire.upstream = {"localhost", server.port()};
    wire.upstream_ca = certificate.file();
    Door door(wire);
    wait_until("PostgreSQL to offer TLS", [&] { return refusal(door.conninfo(trusted)).empty(); });
    BOOST_TEST(pg_value(pg_connect(door.conninfo(trusted)), upstream_encrypted) == "true");
}

BOOST_AUTO_TEST_CASE(channel_binding_holds_with_one_certificate_on_both) {
    Door door(with_upstream_tls(with_tls(plain(), servers()), "require"));
    for (const std::string binding : {"", "channel_binding=require"}) {
        const auto session = pg_connect(door.conninfo(locked + "sslmode=require " + binding));
        BOOST_TEST(pg_value(session, "select current_user") == "locked");
    }
}

BOOST_AUTO_TEST_CASE(channel_binding_that_fails_says_why_and_what_to_do) {
    Door door(with_upstream_tls(with_tls(plain()), "require"));
    const auto error = refusal(door.conninfo(locked + "sslmode=require"));
    BOOST_TEST(error.find("SCRAM channel binding check failed") != std::string::npos, error);
    BOOST_TEST(error.find("HINT:  The proxy in between has a certificate of its own.") !=
                   std::string::npos,
               error);
    // The hint's advice helps, and another error is told as it is.
    BOOST_TEST(pg_value(pg_connect(door.conninfo(locked + "channel_binding=disable")),
                        "select current_user") == "locked");
    const auto wrong = refusal(
        door.conninfo("user=locked password=guess channel_binding=disable dbname=postgres"));
    BOOST_TEST(wrong.find("password authentication failed") != std::string::npos, wrong);
    BOOST_TEST(wrong.find("HINT") == std::string::npos, wrong);
}

BOOST_AUTO_TEST_CASE(a_client_that_demands_binding_finds_none_behind_one_leg) {
    Door door(with_tls(plain()));
    const auto error = refusal(door.conninfo(locked + "sslmode=require channel_binding=require"));
    BOOST_TEST(error.find("channel binding is required") != std::string::npos, error);
}

BOOST_AUTO_TEST_CASE(bytes_put_in_front_of_a_clients_handshake_are_refused) {
    Door door(with_tls(plain()));
    const std::string request(wire::startup::tls_request);
    RawClient at_once(door.port());
    at_once.send(request + startup_message("postgres", "postgres"));
    const auto answer = at_once.receive_all();
    BOOST_TEST(answer.substr(0, 1) == "E");  // and no S
    BOOST_TEST(error_state(answer) == "08P01");

    RawClient behind(door.port());
    behind.send(request);
    BOOST_TEST(behind.receive(1) == "S");
    behind.send(startup_message("postgres", "postgres"));
    const auto alert = behind.receive_all();
    BOOST_TEST((alert.empty() || alert[0] == '\x15'));  // TLS's own protest
    at_once.close();
    behind.close();
    door.wait_until_empty();
    BOOST_TEST(door.server().stats().connections == 0);

    TlsClient twice(door.port(), TlsClient::Begin::by_request);
    twice.send(request);
    BOOST_TEST(error_state(twice.receive_all()) == "08P01");
}

// "Welcome", to whoever takes it for what the server said inside TLS.
BOOST_AUTO_TEST_CASE(bytes_put_in_front_of_the_upstreams_handshake_are_not_taken) {
    const auto welcome = message('R', std::string(4, '\0')) + message('Z', "I");
    for (const std::string mode : {"prefer", "require"}) {
        FakeUpstream upstream("S" + welcome);
        auto wire = with_upstream_tls(plain(), mode);
        wire.upstream.port = upstream.port();
        Door door(wire);
        RawClient client(door.port());
        client.send(startup_message("postgres", "postgres"));
        const auto answer = client.receive_all();
        BOOST_TEST(error_state(answer) == "08001");
        BOOST_TEST(answer.find(welcome) == std::string::npos);
        BOOST_TEST(upstream.received().find("user") == std::string::npos);
    }
}

BOOST_AUTO_TEST_CASE(an_upstream_that_declines_is_not_told_the_startup_where_tls_is_demanded) {
    for (const std::string mode : {"require", "verify-ca", "verify-full"}) {
        for (const std::string answer : {"N", "E", "x"}) {
            FakeUpstream upstream(answer);
            auto wire = with_upstream_tls(plain(), mode);
            wire.upstream.port = upstream.port();
            Door door(wire);
            RawClient client(door.port());
            client.send(startup_message("postgres", "postgres"));
            BOOST_TEST(error_state(client.receive_all()) == "08001");
            BOOST_TEST(upstream.received() == wire::startup::tls_request);
        }
    }
}

BOOST_AUTO_TEST_CASE(tls_without_a_request_needs_the_protocols_name) {
    Door door(with_tls(plain()));
    TlsClient direct(door.port(), TlsClient::Begin::at_once, "postgresql");
    direct.send(startup_message("postgres", "postgres") + message('X'));
    BOOST_TEST(direct.receive_all().substr(0, 1) == "R");
    TlsClient nameless(door.port(), TlsClient::Begin::at_once);
    BOOST_TEST(error_state(nameless.receive_all()) == "08P01");
    BOOST_CHECK_THROW(TlsClient(door.port(), TlsClient::Begin::at_once, "h2"), std::runtime_error);
    // Where it is asked for, no name is needed, and a right one is agreed on.
    TlsClient named(door.port(), TlsClient::Begin::by_request, "postgresql");
    named.send(startup_message("postgres", "postgres") + message('X'));
    BOOST_TEST(named.receive_all().substr(0, 1) == "R");
}

BOOST_AUTO_TEST_CASE(a_handshake_that_stalls_meets_the_deadline) {
    auto wire = with_tls(plain());
    wire.startup_timeout = 300ms;
    Door door(wire);
    RawClient client(door.port());
    client.send(wire::startup::tls_request);
    BOOST_TEST(client.receive(1) == "S");
    BOOST_TEST(client.receive_all() == "");
    door.wait_until_empty();

    FakeUpstream silent("S");
    auto to_silent = with_upstream_tls(plain(), "require");
    to_silent.upstream.port = silent.port();
    to_silent.connect_timeout = 300ms;
    Door other(to_silent);
    RawClient waiting(other.port());
    waiting.send(startup_message("postgres", "postgres"));
    BOOST_TEST(error_state(waiting.receive_all()) == "08001");
}

BOOST_AUTO_TEST_CASE(much_passes_both_legs_in_both_directions) {
    Door door(with_upstream_tls(with_tls(plain()), "require"));
    const auto session = pg_connect(door.conninfo(trusted + "sslmode=require"));
    const auto big = big_value(50 * 1024 * 1024);
    const char* value = big.c_str();
    const PgResult result(
        PQexecParams(session.get(), "select $1::text", 1, nullptr, &value, nullptr, nullptr, 0));
    BOOST_REQUIRE(PQresultStatus(result.get()) == PGRES_TUPLES_OK);
    BOOST_TEST((big == PQgetvalue(result.get(), 0, 0)));

    // Both directions at the same time: the client writes what the server answers meanwhile.
    BOOST_REQUIRE(PQenterPipelineMode(session.get()) == 1);
    const auto chunk = big_value(100000);
    const char* part = chunk.c_str();
    BOOST_REQUIRE(PQsetnonblocking(session.get(), 1) == 0);
    for (int i = 0; i < 300; ++i) {
        BOOST_REQUIRE(PQsendQueryParams(session.get(), "select $1::text", 1, nullptr, &part,
                                        nullptr, nullptr, 0) == 1);
        BOOST_REQUIRE(PQpipelineSync(session.get()) == 1);
    }
    // PQgetResult() alone would first wait until all is sent, and read nothing meanwhile.
    const auto next_result = [&] {
        for (;;) {
            const int unsent = PQflush(session.get());
            BOOST_REQUIRE(unsent >= 0);
            if (PQisBusy(session.get()) == 0)
                return PgResult(PQgetResult(session.get()));
            pollfd ready{.fd = PQsocket(session.get()), .events = POLLIN, .revents = 0};
            if (unsent > 0)
                ready.events |= POLLOUT;
            BOOST_REQUIRE(::poll(&ready, 1, 60000) == 1);
            BOOST_REQUIRE(PQconsumeInput(session.get()) == 1);
        }
    };
    for (int i = 0; i < 300; ++i) {
        const PgResult one = next_result();
        BOOST_REQUIRE((PQntuples(one.get()) == 1 && chunk == PQgetvalue(one.get(), 0, 0)));
        BOOST_REQUIRE(next_result() == nullptr);
        const PgResult sync = next_result();
        BOOST_REQUIRE(PQresultStatus(sync.get()) == PGRES_PIPELINE_SYNC);
    }
}

BOOST_AUTO_TEST_CASE(certificates_are_read_again_for_connections_to_come) {
    const Certificate first("first.test"), second("second.test");
    const Sandbox sandbox;
    const auto file = sandbox.path() / "cert.pem", key = sandbox.path() / "key.pem";
    const auto put = [&](const Certificate& certificate) {
        using std::filesystem::copy_options;
        copy_file(std::filesystem::path(certificate.file()), file,
                  copy_options::overwrite_existing);
        copy_file(std::filesystem::path(certificate.key_file()), key,
                  copy_options::overwrite_existing);
    };
    put(first);
    auto wire = with_tls(plain());
    wire.tls_cert = file;
    wire.tls_key = key;
    Door door(wire);
    const auto verifies = [&](const Certificate& certificate) {
        return refusal("host=" + certificate.name() +
                       " hostaddr=127.0.0.1 port=" + std::to_string(door.port()) + " " + trusted +
                       "sslmode=verify-full sslrootcert=" + certificate.file())
            .empty();
    };
    BOOST_TEST(verifies(first));
    const auto old = pg_connect(door.conninfo(trusted + "sslmode=require"));
    put(second);
    BOOST_TEST(verifies(first));
    BOOST_TEST(!door.server().reload(wire).has_value());
    BOOST_TEST(verifies(second));
    BOOST_TEST(!verifies(first));
    BOOST_TEST(pg_value(old, "select 'still here'") == "still here");

    // What does not fit together is refused, and what is in use stays.
    copy_file(std::filesystem::path(first.file()), file,
              std::filesystem::copy_options::overwrite_existing);
    const auto mismatch = door.server().reload(wire);
    BOOST_REQUIRE(mismatch.has_value());
    BOOST_TEST(mismatch->find("wire.tls_key: cannot use \"" + key.string() + "\"") == 0u,
               *mismatch);
    std::filesystem::remove(file);
    const auto missing = door.server().reload(wire);
    BOOST_REQUIRE(missing.has_value());
    BOOST_TEST(missing->find("No such file") != std::string::npos, *missing);
    BOOST_TEST(verifies(second));
}

BOOST_AUTO_TEST_CASE(a_certificate_that_cannot_be_used_keeps_the_door_closed) {
    auto wire = with_tls(plain());
    wire.tls_key = "/nonexistent/key.pem";
    BOOST_CHECK_THROW(Door{wire}, std::runtime_error);
    auto upstream = with_upstream_tls(plain(), "verify-ca");
    upstream.upstream_ca = "/nonexistent/ca.pem";
    BOOST_CHECK_THROW(Door{upstream}, std::runtime_error);
}

BOOST_AUTO_TEST_CASE(a_unix_socket_for_clients) {
    const Sandbox sandbox;
    auto wire = plain();
    wire.socket_directory = sandbox.path();
    std::filesystem::path file;
    {
        Door door(wire);
        file = sandbox.path() / (".s.PGSQL." + std::to_string(door.port()));
        const auto conninfo =
            "host=" + sandbox.path().string() + " port=" + std::to_string(door.port()) + " ";
        const auto session = pg_connect(conninfo + locked);
        BOOST_TEST(pg_value(session, "select current_user") == "locked");
        std::vector<PgConnection> more;
        for (int i = 0; i < 20; ++i)
            more.push_back(pg_connect(conninfo + trusted));
        BOOST_TEST(door.server().stats().connections_now == 21);
        // Another cannot take it over.
        wire::UnixListener second;
        const auto error = second.open(sandbox.path(), door.port());
        BOOST_REQUIRE(error.has_value());
        BOOST_TEST(error->find("Address already in use") != std::string::npos, *error);
        door.server().stop(Clock::now() + 10s);
        BOOST_TEST(!std::filesystem::exists(file));
    }
    {
        // Nobody listens any more on what a killed process left.
        net::io_context context;
        net::local::stream_protocol::acceptor left(context, file.string());
    }
    BOOST_TEST(std::filesystem::exists(file));
    const auto port =
        static_cast<std::uint16_t>(std::stoi(file.string().substr(file.string().rfind('.') + 1)));
    wire::UnixListener again;
    BOOST_TEST(!again.open(sandbox.path(), port).has_value());
    wire::UnixListener nowhere;
    BOOST_TEST(nowhere.open("/nonexistent", port).has_value());
    BOOST_TEST(nowhere.open("/" + std::string(200, 'x'), port).has_value());
}

BOOST_AUTO_TEST_SUITE_END()
