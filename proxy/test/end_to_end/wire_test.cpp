// The wire door of the whole stack, with the programs that people use.
#include <csignal>
#include <cstdio>

#include "end_to_end/support.hpp"

using namespace muster::test;

namespace {

// The words of an URI as psql's and pgbench's environment, since pgbench takes no URI on 15.
std::vector<std::string> with_password(const Stack& stack) {
    const auto& dsn = stack.env("MUSTER_WIRE_DSN");
    const auto colon = dsn.find(':', dsn.find("//"));
    return {"env", "PGPASSWORD=" + dsn.substr(colon + 1, dsn.find('@') - colon - 1)};
}

std::string active(const std::string& mark) {
    return pg_value(pg_connect(shared_stack().env("MUSTER_POSTGRES_DSN")),
                    "select count(*) from pg_stat_activity where state = 'active' and query like "
                    "'%pg_sleep%" +
                        mark + "'");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(wire)

BOOST_AUTO_TEST_CASE(psql_reads_and_writes) {
    auto& stack = shared_stack();
    const auto name = fresh_name("from-psql");
    const auto output =
        stack.run({"psql", "-XAtq", "-d", stack.env("MUSTER_WIRE_DSN"), "-c",
                   "select muster.create_agent('{\"name\":\"" + name + "\"}')", "-c",
                   "select count(*) from agents where name = '" + name + "'"});
    const auto line = output.find('\n');
    BOOST_TEST(Json::parse(output.substr(0, line))["name"] == name);
    BOOST_TEST(output.substr(line + 1) == "1\n");
}

BOOST_AUTO_TEST_CASE(pgbench_simple_and_extended) {
    auto& stack = shared_stack();
    const auto owner = stack.env("MUSTER_POSTGRES_DSN");
    stack.run({"env",
               "PGPASSWORD=" + owner.substr(owner.find("postgres:") + 9,
                                            owner.find('@') - owner.find("postgres:") - 9),
               "pgbench", "-i", "-q", "-h", "127.0.0.1", "-p",
               std::to_string(stack.port("postgres")), "-U", "postgres", "muster"});
    pg_exec(pg_connect(owner),
            "grant all on pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers to "
            "muster_app");
    for (const std::string mode : {"simple", "extended"}) {
        auto command = with_password(stack);
        for (const auto& word :
             {std::string("pgbench"), std::string("-n"), std::string("-M"), mode, std::string("-c"),
              std::string("8"), std::string("-j"), std::string("2"), std::string("-t"),
              std::string("50"), std::string("-h"), std::string("127.0.0.1"), std::string("-p"),
              std::to_string(stack.port("wire")), std::string("-U"), std::string("muster_app"),
              std::string("muster")})
            command.push_back(word);
        const auto output = stack.run(command);
        BOOST_TEST(output.find("processed: 400/400") != std::string::npos, output);
    }
    BOOST_TEST(pg_value(pg_connect(owner), "select count(*) from pgbench_history") == "800");
    pg_exec(pg_connect(owner),
            "drop table pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers");
}

BOOST_AUTO_TEST_CASE(ctrl_c_in_psql_cancels_the_query) {
    auto& stack = shared_stack();
    const Sandbox sandbox;
    const auto log = sandbox.path() / "psql.log";
    // VERBOSITY sqlstate prints the code only; psql goes on with the second command.
    Process psql(
        {"psql", "-X", "-At", "-v", "VERBOSITY=sqlstate", "-d", stack.env("MUSTER_WIRE_DSN"), "-c",
         "select pg_sleep(60) as ctrl_c", "-c", "select 'and on'"},
        log, SIGKILL);
    wait_until("psql's query to run", [] { return active("ctrl_c") == "1"; });
    psql.signal(SIGINT);
    psql.wait();
    BOOST_TEST(read_file(log).find("57014") != std::string::npos, read_file(log));
    BOOST_TEST(active("ctrl_c") == "0");
}

BOOST_AUTO_TEST_CASE(a_key_of_the_api_is_no_password_here) {
    auto& stack = shared_stack();
    const auto said = pg_connect_error(
        "host=127.0.0.1 dbname=muster user=muster_app port=" + std::to_string(stack.port("wire")) +
        " password=" + stack.env("MUSTER_API_KEY"));
    BOOST_TEST(said.find("authentication failed") != std::string::npos, said);
}

BOOST_AUTO_TEST_SUITE_END()
