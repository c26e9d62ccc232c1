// The wire door's limits between real clients and a real server: what is delayed, what is refused
// and how, and that a session goes on afterwards.
#include <thread>
#include <vector>

#include "servers/pgbouncer.hpp"
#include "wire/bytes.hpp"
#include "wire/limited.hpp"

using namespace muster;
using namespace muster::test;

namespace {

// The messages of the server up to the `count`th ReadyForQuery, each as its type and body.
std::vector<std::string> replies(RawClient& client, int count) {
    std::vector<std::string> all;
    while (count > 0) {
        const auto header = client.receive(5);
        if (header.size() < 5)
            break;
        all.push_back(header[0] + client.receive(wire::read_uint32(header.data() + 1) - 4));
        count -= header[0] == 'Z';
    }
    return all;
}

std::string types(const std::vector<std::string>& messages) {
    std::string types;
    for (const auto& one : messages) {
        types += one[0];
        if (one[0] == 'Z')
            types += one[1];
    }
    return types;
}

RawClient logged_in(const Door& door) {
    RawClient client(door.port());
    client.send(startup_message("postgres", "postgres"));
    const auto welcome = replies(client, 1);
    BOOST_REQUIRE(!welcome.empty());
    BOOST_REQUIRE(welcome.back() == "ZI");
    return client;
}

std::string query(const std::string& sql) {
    return message('Q', sql + '\0');
}

// Parse, Bind, Execute and, if it is to end there, Sync.
std::string sequence(const std::string& sql, bool sync = true) {
    using namespace std::string_literals;
    return message('P', "\0"s + sql + "\0\0\0"s) + message('B', "\0\0\0\0\0\0\0\0"s) +
           message('E', "\0\0\0\0\0"s) + (sync ? message('S') : "");
}

// Sixty queries that cannot be stopped: at one a second, whatever follows is refused, and be the
// test itself kept waiting.
std::string sixty_queries() {
    std::string all;
    for (int i = 0; i < 60; ++i)
        all += sequence("select 1", false);
    return all + message('S');
}

RawClient in_debt(const Door& door) {
    auto client = logged_in(door);
    client.send(sixty_queries());
    replies(client, 1);
    return client;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(wire_limits)

BOOST_AUTO_TEST_CASE(a_client_above_its_quota_is_delayed_to_it) {
    Limited limited(of_user(40, 2, 60s));
    const auto session = limited.connect();
    const auto begun = Clock::now();
    for (int i = 0; i < 5; ++i) {
        BOOST_TEST(sqlstate(simple(session, "select 1")) == "00000");
        BOOST_TEST(sqlstate(extended(session, "select 1")) == "00000");
    }
    // Eight beyond the burst, each 25 ms after the other.
    BOOST_TEST((Clock::now() - begun >= 200ms));
    const auto counts = limited.counts();
    BOOST_TEST(counts.admitted == 10U);
    BOOST_TEST(counts.delayed >= 1U);
    BOOST_TEST(counts.refused == 0U);
    BOOST_TEST(limited.door.server().stats().delay > 0U);
}

BOOST_AUTO_TEST_CASE(without_limits_nothing_is_counted_or_delayed) {
    Limited limited(config::WireLimits{});
    const auto session = limited.connect();
    BOOST_TEST(until_refused(session, 500) == 500);
    BOOST_TEST(limited.counts().admitted == 0U);
}

BOOST_AUTO_TEST_CASE(past_the_longest_delay_a_query_is_refused_and_the_session_goes_on) {
    Limited limited(of_user(4, 3, 0ms));
    const auto session = limited.connect();
    {
        const auto result = refused(session);
        BOOST_TEST(sqlstate(result) == "53400");
        BOOST_TEST(field(result, PG_DIAG_SEVERITY_NONLOCALIZED) == "ERROR");
        BOOST_TEST(told_wait(result) > 0);
        BOOST_TEST(PQtransactionStatus(session.get()) == PQTRANS_IDLE);
    }
    wait_and_go_on(session);
    // In the extended protocol, and of each kind of message that may begin a sequence.
    BOOST_TEST(until_refused(session) >= 0);
    const char* value = "1";
    bool bind_refused = false;
    PgResult(PQprepare(session.get(), "twice", "select $1::int * 2", 1, nullptr));
    for (int i = 0; i < 100 && !bind_refused; ++i) {
        const PgResult prepared(PQprepare(session.get(), "", "select 1", 0, nullptr));
        const PgResult described(PQdescribePrepared(session.get(), "twice"));
        const PgResult executed(
            PQexecPrepared(session.get(), "twice", 1, &value, nullptr, nullptr, 0));
        bind_refused = sqlstate(executed) == "53400";
    }
    BOOST_TEST(bind_refused);
    wait_and_go_on(session);
    BOOST_TEST(limited.counts().refused >= 3U);
    BOOST_TEST(limited.counts().delayed == 0U);
}

BOOST_AUTO_TEST_CASE(a_refused_begin_has_begun_nothing) {
    Limited limited(of_user(1, 1, 0ms));
    auto client = in_debt(limited.door);
    client.send(query("begin; create table never (); select 1"));
    const auto refused = replies(client, 1);
    BOOST_TEST(types(refused) == "EZI");
    BOOST_TEST(refused.front().find("C53400") != std::string::npos);
    BOOST_TEST(refused.front().find("retry in ") != std::string::npos);
    BOOST_TEST(postgres().psql("select to_regclass('never') is null").substr(0, 1) == "t");
}

BOOST_AUTO_TEST_CASE(inside_a_transaction_nothing_is_refused) {
    Limited limited(of_user(1, 1, 0ms));
    const auto session = limited.connect();
    pg_exec(session, "begin");
    for (int i = 0; i < 20; ++i) {
        BOOST_TEST(sqlstate(simple(session, "select 1")) == "00000");
        BOOST_TEST(sqlstate(extended(session, "select 1")) == "00000");
    }
    BOOST_TEST(sqlstate(simple(session, "select 1/0")) == "22012");
    BOOST_TEST(sqlstate(simple(session, "select 1")) == "25P02");
    BOOST_TEST(sqlstate(simple(session, "rollback")) == "00000");
    // All of that was charged.
    const auto refused = simple(session, "select 1");
    BOOST_TEST(sqlstate(refused) == "53400");
    BOOST_TEST(told_wait(refused) > 20000);
    BOOST_TEST(limited.counts().admitted == 44U);
}

BOOST_AUTO_TEST_CASE(a_pipelined_begin_is_waited_for) {
    Limited limited(of_user(1, 1, 0ms));
    auto client = logged_in(limited.door);
    client.send(query("begin") + query("select 1") + sequence("select 2") + sixty_queries() +
                query("commit") + query("select 3") + sequence("select 4"));
    BOOST_TEST(types(replies(client, 3)) == "CZTTDCZT12DCZT");
    const auto sixty = types(replies(client, 1));
    BOOST_TEST(sixty.substr(sixty.size() - 2) == "ZT");
    BOOST_TEST(types(replies(client, 3)) == "CZIEZIEZI");
}

BOOST_AUTO_TEST_CASE(a_pipeline_gets_an_answer_for_each_of_its_sequences) {
    Limited limited(of_user(1, 3, 0ms));
    const auto session = limited.connect();
    BOOST_REQUIRE(PQenterPipelineMode(session.get()) == 1);
    for (int i = 0; i < 50; ++i) {
        BOOST_REQUIRE(PQsendQueryParams(session.get(), "select 1", 0, nullptr, nullptr, nullptr,
                                        nullptr, 0) == 1);
        BOOST_REQUIRE(PQpipelineSync(session.get()) == 1);
    }
    int done = 0, refused = 0;
    for (int i = 0; i < 50; ++i) {
        const PgResult result(PQgetResult(session.get()));
        (sqlstate(result) == "53400" ? refused : done) += 1;
        BOOST_REQUIRE(PQgetResult(session.get()) == nullptr);
        const PgResult sync(PQgetResult(session.get()));
        BOOST_REQUIRE(PQresultStatus(sync.get()) == PGRES_PIPELINE_SYNC);
    }
    BOOST_TEST(done >= 3);
    BOOST_TEST(refused >= 1);
    BOOST_TEST(PQexitPipelineMode(session.get()) == 1);
}

BOOST_AUTO_TEST_CASE(a_long_sequence_is_charged_whole) {
    Limited limited(of_user(1, 1, 0ms));
    auto client = logged_in(limited.door);
    std::string many;
    for (int i = 0; i < 30; ++i)
        many += sequence("select 1", false);
    client.send(many + message('S') + query("select 2"));
    const auto all = replies(client, 2);
    BOOST_TEST(types(all).substr(0, 4) == "12DC");
    BOOST_TEST(types(all).substr(30 * 4) == "ZIEZI");
    const auto at = all[all.size() - 2].find("retry in ");
    BOOST_REQUIRE(at != std::string::npos);
    BOOST_TEST(std::atoi(all[all.size() - 2].c_str() + at + 9) > 20000);
}

BOOST_AUTO_TEST_CASE(the_error_of_an_extended_sequence_does_not_wait_for_its_sync) {
    Limited limited(of_user(1, 1, 0ms));
    auto client = in_debt(limited.door);
    client.send(sequence("select 1", false));
    const auto header = client.receive(5);
    BOOST_TEST(header[0] == 'E');
    client.receive(wire::read_uint32(header.data() + 1) - 4);
    // Whatever comes before the Sync is passed over, a Query too.
    client.send(message('H') + query("select 2") + sequence("select 3"));
    BOOST_TEST(types(replies(client, 1)) == "ZI");
    client.send(message('S'));
    BOOST_TEST(types(replies(client, 1)) == "ZI");
    // And whoever leaves without one has left.
    client.send(sequence("select 1", false) + message('X'));
    client.receive_all();
    limited.door.wait_until_empty();
}

BOOST_AUTO_TEST_CASE(large_messages_are_passed_over_whole) {
    Limited limited(of_user(1, 1, 0ms));
    const std::string large(3 << 20, 'x');
    auto client = in_debt(limited.door);
    for (int i = 0; i < 3; ++i) {
        client.send(query("select '" + large + "'"));
        BOOST_TEST(types(replies(client, 1)) == "EZI");
        client.send(sequence("select '" + large + "'"));
        BOOST_TEST(types(replies(client, 1)) == "EZI");
    }
    // However it is cut.
    const auto small = query("select 1") + sequence("select 2");
    for (const char byte : small)
        client.send({&byte, 1});
    BOOST_TEST(types(replies(client, 2)) == "EZIEZI");
}

BOOST_AUTO_TEST_CASE(refusals_wait_for_a_client_that_does_not_read) {
    Limited limited(of_user(1, 1, 0ms));
    auto client = logged_in(limited.door);
    client.send(query("select repeat('x', 20000000)"));
    constexpr int count = 2000;
    std::string many;
    for (int i = 0; i < count; ++i)
        many += query("select 1");
    std::thread sender([&] { client.send(many); });
    const auto first = types(replies(client, 1));
    BOOST_TEST(first == "TDCZI");
    const auto all = replies(client, count);
    sender.join();
    int answered = 0;
    for (const auto& one : all)
        answered += one == "ZI";
    BOOST_TEST(answered == count);
    BOOST_TEST(limited.counts().refused >= 1000U);
}

BOOST_AUTO_TEST_CASE(copy_and_function_calls) {
    Limited limited(of_user(1, 1, 0ms));
    const auto session = limited.connect();
    pg_exec(session, "begin");
    pg_exec(session, "create temp table copied (n int)");
    const auto begun = simple(session, "copy copied from stdin");
    BOOST_REQUIRE(PQresultStatus(begun.get()) == PGRES_COPY_IN);
    for (int i = 0; i < 1000; ++i)
        BOOST_REQUIRE(PQputCopyData(session.get(), "1\n", 2) == 1);
    BOOST_REQUIRE(PQputCopyEnd(session.get(), nullptr) == 1);
    const PgResult ended(PQgetResult(session.get()));
    BOOST_TEST(std::string(PQcmdTuples(ended.get())) == "1000");
    BOOST_TEST(PQgetResult(session.get()) == nullptr);
    for (int i = 0; i < 60; ++i)
        pg_exec(session, "select 1");
    pg_exec(session, "commit");
    BOOST_TEST(sqlstate(simple(session, "copy pg_class to stdout")) == "53400");
    int length = 0, value = 0;
    constexpr Oid pg_backend_pid = 2026;
    const PgResult called(PQfn(session.get(), pg_backend_pid, &value, &length, 1, nullptr, 0));
    BOOST_TEST(sqlstate(called) == "53400");
    BOOST_TEST(PQtransactionStatus(session.get()) == PQTRANS_IDLE);
}

// However fast they ask, and however many connections they ask on.
BOOST_AUTO_TEST_CASE(ever_busy_connections_get_their_users_quota) {
    constexpr int rate = 100, burst = 10, each = 40;
    Limited limited(of_user(rate, burst, 60s));
    std::vector<RawClient> clients;
    for (int i = 0; i < 4; ++i)
        clients.push_back(logged_in(limited.door));
    const auto begun = Clock::now();
    std::vector<std::string> answers(clients.size());
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < clients.size(); ++i)
        threads.emplace_back([&, i] {
            // There is always something outstanding, and something more to be read.
            std::string all;
            for (int n = 0; n < each; ++n)
                all += i % 2 == 0 ? query("select 1") : sequence("select 1");
            clients[i].send(all);
            answers[i] = types(replies(clients[i], each));
        });
    for (auto& thread : threads)
        thread.join();
    for (const auto& one : answers)
        BOOST_TEST(one.find('E') == std::string::npos, one);
    BOOST_TEST((Clock::now() - begun >= 1s * (4 * each - burst) / rate));
    BOOST_TEST(limited.counts().refused == 0U);
}

// What is sent together with the startup message is answered as if the client had waited.
BOOST_AUTO_TEST_CASE(coming_again_and_not_waiting_for_the_login_helps_nobody) {
    constexpr int each = 10, burst = 20;
    Limited limited(of_user(1, burst, 0ms));
    const auto begun = Clock::now();
    int run = 0, refusals = 0;
    for (int round = 0; round < 20; ++round) {
        RawClient client(limited.door.port());
        std::string all = startup_message("postgres", "postgres");
        for (int i = 0; i < each; ++i)
            all += query("select 1");
        client.send(all);
        for (const auto& answer : replies(client, each + 1)) {
            run += answer.find("SELECT 1") != std::string::npos;
            refusals += error_state(answer) == "53400";
        }
    }
    BOOST_TEST(run >= burst);
    BOOST_TEST(run <= burst + (Clock::now() - begun) / 1s + 1);
    BOOST_TEST(run + refusals == 20 * each);
    const auto session = limited.connect();
    const auto refused = simple(session, "select 1");
    BOOST_TEST(sqlstate(refused) == "53400");
}

// pgbouncer takes an error of its DISCARD ALL for success.
BOOST_AUTO_TEST_CASE(a_pooler_that_is_above_the_quota_still_cleans_up_behind_a_client) {
    Limited limited(of_user(2, 4, 0ms));
    const Pgbouncer pooler(limited.door.port(),
                           "auth_type = trust\npool_mode = session\ndefault_pool_size = 1\n");
    const auto connect = [&] {
        return pg_connect("host=127.0.0.1 dbname=postgres user=postgres port=" +
                          std::to_string(pooler.port()));
    };
    for (int round = 0; round < 3; ++round) {
        const auto session = connect();
        const auto found = insist(session, "show statement_timeout");
        BOOST_TEST(std::string(PQgetvalue(found.get(), 0, 0)) == "0");
        insist(session, "set statement_timeout = 77777");
        BOOST_TEST(until_refused(session) < 1000);
    }
    BOOST_TEST(limited.counts().delayed >= 1U);
}

// A client that is not let in has nothing run of what it sent with its startup message.
BOOST_AUTO_TEST_CASE(what_is_sent_with_a_login_that_fails_is_not_run) {
    config::WireLimits limits;
    limits.user_connections = 1;
    Limited limited(limits);
    const auto first = limited.connect();
    simple(first, "create table sent_early (n int)");
    RawClient client(limited.door.port());
    client.send(startup_message("postgres", "postgres") +
                query("insert into sent_early values (1)"));
    BOOST_TEST(error_state(client.receive_all()) == "53300");
    RawClient nobody(limited.door.port());
    nobody.send(startup_message("nobody_has_this_name", "postgres") + query("select 1"));
    BOOST_TEST(error_state(nobody.receive_all()) == "28000");
    const auto count = simple(first, "select count(*) from sent_early");
    BOOST_TEST(std::string(PQgetvalue(count.get(), 0, 0)) == "0");
    simple(first, "drop table sent_early");
}

BOOST_AUTO_TEST_CASE(who_is_being_delayed_is_sent_home_when_the_door_closes) {
    Limited limited(of_user(1, 1, 60s));
    auto client = logged_in(limited.door);
    std::string many;
    for (int i = 0; i < 30; ++i)
        many += query("select 1");
    client.send(many);
    replies(client, 1);
    limited.door.server().stop(Clock::now() + 60s);
    const auto said = client.receive_all();
    BOOST_TEST(error_state(said) == "57P01");
}

BOOST_AUTO_TEST_CASE(a_delayed_client_that_has_gone_is_let_go) {
    Limited limited(of_user(10, 1, 60s));
    {
        auto client = logged_in(limited.door);
        client.send(query("select 1") + query("select 2") + query("select 3"));
        replies(client, 1);
        client.reset();
    }
    limited.door.wait_until_empty();
}

BOOST_AUTO_TEST_SUITE_END()
