// pgbouncer's figures in /metrics, of a real pgbouncer with a user who may see its statistics only.
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include <libpq-fe.h>

#include "servers/coroutine.hpp"
#include "servers/pgbouncer.hpp"
#include "servers/postgres.hpp"
#include "timing/pgbouncer.hpp"

using namespace muster;
using namespace muster::test;
using namespace std::chrono_literals;

namespace {

// A table as a version of pgbouncer would answer it.
postgres::Rows table(const std::vector<std::string>& columns,
                     const std::vector<std::vector<std::string>>& rows) {
    PGresult* const result = PQmakeEmptyPGresult(nullptr, PGRES_TUPLES_OK);
    std::vector<PGresAttDesc> attributes;
    for (const std::string& column : columns) {
        PGresAttDesc attribute{};
        attribute.name = const_cast<char*>(column.c_str());  // copied by libpq
        attributes.push_back(attribute);
    }
    PQsetResultAttrs(result, static_cast<int>(attributes.size()), attributes.data());
    for (std::size_t row = 0; row < rows.size(); ++row) {
        for (std::size_t column = 0; column < columns.size(); ++column) {
            std::string value = rows[row][column];
            PQsetvalue(result, static_cast<int>(row), static_cast<int>(column), value.data(),
                       static_cast<int>(value.size()));
        }
    }
    return postgres::Rows(result);
}

// The poller and what it publishes, on a thread of its own.
class Polled {
  public:
    explicit Polled(const std::string& conninfo)
        : pgbouncer_(context_, {.conninfo = conninfo, .interval = 100ms}, registry_) {
        pgbouncer_.start();
        thread_ = std::thread([this] { context_.run(); });
    }
    ~Polled() {
        pgbouncer_.stop();
        thread_.join();
    }
    Polled(const Polled&) = delete;
    Polled& operator=(const Polled&) = delete;

    bool shows(const std::string& line) const {
        return ("\n" + registry_.text()).find("\n" + line) != std::string::npos;
    }
    std::string text() const { return registry_.text(); }
    // The value of one series; -1 if there is none.
    double value(const std::string& series) const {
        const std::string all = "\n" + text();
        const std::size_t at = all.find("\n" + series + " ");
        return at == std::string::npos ? -1 : std::stod(all.substr(at + series.size() + 2));
    }

  private:
    net::io_context context_{1};
    metrics::Registry registry_;
    timing::Pgbouncer pgbouncer_;
    std::thread thread_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(pgbouncer)

BOOST_AUTO_TEST_CASE(columns_are_found_by_name) {
    const timing::PgbouncerColumn time{"total_query_time", "m", "h", 1e-6, true};
    const auto old = timing::pgbouncer_samples(
        table({"database", "total_query_time"}, {{"a", "1500000"}, {"b", "x"}}), time);
    BOOST_REQUIRE(old.size() == 1U);  // what is no number is left out
    BOOST_TEST(old[0].value == 1.5);
    BOOST_REQUIRE(old[0].labels.size() == 1U);
    BOOST_TEST(old[0].labels[0].first == "database");
    BOOST_TEST(old[0].labels[0].second == "a");
    const auto moved = timing::pgbouncer_samples(
        table({"total_bind_count", "total_query_time", "user", "database"},
              {{"7", "2000000", "u", "d"}}),
        time);
    BOOST_REQUIRE(moved.size() == 1U);
    BOOST_TEST(moved[0].value == 2);
    BOOST_TEST(moved[0].labels.size() == 2U);
    BOOST_TEST(timing::pgbouncer_samples(table({"database"}, {{"a"}}), time).empty());
    const std::vector<std::vector<std::string>> many(5000, {"d", "1"});
    BOOST_TEST(
        timing::pgbouncer_samples(table({"database", "total_query_time"}, many), time).size() ==
        1000U);
}

BOOST_AUTO_TEST_CASE(without_a_conninfo_there_is_nothing) {
    const Polled polled("");
    BOOST_TEST(polled.text().empty());
}

BOOST_AUTO_TEST_CASE(figures_of_a_real_one_come_and_go_with_it) {
    PostgresServer server;
    server.psql("create role client login password 'c'");
    Pgbouncer bouncer(server, "stats_users = watcher\n", "\"watcher\" \"secret\"\n");
    const std::string port = " port=" + std::to_string(bouncer.port());
    const Polled polled("host=127.0.0.1 dbname=pgbouncer user=watcher password=secret" + port);
    wait_until("its figures", [&] { return polled.shows("pgbouncer_up 1\n"); });

    const std::string client = "host=127.0.0.1 dbname=postgres user=client password=c" + port;
    const std::unique_ptr<PGconn, void (*)(PGconn*)> connection(PQconnectdb(client.c_str()),
                                                                PQfinish);
    BOOST_REQUIRE_MESSAGE(PQstatus(connection.get()) == CONNECTION_OK,
                          PQerrorMessage(connection.get()));
    for (int i = 0; i < 5; ++i) {
        PQclear(PQexec(connection.get(), i == 0 ? "select pg_sleep(0.5)" : "select 1"));
    }
    // pgbouncer puts its totals together once a minute; what happened since is in SHOW STATS too.
    wait_until("the client's queries", [&] {
        return polled.shows("pgbouncer_stats_queries_pooled_total{database=\"postgres\"} 5\n");
    });
    const std::string labels = "{database=\"postgres\",user=\"client\"}";
    BOOST_TEST(polled.shows("pgbouncer_pools_client_active_connections" + labels + " 1\n"),
               polled.text());
    BOOST_TEST(polled.shows("pgbouncer_pools_client_maxwait_seconds" + labels + " 0\n"));
    // In seconds; pgbouncer looks at its clock once a loop, so that it is not exact.
    const double seconds =
        polled.value("pgbouncer_stats_queries_duration_seconds_total{database=\"postgres\"}");
    BOOST_TEST(seconds > 0.25);
    BOOST_TEST(seconds < 60);
    BOOST_TEST(polled.shows("# TYPE pgbouncer_stats_queries_pooled_total counter\n"));

    // The user sees figures and can do nothing.
    const std::string watcher =
        "host=127.0.0.1 dbname=pgbouncer user=watcher password=secret" + port;
    const std::unique_ptr<PGconn, void (*)(PGconn*)> console(PQconnectdb(watcher.c_str()),
                                                             PQfinish);
    PGresult* const refused = PQexec(console.get(), "PAUSE");
    BOOST_TEST(PQresultStatus(refused) == PGRES_FATAL_ERROR);
    PQclear(refused);

    bouncer.stop();
    wait_until("the loss to be seen", [&] { return polled.shows("pgbouncer_up 0\n"); });
    BOOST_TEST(polled.text().find("pgbouncer_stats_queries_pooled_total{") == std::string::npos);
    bouncer.start();
    wait_until("its return", [&] { return polled.shows("pgbouncer_up 1\n"); });
}

BOOST_AUTO_TEST_SUITE_END()
