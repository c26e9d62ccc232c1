// What the tests of the wire door's limits share: a door with limits, and clients that run into
// them.
#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include <boost/test/unit_test.hpp>

#include "harness/libpq.hpp"
#include "servers/postgres.hpp"
#include "wire/door.hpp"
#include "wire/quotas.hpp"

namespace muster::test {

using namespace std::chrono_literals;
using limit::Account;
using std::chrono::milliseconds;

inline PostgresServer& postgres() {
    static PostgresServer instance;
    return instance;
}

inline config::Wire straight() {
    config::Wire wire;
    wire.upstream = {"127.0.0.1", postgres().port()};
    return wire;
}

// A door with limits.
struct Limited {
    explicit Limited(const config::WireLimits& limits) : quotas(limits), door(straight()) {
        door.server().limit(quotas.limiter);
    }
    PgConnection connect(const std::string& rest = "user=postgres") const {
        return pg_connect(door.conninfo(rest));
    }
    wire::Stats::Limit counts(Account::Kind kind = Account::user) {
        return door.server().stats().limits[kind];
    }

    Quotas quotas;
    Door door;
};

inline config::WireLimits of_user(std::uint32_t rate, std::uint32_t burst, milliseconds max_delay) {
    config::WireLimits limits;
    limits.user = {rate, burst};
    limits.max_delay = max_delay;
    return limits;
}

inline PgResult simple(const PgConnection& session, const std::string& sql) {
    return PgResult(PQexec(session.get(), sql.c_str()));
}

inline PgResult extended(const PgConnection& session, const std::string& sql) {
    return PgResult(
        PQexecParams(session.get(), sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0));
}

inline std::string field(const PgResult& result, int code) {
    const char* text = PQresultErrorField(result.get(), code);
    return text == nullptr ? "" : text;
}

// The wait that a refusal tells, in milliseconds.
inline int told_wait(const PgResult& result) {
    const auto message = field(result, PG_DIAG_MESSAGE_PRIMARY);
    const auto at = message.find("retry in ");
    BOOST_REQUIRE_MESSAGE(at != std::string::npos, message);
    const int wait = std::atoi(message.c_str() + at + 9);
    BOOST_TEST(message.substr(at) == "retry in " + std::to_string(wait) + " ms");
    BOOST_TEST(field(result, PG_DIAG_MESSAGE_HINT).find(std::to_string(wait) + " ms") !=
               std::string::npos);
    return wait;
}

// Runs queries until one is refused; returns how many were not.
inline int until_refused(const PgConnection& session, int most = 1000) {
    for (int i = 0; i < most; ++i) {
        const auto result = simple(session, "select 1");
        if (sqlstate(result) == "53400")
            return i;
        BOOST_TEST(sqlstate(result) == "00000");
    }
    return most;
}

// Runs queries until one is refused, and returns what it was answered.
inline PgResult refused(const PgConnection& session) {
    for (;;) {
        auto result = simple(session, "select 1");
        if (sqlstate(result) != "00000")
            return result;
    }
}

// Runs it until it is not refused, waiting each time as it was told to.
inline PgResult insist(const PgConnection& session, const std::string& sql) {
    for (int i = 0; i < 100; ++i) {
        auto result = simple(session, sql);
        if (sqlstate(result) != "53400")
            return result;
        std::this_thread::sleep_for(milliseconds(told_wait(result)));
    }
    BOOST_FAIL("refused for ever: " << sql);
    return PgResult();
}

inline void wait_and_go_on(const PgConnection& session) {
    const auto result = insist(session, "select 'gone on'");
    BOOST_TEST(std::string(PQgetvalue(result.get(), 0, 0)) == "gone on");
}

}  // namespace muster::test
