// The stack's metrics, and what happens when its servers go away and come back.
#include <csignal>
#include <thread>

#include <sys/wait.h>

#include "end_to_end/support.hpp"

using namespace muster::test;
using namespace std::chrono_literals;

namespace {

Json ready(int status) {
    const auto answer = HttpClient(shared_stack().port("http")).request("GET", "/health/ready");
    if (answer.status != status)
        throw std::runtime_error(answer.body);
    return Json::parse(answer.body);
}

int readiness() {
    return HttpClient(shared_stack().port("http")).request("GET", "/health/ready").status;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(metrics)

BOOST_AUTO_TEST_CASE(every_query_is_timed_under_its_name) {
    const std::string count = "database_query_duration_seconds_count";
    const std::vector<std::string> listing{"query_name=\"list_agents\"", "status=\"success\""};
    const std::vector<std::string> failing{"query_name=\"create_goal\"", "status=\"error\""};
    const auto listed = std::max(0.0, sample(count, listing));
    const auto failed = std::max(0.0, sample(count, failing));
    // Each a page of its own, which no cache holds.
    for (int i = 0; i < 5; ++i)
        get("/agents/?offset=" + std::to_string(1000 + i));
    problem(shared_stack().http("POST", "/goals/",
                                R"({"agent_id":")" + nobody + R"(","goal_text":"x"})"),
            409);
    BOOST_TEST(sample(count, listing) == listed + 5);
    BOOST_TEST(sample(count, failing) == failed + 1);
    BOOST_TEST(sample("database_query_duration_seconds_sum", listing) > 0);
    BOOST_TEST(sample("database_query_duration_seconds_bucket",
                      {listing[0], listing[1], "le=\"+Inf\""}) == listed + 5);
    BOOST_TEST(admin("/metrics").header("content-type").find("text/plain") == 0u);
    // Names of routes are labels, paths never are.
    BOOST_TEST(admin("/metrics").body.find(nobody) == std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_wire_door_is_counted) {
    const auto before = sample("wire_queries_total");
    const auto connections = sample("wire_connections_total");
    {
        const auto session = pg_connect(shared_stack().env("MUSTER_WIRE_DSN"));
        for (int i = 0; i < 3; ++i)
            pg_exec(session, "select 1");
        BOOST_TEST(sample("wire_connections") == 1);
    }
    BOOST_TEST(sample("wire_queries_total") == before + 3);
    BOOST_TEST(sample("wire_connections_total") == connections + 1);
    wait_until("the session to be gone", [] { return sample("wire_connections") == 0; });
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(outage)

BOOST_AUTO_TEST_CASE(redis_may_go_and_nothing_is_lost) {
    auto& stack = shared_stack();
    stack.stop("redis");
    BOOST_TEST(ready(200)["redis"] == "down");
    const auto agent = make_agent(fresh_name("unheard"))["id"].text();
    stack.start();
    wait_until("Redis to be up again", [] { return ready(200)["redis"] == "up"; });
    // The change made meanwhile is in the stream, and the relay goes on behind it.
    auto subscriber = stack.subscriber();
    const auto later = make_agent(fresh_name("heard"))["id"].text();
    next_about(subscriber, later);
    const auto stream =
        stack.run({"env", "REDISCLI_AUTH=" + stack.env("MUSTER_REDIS_PASSWORD"), "redis-cli", "-h",
                   "127.0.0.1", "-p", stack.env("MUSTER_REDIS_PORT"), "--user",
                   stack.env("MUSTER_REDIS_USERNAME"), "xrange", "l01:events:stream", "-", "+"});
    BOOST_TEST(stream.find(agent) != std::string::npos);
    BOOST_TEST(stream.find(agent) < stream.find(later));
}

BOOST_AUTO_TEST_CASE(postgresql_goes_and_comes_back) {
    auto& stack = shared_stack();
    BOOST_TEST(ready(200)["status"] == "ready");
    stack.stop("postgres");
    wait_until("readiness to be denied", [] { return readiness() == 503; });
    const auto down = ready(503);
    BOOST_TEST(down["status"] == "not_ready");
    BOOST_TEST(down["database"] == "down");
    BOOST_TEST(stack.http("GET", "/health/live").status == 200);
    BOOST_TEST(admin("/metrics").status == 200);
    const auto refused = stack.http("GET", "/agents/");
    problem(refused, 503);
    BOOST_TEST(refused.header("retry-after") != "");

    stack.start();
    wait_until("readiness to return", [] { return readiness() == 200; });
    wait_until("requests to be served",
               [&] { return stack.http("GET", "/agents/").status == 200; });
    auto subscriber = stack.subscriber();
    const auto agent = make_agent(fresh_name("after"))["id"].text();
    next_about(subscriber, agent);
    BOOST_TEST(pg_value(pg_connect(stack.env("MUSTER_WIRE_DSN")), "select 1") == "1");
}

BOOST_AUTO_TEST_CASE(a_proxy_started_without_its_database_waits_for_it) {
    auto& stack = shared_stack();
    const auto command = stack.proxy_command();
    stack.stop("proxy");
    stack.stop("pgbouncer");
    stack.stop("postgres");
    const Sandbox sandbox;
    const auto log = sandbox.path() / "log";
    Process proxy(command, log, SIGTERM);
    wait_until("the proxy to listen", [&] {
        BOOST_REQUIRE(proxy.running());
        try {
            return readiness() != 0;
        } catch (const std::runtime_error&) {
            return false;
        }
    });
    BOOST_TEST(readiness() == 503);
    BOOST_TEST(ready(503)["status"] == "not_ready");
    problem(stack.http("GET", "/agents/"), 503);
    BOOST_TEST(pg_connect_error("host=127.0.0.1 dbname=muster user=muster_app port=" +
                                std::to_string(stack.port("wire")))
                   .find("could not connect to the upstream server") != std::string::npos);

    // deploy/stack would find the ports taken by a proxy that is not its own.
    stack.start_servers_only();
    wait_until("readiness to come", [] { return readiness() == 200; });
    BOOST_TEST(stack.http("GET", "/agents/").status == 200);
    proxy.signal(SIGTERM);
    const int status = proxy.wait();
    BOOST_TEST(WIFEXITED(status));
    BOOST_TEST(WEXITSTATUS(status) == 0);
    stack.start();
}

BOOST_AUTO_TEST_CASE(sigterm_lets_a_wire_session_finish_its_transaction) {
    auto& stack = shared_stack();
    const auto session = pg_connect(stack.env("MUSTER_WIRE_DSN"));
    pg_exec(session, "begin");
    BOOST_REQUIRE(PQsendQuery(session.get(), "select 'finished' from pg_sleep(1)") == 1);
    std::thread stopping([&] { stack.stop("proxy"); });
    {
        const PgResult result(PQgetResult(session.get()));
        BOOST_TEST(PQgetvalue(result.get(), 0, 0) == std::string("finished"));
        BOOST_TEST(PQgetResult(session.get()) == nullptr);
    }
    pg_exec(session, "commit");
    stopping.join();
    const PgResult late(PQexec(session.get(), "select 1"));
    BOOST_TEST(PQstatus(session.get()) == CONNECTION_BAD);
    stack.start();
    BOOST_TEST(readiness() == 200);
}

BOOST_AUTO_TEST_SUITE_END()
