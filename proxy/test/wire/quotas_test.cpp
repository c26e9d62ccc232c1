// Whom the wire door's limits apply to: addresses, users and databases, their connections, and
// several proxies at once.
#include <thread>
#include <vector>

#include "limit/window.hpp"
#include "servers/redis.hpp"
#include "wire/limited.hpp"

using namespace muster;
using namespace muster::test;

namespace {

// Asks for a while on one door; when each query was admitted.
void ask(const Door& door, TimePoint until, std::vector<Admitted>& admitted) {
    const auto session = pg_connect(door.conninfo("user=postgres"));
    while (Clock::now() < until) {
        const auto before = limit::nanos(Clock::now());
        if (sqlstate(simple(session, "select 1")) == "00000")
            admitted.push_back({before, limit::nanos(Clock::now())});
    }
}

double excess_of(const Door& one, const Door& other, int rate) {
    std::vector<std::vector<Admitted>> parts(4);
    std::vector<std::thread> threads;
    const auto until = Clock::now() + 2s;
    for (std::size_t i = 0; i < parts.size(); ++i)
        threads.emplace_back([&, i] { ask(i % 2 == 0 ? one : other, until, parts[i]); });
    for (auto& thread : threads)
        thread.join();
    std::vector<Admitted> all;
    for (const auto& part : parts)
        all.insert(all.end(), part.begin(), part.end());
    BOOST_TEST(!all.empty());
    return excess(all, rate);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(wire_quotas)

BOOST_AUTO_TEST_CASE(each_user_database_and_address_by_itself) {
    postgres().psql("create database other");
    auto limits = of_user(1, 3, 0ms);
    limits.users["locked"] = {1, 1, {}};
    limits.databases["other"] = {1, 2, {}};
    Limited limited(limits);
    const auto wanted = [&](const std::string& rest) {
        return until_refused(limited.connect(rest));
    };
    BOOST_TEST(wanted("user=postgres dbname=other") >= 2);
    BOOST_TEST(limited.counts(Account::database).refused == 1U);
    BOOST_TEST(wanted("user=locked password=secret dbname=postgres") >= 1);
    BOOST_TEST(limited.counts(Account::user).refused == 1U);
    BOOST_TEST(wanted("user=postgres dbname=postgres") >= 1);

    config::WireLimits by_address;
    by_address.address = {1, 2};
    by_address.max_delay = 0ms;
    Limited other(by_address);
    for (const char* user : {"user=postgres", "user=locked password=secret dbname=postgres"}) {
        const auto why = field(refused(other.connect(user)), PG_DIAG_MESSAGE_PRIMARY);
        BOOST_TEST(why.find("too many queries from this address, retry in ") == 0U, why);
    }
    BOOST_TEST(other.counts(Account::address).refused == 2U);
}

BOOST_AUTO_TEST_CASE(an_address_is_the_one_that_the_load_balancer_tells) {
    config::WireLimits limits;
    limits.address = {1, 1};
    limits.max_delay = 0ms;
    Quotas quotas(limits);
    auto wire = straight();
    wire.proxy_protocol = config::parse_networks("127.0.0.1").value();
    Door door(wire);
    door.server().limit(quotas.limiter);
    // What three queries of a client of this address are answered: "53400" in place of what is
    // refused.
    const auto answers = [&](const std::string& address) {
        RawClient client(door.port());
        std::string all = "PROXY TCP4 " + address + " 198.51.100.1 56324 6433\r\n" +
                          startup_message("postgres", "postgres");
        for (int i = 0; i < 3; ++i)
            all += message('Q', std::string("select 'passed'\0", 16));
        client.send(all + message('X'));
        std::vector<bool> passed;
        const auto bytes = client.receive_all();
        for (std::size_t at = 0; (at = bytes.find_first_of("Cp", at)) != std::string::npos; ++at) {
            if (bytes.compare(at, 6, "passed") == 0)
                passed.push_back(true);
            else if (bytes.compare(at, 6, "C53400") == 0)
                passed.push_back(false);
        }
        BOOST_TEST_REQUIRE(passed.size() == 3U);
        return passed;
    };
    for (const char* address : {"203.0.113.9", "203.0.113.10", "203.0.113.11"}) {
        const auto passed = answers(address);
        BOOST_TEST(passed[0]);
        BOOST_TEST((!passed[1] || !passed[2]));
    }
}

BOOST_AUTO_TEST_CASE(connections_of_an_address) {
    config::WireLimits limits;
    limits.address_connections = 2;
    Limited limited(limits);
    const auto first = limited.connect();
    {
        // It counts before it has logged in.
        RawClient second(limited.door.port());
        second.send(startup_message("locked", "postgres"));
        BOOST_TEST(second.receive(1) == "R");
        RawClient third(limited.door.port());
        third.send(startup_message("postgres", "postgres"));
        const auto said = third.receive_all();
        BOOST_TEST(said[0] == 'E');
        BOOST_TEST(error_state(said) == "53300");
    }
    wait_until("a place to be free",
               [&] { return limited.door.server().stats().sockets_now == 1; });
    const auto second = limited.connect();
    BOOST_TEST(pg_value(second, "select 1") == "1");
    BOOST_TEST(limited.counts(Account::address).refused_connections == 1U);
}

BOOST_AUTO_TEST_CASE(connections_of_a_user_count_once_it_is_known_to_be_that) {
    config::WireLimits limits;
    limits.user_connections = 1;
    limits.users["postgres"].connections = 2;
    Limited limited(limits);
    const std::string locked = "user=locked password=secret dbname=postgres";
    // Whoever only says to be a user takes no place of his.
    RawClient impostor(limited.door.port());
    impostor.send(startup_message("locked", "postgres"));
    BOOST_TEST(impostor.receive(1) == "R");
    {
        const auto session = limited.connect(locked);
        BOOST_TEST(pg_value(session, "select 1") == "1");
        const PgConnection second(PQconnectdb(limited.door.conninfo(locked).c_str()));
        BOOST_TEST(PQstatus(second.get()) == CONNECTION_BAD);
        const std::string why = PQerrorMessage(second.get());
        BOOST_TEST(why.find("FATAL:  too many connections for this user") != std::string::npos,
                   why);
        BOOST_TEST(pg_value(session, "select 2") == "2");
        BOOST_TEST(pg_value(limited.connect(), "select 3") == "3");
    }
    impostor.close();
    limited.door.wait_until_empty();
    BOOST_TEST(pg_value(limited.connect(locked), "select 4") == "4");
    BOOST_TEST(limited.counts().refused_connections == 1U);
    const auto one = limited.connect(), two = limited.connect();
    RawClient third(limited.door.port());
    third.send(startup_message("postgres", "postgres"));
    BOOST_TEST(error_state(third.receive_all()) == "53300");
}

BOOST_AUTO_TEST_CASE(other_limits_apply_to_sessions_that_are_open) {
    Limited limited(config::WireLimits{});
    const auto session = limited.connect();
    BOOST_TEST(until_refused(session, 20) == 20);
    Quotas narrow(of_user(1, 1, 0ms));
    limited.door.server().limit(narrow.limiter);
    BOOST_TEST(until_refused(session, 100000) < 100000);
    limited.door.server().limit(limited.quotas.limiter);
    wait_and_go_on(session);
    BOOST_TEST(until_refused(session, 20) == 20);
    limited.door.server().limit(limited.quotas.limiter);
}

BOOST_AUTO_TEST_CASE(two_proxies_share_a_users_quota_and_make_do_without_redis) {
    constexpr int rate = 200, burst = 40, lease = 10;
    auto limits = of_user(rate, burst, 0ms);
    limits.database = {rate, burst};
    RedisServer redis;
    Quotas first(limits, redis.tcp(), true), second(limits, redis.tcp(), true);
    Door one(straight()), other(straight());
    one.server().limit(first.limiter);
    other.server().limit(second.limiter);
    wait_until("the proxies to know each other", [&] {
        return first.limiter->shared() && second.limiter->shared() &&
               first.limiter->proxies() == 2 && second.limiter->proxies() == 2;
    });
    // What passed while a proxy waited for its first answer is the debt that is allowed.
    BOOST_TEST(excess_of(one, other, rate) <= burst + 2 * 2 * lease);
    BOOST_TEST(redis.cli({"exists", "muster:limit:wire-user:postgres"}).substr(0, 1) == "1");
    BOOST_TEST(redis.cli({"exists", "muster:limit:wire-database:postgres"}).substr(0, 1) == "1");
    BOOST_TEST(redis.cli({"keys", "muster:limit:*address*"}).find("muster") == std::string::npos);

    redis.kill();
    wait_until("Redis to be missed",
               [&] { return !first.limiter->shared() && !second.limiter->shared(); });
    BOOST_TEST(excess_of(one, other, rate) <= burst + 2 * 2 * lease);
    // It is not closed either.
    wait_and_go_on(pg_connect(one.conninfo("user=postgres")));
}

BOOST_AUTO_TEST_SUITE_END()
