// The wire door between real clients and real servers: what it carries arrives unchanged.
#include <boost/test/unit_test.hpp>

#include <thread>

#include "harness/libpq.hpp"
#include "servers/pgbouncer.hpp"
#include "wire/bytes.hpp"
#include "wire/door.hpp"

using namespace muster;
using namespace muster::test;
using namespace std::chrono_literals;

namespace {

PostgresServer& postgres() {
    static PostgresServer instance;
    return instance;
}

Pgbouncer& pgbouncer() {
    static Pgbouncer instance(postgres());
    return instance;
}

config::Wire settings(const std::string& host, std::uint16_t port) {
    config::Wire wire;
    wire.upstream = {host, port};
    return wire;
}

// Doors to pgbouncer, and straight to PostgreSQL by its Unix socket.
Door& pooled() {
    static Door instance(settings("127.0.0.1", pgbouncer().port()));
    return instance;
}

Door& straight() {
    static Door instance(settings(postgres().socket_directory(), postgres().port()));
    return instance;
}

const std::string locked = "user=locked password=secret dbname=postgres";

std::string with_port(const std::string& rest, unsigned short port) {
    return "host=127.0.0.1 port=" + std::to_string(port) + " " + rest;
}

// Runs a program as the test's user and returns its output; throws if it fails.
std::string run(const std::vector<std::string>& arguments) {
    static Sandbox sandbox;
    static int count = 0;
    const auto log = sandbox.path() / ("run." + std::to_string(++count));
    run_program(arguments, log);
    return read_file(log);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(wire_traffic)

BOOST_AUTO_TEST_CASE(a_scram_login_and_a_simple_query) {
    const auto before = pooled().server().stats();
    {
        const auto session = pg_connect(pooled().conninfo(locked));
        BOOST_TEST(pg_value(session, "select current_user") == "locked");
        BOOST_TEST(pooled().server().stats().connections_now == 1);
    }
    pooled().wait_until_empty();
    const auto after = pooled().server().stats();
    BOOST_TEST(after.connections == before.connections + 1);
    BOOST_TEST(after.queries == before.queries + 1);
    BOOST_TEST(after.connections_now == 0);
    // Two SASL messages, the Query and Terminate.
    BOOST_TEST(after.client_messages == before.client_messages + 4);
    BOOST_TEST(after.client_bytes > before.client_bytes);
    BOOST_TEST(after.server_messages > before.server_messages);
    BOOST_TEST(after.server_bytes > before.server_bytes);
}

BOOST_AUTO_TEST_CASE(a_wrong_password_is_told_in_the_servers_words) {
    const std::string wrong = "user=locked password=guess dbname=postgres";
    const auto direct = pg_connect_error(with_port(wrong, pgbouncer().port()));
    auto proxied = pg_connect_error(pooled().conninfo(wrong));
    const auto port = std::to_string(pooled().port());
    const auto at = proxied.find(port);
    BOOST_REQUIRE(at != std::string::npos);
    proxied.replace(at, port.size(), std::to_string(pgbouncer().port()));
    BOOST_TEST(proxied == direct);
}

BOOST_AUTO_TEST_CASE(the_extended_protocol_with_text_and_binary) {
    const auto session = pg_connect(pooled().conninfo(locked));
    const char* values[] = {"41", nullptr, "x'y"};
    const PgResult result(PQexecParams(session.get(),
                                       "select $1::int + 1, $2::text is null, $3::text", 3, nullptr,
                                       values, nullptr, nullptr, 0));
    BOOST_TEST(PQgetvalue(result.get(), 0, 0) == std::string("42"));
    BOOST_TEST(PQgetvalue(result.get(), 0, 1) == std::string("t"));
    BOOST_TEST(PQgetvalue(result.get(), 0, 2) == std::string("x'y"));
    const PgResult failed(
        PQexecParams(session.get(), "select 1/0", 0, nullptr, nullptr, nullptr, nullptr, 1));
    BOOST_TEST(sqlstate(failed) == "22012");
    BOOST_TEST(pg_value(session, "select 1") == "1");
}

BOOST_AUTO_TEST_CASE(a_pipeline_of_a_thousand_queries) {
    const auto session = pg_connect(straight().conninfo("user=postgres"));
    BOOST_REQUIRE(PQenterPipelineMode(session.get()) == 1);
    for (int i = 0; i < 1000; ++i) {
        const auto number = std::to_string(i);
        const char* value = number.c_str();
        // Every hundredth fails; its own Sync keeps the others out of it.
        BOOST_REQUIRE(
            PQsendQueryParams(session.get(),
                              i % 100 == 99 ? "select 1/($1::int-$1::int)" : "select $1::int * 2",
                              1, nullptr, &value, nullptr, nullptr, 0) == 1);
        BOOST_REQUIRE(PQpipelineSync(session.get()) == 1);
    }
    for (int i = 0; i < 1000; ++i) {
        const PgResult result(PQgetResult(session.get()));
        if (i % 100 == 99)
            BOOST_TEST(sqlstate(result) == "22012");
        else
            BOOST_TEST(PQgetvalue(result.get(), 0, 0) == std::to_string(i * 2));
        BOOST_REQUIRE(PQgetResult(session.get()) == nullptr);
        const PgResult sync(PQgetResult(session.get()));
        BOOST_REQUIRE(PQresultStatus(sync.get()) == PGRES_PIPELINE_SYNC);
    }
    BOOST_TEST(PQexitPipelineMode(session.get()) == 1);
}

BOOST_AUTO_TEST_CASE(copy_in_and_out) {
    const auto session = pg_connect(straight().conninfo("user=postgres"));
    pg_exec(session, "create temp table copied (n int, t text)");
    // By a simple query and by an extended one, whose first Sync the server does not answer.
    for (const bool extended : {false, true}) {
        if (extended) {
            const PgResult begun(PQexecParams(session.get(), "copy copied from stdin", 0, nullptr,
                                              nullptr, nullptr, nullptr, 0));
            BOOST_REQUIRE(PQresultStatus(begun.get()) == PGRES_COPY_IN);
        } else {
            pg_exec(session, "copy copied from stdin");
        }
        for (int i = 0; i < 20000; ++i) {
            const auto line = std::to_string(i) + "\t" + std::string(40, 'x') + "\n";
            BOOST_REQUIRE(
                PQputCopyData(session.get(), line.data(), static_cast<int>(line.size())) == 1);
        }
        BOOST_REQUIRE(PQputCopyEnd(session.get(), nullptr) == 1);
        const PgResult end(PQgetResult(session.get()));
        BOOST_TEST(PQcmdTuples(end.get()) == std::string("20000"));
        BOOST_REQUIRE(PQgetResult(session.get()) == nullptr);
    }
    BOOST_TEST(pg_value(session, "select count(*) || ',' || sum(n) from copied") ==
               "40000,399980000");

    pg_exec(session, "copy (select n from copied order by n, ctid) to stdout");
    char* row = nullptr;
    int rows = 0;
    for (int n; (n = PQgetCopyData(session.get(), &row, 0)) > 0; ++rows) {
        BOOST_REQUIRE(std::string(row, static_cast<std::size_t>(n)) ==
                      std::to_string(rows / 2) + "\n");
        PQfreemem(row);
    }
    BOOST_TEST(rows == 40000);
    while (PgResult rest{PQgetResult(session.get())}) {
    }

    // An error in the middle of the data leaves the session in step.
    pg_exec(session, "copy copied from stdin");
    const std::string bad = "no number\n";
    BOOST_REQUIRE(PQputCopyData(session.get(), bad.data(), static_cast<int>(bad.size())) == 1);
    BOOST_REQUIRE(PQputCopyEnd(session.get(), nullptr) == 1);
    const PgResult failed(PQgetResult(session.get()));
    BOOST_TEST(sqlstate(failed) == "22P02");
    BOOST_REQUIRE(PQgetResult(session.get()) == nullptr);
    BOOST_TEST(pg_value(session, "select count(*) from copied") == "40000");
}

BOOST_AUTO_TEST_CASE(fifty_megabytes_in_one_value_both_ways) {
    const auto session = pg_connect(pooled().conninfo(locked));
    constexpr std::size_t size = 50 * 1024 * 1024;
    std::string big(size, '\0');
    for (std::size_t i = 0; i < size; ++i)
        big[i] = static_cast<char>('a' + i % 23);
    const char* value = big.c_str();
    const PgResult result(
        PQexecParams(session.get(), "select $1::text", 1, nullptr, &value, nullptr, nullptr, 0));
    BOOST_REQUIRE(PQresultStatus(result.get()) == PGRES_TUPLES_OK);
    BOOST_REQUIRE(static_cast<std::size_t>(PQgetlength(result.get(), 0, 0)) == size);
    BOOST_TEST((big == PQgetvalue(result.get(), 0, 0)));
}

BOOST_AUTO_TEST_CASE(a_client_that_reads_slowly_stops_its_own_server_only) {
    // 64 MB for a client that does not read: no more than the sockets' buffers and one block move.
    RawClient slow(straight().port());
    slow.send(startup_message("postgres", "postgres"));
    slow.send(message('Q', std::string_view("select repeat('x', 1000) from "
                                            "generate_series(1, 64000)\0",
                                            56)));
    const auto before = straight().server().stats().server_bytes;
    auto moved = before;
    for (int still = 0; still < 20;) {
        std::this_thread::sleep_for(10ms);
        const auto now = straight().server().stats().server_bytes;
        still = now == moved ? still + 1 : 0;
        moved = now;
    }
    BOOST_TEST(moved < 32u * 1024 * 1024);
    const auto other = pg_connect(straight().conninfo("user=postgres"));
    BOOST_TEST(pg_value(other, "select 1") == "1");
    // It gets everything once it reads.
    slow.send(message('X'));
    BOOST_TEST(slow.receive_all().size() > 64000000u);
}

// What a large message needs is given back: sessions hold no buffer between two messages.
BOOST_AUTO_TEST_CASE(large_messages_leave_no_memory_behind) {
    Door door(settings(postgres().socket_directory(), postgres().port()));
    std::vector<RawClient> clients;
    for (int i = 0; i < 20; ++i) {
        clients.emplace_back(door.port());
        clients.back().send(startup_message("postgres", "postgres"));
    }
    const auto before = resident();
    // Sent and received in pieces: this process is the client's, too.
    const std::string piece(1 << 20, 'x');
    for (auto& client : clients) {
        std::string query = message('Q', "select length('");
        const std::string rest("')\0", 3);
        query.resize(1);
        wire::append_uint32(query, static_cast<std::uint32_t>(4 + 15 + 16 * piece.size() + 3));
        client.send(query + "select length('");
        for (int i = 0; i < 16; ++i)
            client.send(piece);
        client.send(rest);
        client.send(message('Q', std::string("select repeat('x', 16 << 20)\0", 29)));
        std::size_t left = 16 << 20;
        while (left > 0) {
            const auto got = client.receive(4096).size();
            BOOST_REQUIRE(got > 0);
            left -= std::min(left, got);
        }
    }
    const auto after = resident();
    BOOST_TEST_MESSAGE(after - before << " kB more");
    if (memory_is_told)
        BOOST_TEST(after - before < 4 * 1024);
}

BOOST_AUTO_TEST_CASE(a_half_closed_client_gets_its_answers) {
    RawClient client(straight().port());
    client.send(startup_message("postgres", "postgres") +
                message('Q', std::string_view("select 'the answer'\0", 20)));
    client.half_close();
    BOOST_TEST(client.receive_all().find("the answer") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_cancel_request_interrupts_the_query) {
    for (auto* door : {&pooled(), &straight()}) {
        const auto user = door == &pooled() ? locked : "user=postgres";
        const auto session = pg_connect(door->conninfo(user));
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
        {
            const PgResult result(PQgetResult(session.get()));
            BOOST_TEST(sqlstate(result) == "57014");
        }
        BOOST_REQUIRE(PQgetResult(session.get()) == nullptr);
        BOOST_TEST(pg_value(session, "select 1") == "1");
        BOOST_TEST(door->server().stats().cancels == 1);
    }
}

BOOST_AUTO_TEST_CASE(psql_the_program) {
    const auto output = run({"psql", "-X", "-At", "-d", pooled().conninfo(locked), "-c",
                             "select 6 * 7", "-c", "\\conninfo"});
    BOOST_TEST(output.find("42\n") == 0);
    BOOST_TEST(output.find(std::to_string(pooled().port())) != std::string::npos);
}

BOOST_AUTO_TEST_CASE(pgbench_simple_and_extended) {
    run({"pgbench", "-q", "-i", "-h", postgres().socket_directory(), "-p",
         std::to_string(postgres().port()), "-U", "postgres", "postgres"});
    postgres().psql("grant all on all tables in schema public to locked");
    ::setenv("PGPASSWORD", "secret", 1);
    for (const char* mode : {"simple", "extended"}) {
        const auto before = pooled().server().stats().queries;
        const auto output =
            run({"pgbench", "-n", "-M", mode, "-c", "8", "-j", "2", "-t", "50", "-h", "127.0.0.1",
                 "-p", std::to_string(pooled().port()), "-U", "locked", "postgres"});
        BOOST_TEST(output.find("processed: 400/400") != std::string::npos, output);
        // Seven statements a transaction, and pgbench asks for the scale once.
        BOOST_TEST(pooled().server().stats().queries - before >= 2800u);
    }
    ::unsetenv("PGPASSWORD");
    pooled().wait_until_empty();
}

BOOST_AUTO_TEST_CASE(a_replication_stream_passes) {
    const auto session = pg_connect(straight().conninfo("user=postgres replication=true"));
    const auto start = [&] {
        const auto identity = pg_exec(session, "IDENTIFY_SYSTEM");
        return std::string(PQgetvalue(identity.get(), 0, 2));
    }();
    const auto copying = pg_exec(session, "START_REPLICATION PHYSICAL " + start);
    BOOST_REQUIRE(PQresultStatus(copying.get()) == PGRES_COPY_BOTH);
    postgres().psql("create table replicated as select 1");
    char* data = nullptr;
    bool wal = false;
    for (int i = 0; i < 1000 && !wal; ++i) {
        if (PQgetCopyData(session.get(), &data, 0) <= 0)
            break;
        wal = *data == 'w';
        PQfreemem(data);
    }
    BOOST_TEST(wal);
}

BOOST_AUTO_TEST_SUITE_END()
