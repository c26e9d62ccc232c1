// Statements timed on real servers: pipelines of known sleeps, errors, COPY, the slow-query log,
// and whose queries they are behind a load balancer.
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <map>
#include <optional>

#include "harness/libpq.hpp"
#include "servers/postgres.hpp"
#include "timing/timing.hpp"
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

// A door straight to PostgreSQL that is timed, with a slow-query log.
class Timed {
  public:
    explicit Timed(const std::string& balancers = "") {
        config::Config config;
        config.log.slow_query = log_.string();
        timing_ = std::move(timing::Timing::make(config, registry_, 2)).value();
        config.wire.upstream = {"127.0.0.1", postgres().port()};
        config.wire.proxy_protocol = config::parse_networks(balancers).value();
        door_.emplace(config.wire, timing_.get());
    }
    PgConnection connect() const {
        return pg_connect(door_->conninfo("user=postgres dbname=postgres"));
    }
    Door& door() { return *door_; }

    // Of the one statement with this text, or of the class of this name.
    timing::StatementFigures figures(const std::string& text) const {
        for (const auto& one : timing_->statements().read()) {
            if (one.text == text || (one.text.empty() && one.name == text))
                return one;
        }
        return {};
    }
    // The slow-query log, once it has a line with this in it.
    std::string log_with(const std::string& part) const {
        std::string text;
        wait_until("a slow query's line with " + part, [&] {
            text = read_file(log_);
            return text.find(part) != std::string::npos && text.ends_with('\n');
        });
        return text;
    }

  private:
    Sandbox sandbox_;
    std::filesystem::path log_ = sandbox_.path() / "slow.log";
    metrics::Registry registry_;
    std::unique_ptr<timing::Timing> timing_;
    std::optional<Door> door_;
};

struct Sleep {
    const char* text;
    const char* seconds;
};
const Sleep sleeps[] = {{"select pg_sleep($1::float8) as first", "0.2"},
                        {"select pg_sleep($1::float8) as second", "0.5"},
                        {"select pg_sleep($1::float8) as third", "0.2"}};

// What makes the server send an answer: a Sync or a Flush behind each query, or one Sync behind
// all.
enum class Behind { sync, flush, nothing };

// Runs them in one pipeline; returns what passed meanwhile.
std::chrono::nanoseconds run_sleeps(const PgConnection& session, Behind behind) {
    const auto before = std::chrono::steady_clock::now();
    BOOST_REQUIRE(PQenterPipelineMode(session.get()) == 1);
    for (const Sleep& one : sleeps) {
        BOOST_REQUIRE(PQsendQueryParams(session.get(), one.text, 1, nullptr, &one.seconds, nullptr,
                                        nullptr, 0) == 1);
        if (behind == Behind::sync)
            BOOST_REQUIRE(PQpipelineSync(session.get()) == 1);
        if (behind == Behind::flush)
            BOOST_REQUIRE(PQsendFlushRequest(session.get()) == 1);
    }
    if (behind != Behind::sync)
        BOOST_REQUIRE(PQpipelineSync(session.get()) == 1);
    for (int syncs = behind == Behind::sync ? 3 : 1; syncs > 0;) {
        const PgResult result(PQgetResult(session.get()));
        if (PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC)
            --syncs;
        else if (result)
            BOOST_REQUIRE(PQresultStatus(result.get()) == PGRES_TUPLES_OK);
    }
    BOOST_REQUIRE(PQexitPipelineMode(session.get()) == 1);
    return std::chrono::steady_clock::now() - before;
}

// Reads messages up to the first ReadyForQuery; fewer if the connection ends before.
std::string until_ready(RawClient& client) {
    for (std::string all;;) {
        const auto header = client.receive(5);
        if (header.size() < 5)
            return all + header;
        all += header + client.receive(wire::read_uint32(header.data() + 1) - 4);
        if (header[0] == 'Z')
            return all;
    }
}

const std::string startup = startup_message("postgres", "postgres");
const std::string slow = message('Q', std::string("select pg_sleep(0.12), 'secret'\0", 32));
const std::string version_1 = "PROXY TCP4 203.0.113.9 198.51.100.1 56324 6433\r\n";

}  // namespace

BOOST_AUTO_TEST_SUITE(wire_timing)

BOOST_AUTO_TEST_CASE(each_statement_of_a_pipeline_is_timed_by_itself) {
    for (const Behind behind : {Behind::sync, Behind::flush}) {
        Timed timed;
        const auto session = timed.connect();
        const auto passed = run_sleeps(session, behind);
        std::chrono::nanoseconds sum{0}, times[3];
        for (std::size_t i = 0; i < 3; ++i) {
            const auto figures = timed.figures(sleeps[i].text);
            BOOST_TEST(figures.times.total == 1u);
            BOOST_TEST(figures.rows == 1u);
            times[i] = figures.times.max;
            sum += times[i];
        }
        // No time is told of twice, and none is lost: together they are what it all took.
        BOOST_TEST((sum >= 900ms));
        BOOST_TEST((sum <= passed));
        // A busy machine notices an end late, which takes from the next one's time.
        BOOST_TEST((times[0] >= 200ms));
        BOOST_TEST((times[1] >= 350ms));
        BOOST_TEST((times[2] >= 50ms));
    }
}

BOOST_AUTO_TEST_CASE(what_the_server_answers_at_once_shares_the_time) {
    Timed timed;
    const auto session = timed.connect();
    const auto passed = run_sleeps(session, Behind::nothing);
    std::chrono::nanoseconds sum{0};
    for (const Sleep& one : sleeps) {
        BOOST_TEST(timed.figures(one.text).times.total == 1u);
        sum += timed.figures(one.text).times.max;
    }
    BOOST_TEST((sum >= 900ms));
    BOOST_TEST((sum <= passed));
}

BOOST_AUTO_TEST_CASE(a_thousand_runs_of_one_statement_in_a_pipeline) {
    Timed timed;
    const auto session = timed.connect();
    BOOST_REQUIRE(PQenterPipelineMode(session.get()) == 1);
    const PgResult prepared(nullptr);
    BOOST_REQUIRE(PQsendPrepare(session.get(), "double", "select $1::int * 2", 0, nullptr) == 1);
    for (int i = 0; i < 1000; ++i) {
        const auto number = std::to_string(i);
        const char* value = number.c_str();
        BOOST_REQUIRE(
            PQsendQueryPrepared(session.get(), "double", 1, &value, nullptr, nullptr, 0) == 1);
    }
    BOOST_REQUIRE(PQpipelineSync(session.get()) == 1);
    for (;;) {
        const PgResult result(PQgetResult(session.get()));
        if (PQresultStatus(result.get()) == PGRES_PIPELINE_SYNC)
            break;
    }
    const auto figures = timed.figures("select $1::int * $2");
    BOOST_TEST(figures.times.total == 1000u);
    BOOST_TEST(figures.rows == 1000u);
    BOOST_TEST(figures.errors == 0u);
}

BOOST_AUTO_TEST_CASE(errors_timeouts_and_rows) {
    Timed timed;
    const auto session = timed.connect();
    pg_exec(session, "create temp table counted (n int)");
    pg_exec(session, "insert into counted select generate_series(1, 500)");
    pg_exec(session, "update counted set n = n + 1 where n <= 100");
    BOOST_TEST(timed.figures("insert into counted select generate_series($1, $2)").rows == 500u);
    BOOST_TEST(timed.figures("update counted set n = n + $1 where n <= $2").rows == 100u);
    const PgResult failed(
        PQexecParams(session.get(), "select 1/0", 0, nullptr, nullptr, nullptr, nullptr, 0));
    BOOST_TEST(timed.figures("select $1/$2").errors == 1u);
    pg_exec(session, "set statement_timeout = '110ms'");
    const PgResult late(PQexec(session.get(), "select pg_sleep(5)"));
    BOOST_TEST(sqlstate(late) == "57014");
    BOOST_TEST(timed.figures("select pg_sleep($1)").errors == 1u);
    const auto log = timed.log_with("pg_sleep");
    BOOST_TEST(log.find(R"("status":"timeout","sqlstate":"57014","client":"127.0.0.1")") !=
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_query_whose_server_is_lost_has_failed) {
    Timed timed;
    const auto session = timed.connect();
    const auto other = timed.connect();
    const auto pid = pg_value(session, "select pg_backend_pid()");
    BOOST_REQUIRE(PQsendQuery(session.get(), "select pg_sleep(60)") == 1);
    wait_until("the sleep to begin", [&] {
        return pg_value(
                   other,
                   "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and pid = " +
                       pid) == "1";
    });
    pg_exec(other, "select pg_terminate_backend(" + pid + ")");
    const PgResult result(PQgetResult(session.get()));
    BOOST_TEST(sqlstate(result) == "57P01");
    wait_until("the failure to be counted",
               [&] { return timed.figures("select pg_sleep($1)").errors == 1u; });
}

BOOST_AUTO_TEST_CASE(copies_are_a_class_with_their_rows) {
    Timed timed;
    const auto session = timed.connect();
    const PgResult begun(
        PQexec(session.get(), "copy (select generate_series(1, 100000)) to stdout"));
    char* line = nullptr;
    while (PQgetCopyData(session.get(), &line, 0) > 0)
        PQfreemem(line);
    const PgResult ended(PQgetResult(session.get()));
    BOOST_TEST(PQresultStatus(ended.get()) == PGRES_COMMAND_OK);
    BOOST_TEST(timed.figures("copy").times.total == 1u);
    BOOST_TEST(timed.figures("copy").rows == 100000u);
    BOOST_TEST(timed.figures("copy").bytes == 588895u);
}

BOOST_AUTO_TEST_CASE(what_has_no_text_is_timed_in_a_class_of_its_own) {
    Timed timed;
    const auto session = timed.connect();
    pg_exec(session, "create temp table taken (n int)");
    {
        const PgResult begun(PQexec(session.get(), "copy taken from stdin"));
        BOOST_REQUIRE(PQputCopyData(session.get(), "1\n2\n3\n", 6) == 1);
        BOOST_REQUIRE(PQputCopyEnd(session.get(), nullptr) == 1);
        const PgResult ended(PQgetResult(session.get()));
        BOOST_TEST(PQresultStatus(ended.get()) == PGRES_COMMAND_OK);
        BOOST_TEST(PQgetResult(session.get()) == nullptr);
    }
    BOOST_TEST(timed.figures("copy").times.total == 1u);
    BOOST_TEST(timed.figures("copy").rows == 3u);
    pg_exec(session, "listen some_channel");
    pg_exec(session, "UNLISTEN *");
    BOOST_TEST(timed.figures("listen").times.total == 2u);

    const auto standby =
        pg_connect(timed.door().conninfo("user=postgres dbname=postgres replication=database"));
    const PgResult system(PQexec(standby.get(), "IDENTIFY_SYSTEM"));
    BOOST_REQUIRE(PQresultStatus(system.get()) == PGRES_TUPLES_OK);
    BOOST_TEST(timed.figures("replication").times.total == 1u);
    const auto from = std::string("START_REPLICATION PHYSICAL ") + PQgetvalue(system.get(), 0, 2);
    const PgResult both(PQexec(standby.get(), from.c_str()));
    BOOST_REQUIRE(PQresultStatus(both.get()) == PGRES_COPY_BOTH);
    BOOST_REQUIRE(PQputCopyEnd(standby.get(), nullptr) == 1);
    char* data = nullptr;
    while (PQgetCopyData(standby.get(), &data, 0) > 0)
        PQfreemem(data);
    while (const PgResult more{PQgetResult(standby.get())})
        BOOST_TEST(PQresultStatus(more.get()) == PGRES_COMMAND_OK);
    BOOST_TEST(timed.figures("replication").times.total == 2u);
}

// However the client's bytes come, it is the same statement.
BOOST_AUTO_TEST_CASE(a_statement_in_many_pieces) {
    Timed timed;
    RawClient client(timed.door().port());
    client.send(startup);
    until_ready(client);
    const std::string sql = "select 'value', count(*) from pg_class where relname <> 'x'";
    const auto query = message('Q', sql + '\0');
    client.send(query);
    until_ready(client);
    for (const char c : query)
        client.send({&c, 1});
    until_ready(client);
    const auto wide = message('Q', "select '" + std::string(100000, 'v') +
                                       "', count(*) from pg_class where relname <> 'x'" + '\0');
    client.send(wide);
    BOOST_TEST(error_state(until_ready(client)) == "");
    BOOST_TEST(timed.figures("select $1, count(*) from pg_class where relname <> $2").times.total ==
               2u);
    // What is too long has a statement by what was looked at of it.
    BOOST_TEST(timed.figures("select $1…").times.total == 1u);
}

BOOST_AUTO_TEST_CASE(the_log_is_told_whose_query_it_was) {
    Timed timed("127.0.0.0/8");
    RawClient client(timed.door().port());
    client.send(version_1 + startup);
    BOOST_TEST(error_state(until_ready(client)) == "");
    client.send(slow);
    until_ready(client);
    auto log = timed.log_with("203.0.113.9");
    BOOST_TEST(log.find(R"("door":"wire")") != std::string::npos);
    BOOST_TEST(log.find("select pg_sleep($1), $2") != std::string::npos);
    BOOST_TEST(log.find("secret") == std::string::npos);

    // Version 2, in pieces, with a request for TLS and a query right behind it.
    const std::string version_2 =
        std::string("\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0f", 16) +
        std::string("\xcb\x00\x71\x0a\x0a\x00\x00\x01\x30\x39\x19\x21", 12) +
        std::string("\x04\x00\x00", 3);
    const std::string request("\0\0\0\x08\x04\xd2\x16\x2f", 8);
    RawClient pieces(timed.door().port());
    for (const char c : version_2)
        pieces.send({&c, 1});
    pieces.send(request);
    BOOST_TEST(pieces.receive(1) == "N");
    pieces.send(startup);
    until_ready(pieces);
    pieces.send(slow);
    until_ready(pieces);
    timed.log_with("203.0.113.10");

    // LOCAL: the balancer itself.
    RawClient local(timed.door().port());
    local.send(std::string("\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00", 16) + startup);
    until_ready(local);
    local.send(slow);
    until_ready(local);
    timed.log_with(R"("client":"127.0.0.1")");
}

BOOST_AUTO_TEST_CASE(a_load_balancer_must_say_whose_connection_it_is) {
    Timed timed("127.0.0.0/8, 10.0.0.0/8");
    for (const auto& bytes :
         {startup, std::string("PROXY TCP4 no\r\n"), std::string("GET / HTTP/1.1\r\n")}) {
        RawClient client(timed.door().port());
        client.send(bytes);
        BOOST_TEST(client.receive_all() == "");
    }
    timed.door().wait_until_empty();
    BOOST_TEST(timed.door().server().stats().refused == 3u);
    BOOST_TEST(timed.door().server().stats().connections == 0u);
    // One that goes without a word, to see whether we are here, is none of these.
    RawClient(timed.door().port()).close();
    timed.door().wait_until_empty();
    BOOST_TEST(timed.door().server().stats().refused == 3u);
}

BOOST_AUTO_TEST_CASE(a_header_has_the_time_of_a_startup_message) {
    config::Wire settings;
    settings.upstream = {"127.0.0.1", postgres().port()};
    settings.proxy_protocol = config::parse_networks("127.0.0.1").value();
    settings.startup_timeout = 100ms;
    Door door(settings);
    RawClient client(door.port());
    client.send("PROXY TCP4 203.0");
    BOOST_TEST(client.receive_all() == "");
    BOOST_TEST(door.server().stats().refused == 1u);
}

BOOST_AUTO_TEST_CASE(nobody_else_may_say_whose_connection_it_is) {
    Timed timed("192.0.2.0/24");
    RawClient client(timed.door().port());
    client.send(version_1 + startup);
    BOOST_TEST(error_state(client.receive_all()) == "08P01");
}

BOOST_AUTO_TEST_SUITE_END()
