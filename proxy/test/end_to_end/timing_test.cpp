// Timing of the whole stack as it is deployed: the shipped routes in /queries, the header for
// clients, and pgbouncer's figures, which a user of its own is allowed to see.
#include "end_to_end/support.hpp"

using namespace muster::test;

BOOST_AUTO_TEST_SUITE(timing)

BOOST_AUTO_TEST_CASE(the_shipped_routes_are_among_the_queries) {
    const std::string name = fresh_name("timed");
    make_agent(name);
    const Json queries = Json::parse(admin("/queries?sort=name").body)["statements"];
    bool found = false;
    for (const Json& one : queries) {
        if (one["name"] == "create_agent") {
            found = true;
            BOOST_TEST(std::stod(one["calls"].text()) >= 1);
            BOOST_TEST(one["text"].text().find("muster.create_agent($1") != std::string::npos,
                       one["text"]);
        }
    }
    BOOST_TEST(found);
    BOOST_TEST(queries.dump().find(name) == std::string::npos);
}

BOOST_AUTO_TEST_CASE(statements_through_the_wire_door_and_pgbouncer_are_too) {
    const auto session = pg_connect(shared_stack().env("MUSTER_WIRE_DSN"));
    for (const std::string value : {"'one'", "'two', 'three'"}) {
        pg_exec(session, "select count(*) as timed from agents where name in (" + value + ")");
    }
    std::string name;
    // Its text is made off the path.
    wait_until("the statement's text", [&] {
        const Json queries = Json::parse(admin("/queries?sort=name").body)["statements"];
        for (const Json& one : queries) {
            if (one["text"].text().starts_with(
                    "select count(*) as timed from agents where name in ($1"))
                name = one["name"].text();
        }
        return !name.empty();
    });
    const Json queries = Json::parse(admin("/queries?sort=name").body)["statements"];
    for (const Json& one : queries) {
        if (one["name"] == name) {
            BOOST_TEST(one["door"] == "wire");
            BOOST_TEST(one["calls"].text() == "2");
            BOOST_TEST(one["rows"].text() == "2");
        }
    }
    BOOST_TEST(name.starts_with("select_agents_"), name);
    BOOST_TEST(sample("database_query_duration_seconds_count",
                      {"query_name=\"" + name + "\"", "status=\"success\""}) == 2);
}

BOOST_AUTO_TEST_CASE(a_cached_answer_says_so_and_keeps_no_times) {
    auto& stack = shared_stack();
    const std::string target = "/agents/" + make_agent(fresh_name("timed"))["id"].text();
    const std::string key = "X-API-Key: " + stack.env("MUSTER_API_KEY") + "\r\n";
    HttpClient client(stack.port("http"));
    const auto ask = [&](const std::string& more) {
        return client.request("GET", target, key + more).header("server-timing");
    };
    const std::string first = ask("Prefer: server-timing\r\n");
    BOOST_TEST(first.find("db;dur=") != std::string::npos, first);
    wait_until("a hit", [&] {
        return ask("Prefer: server-timing\r\n").find("desc=\"hit\"") != std::string::npos;
    });
    const std::string hit = ask("Prefer: server-timing\r\n");
    BOOST_TEST(hit.starts_with("cache;dur="), hit);
    BOOST_TEST(hit.find("db;") == std::string::npos, hit);
    BOOST_TEST(ask("") == "");
}

BOOST_AUTO_TEST_CASE(pgbouncers_figures_stand_beside_ours) {
    make_agent(fresh_name("timed"));
    const auto shows = [](const std::string& series) {
        return admin("/metrics").body.find("\n" + series) != std::string::npos;
    };
    wait_until("pgbouncer's figures", [&] {
        return shows("pgbouncer_up 1\n") && shows(
                                                "pgbouncer_pools_server_idle_connections{database="
                                                "\"muster\",user=\"muster_app\"}");
    });
    BOOST_TEST(shows("pgbouncer_stats_sql_transactions_pooled_total{database=\"muster\"}"));
}

BOOST_AUTO_TEST_CASE(whoever_sees_the_figures_sees_nothing_else) {
    auto& stack = shared_stack();
    const std::string login =
        "host=127.0.0.1 port=" + std::to_string(stack.port("pgbouncer")) +
        " user=muster_stats connect_timeout=10 passfile=" + stack.env("MUSTER_STACK_DIR") +
        "/secrets/pgpass";
    BOOST_TEST(!pg_value(pg_connect(login + " dbname=pgbouncer"), "SHOW VERSION").empty());
    BOOST_CHECK_THROW(pg_exec(pg_connect(login + " dbname=pgbouncer"), "PAUSE"),
                      std::runtime_error);
    const std::string password = read_file(stack.env("MUSTER_STACK_DIR") + "/secrets/muster_stats");
    BOOST_CHECK_THROW(
        pg_value(pg_connect(login + " dbname=muster password=" + password.substr(0, 32)),
                 "SELECT 1"),
        std::runtime_error);
}

BOOST_AUTO_TEST_SUITE_END()
