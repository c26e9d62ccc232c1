// wire::Throttle: what becomes of a session's messages, by a clock of the test's own.
#include "wire/throttle.hpp"

#include <string>
#include <string_view>

#include <boost/test/unit_test.hpp>

#include "wire/bytes.hpp"

using namespace muster;
using namespace muster::wire;
using limit::Account;
using limit::Nanos;

namespace {

constexpr Nanos millisecond = 1'000'000;
constexpr Nanos second = 1000 * millisecond;

// Quotas without Redis: this process has all of them.
class Quotas {
  public:
    explicit Quotas(const config::WireLimits& limits)
        : limiter_(std::make_shared<limit::Limiter>(context_, config::Limits{}, config::Redis{},
                                                    registry_, 1, limits)) {}

    Account account(const std::string& user = "alice", const std::string& database = "main",
                    const char* address = "192.0.2.1") {
        return {limiter_, net::ip::make_address(address), user, database};
    }

  private:
    net::io_context context_;
    metrics::Registry registry_;
    std::shared_ptr<limit::Limiter> limiter_;
};

// 10 queries a second, `burst` of them at once.
config::WireLimits of_user(std::uint32_t burst) {
    config::WireLimits limits;
    limits.user = {10, burst};
    return limits;
}

// A session between a client and a server, neither of which is there.
class Played {
  public:
    explicit Played(Account account) {
        login();
        throttle.open(std::move(account));
    }
    Played() { login(); }

    // Sends messages of these types as far as they may go on; returns those that did.
    std::string send(std::string_view types) {
        std::string gone;
        for (const char type : types) {
            if (!throttle.may_begin(type, pipeline, now))
                break;
            if (pipeline.from_client(type))
                throttle.charge(now);
            gone += type;
        }
        return gone;
    }
    // The server sends messages of these types; behind Z stands the transaction status.
    void answer(std::string_view types) {
        for (std::size_t i = 0; i < types.size(); ++i) {
            const char status = types[i] == 'Z' ? types[i + 1] : '\0';
            pipeline.from_server(types[i], status, [](const Pipeline::End&) {});
            i += types[i] == 'Z';
        }
    }
    Throttle::Decision decide(Nanos most, bool patient = true) {
        return throttle.decide(pipeline, most, now, patient);
    }
    // What one more query would owe; nothing is charged.
    Nanos debt() {
        auto account = throttle.account();
        return account.pay(1, -1, now).debt;
    }

    Nanos now = 1000 * second;
    Pipeline pipeline;
    Throttle throttle;

  private:
    void login() { answer("RZI"); }
};

using What = Throttle::Decision;

}  // namespace

BOOST_AUTO_TEST_SUITE(wire_throttle)

BOOST_AUTO_TEST_CASE(without_limits_everything_passes_and_costs_nothing) {
    Played session;
    session.throttle.open({});
    BOOST_TEST(!session.throttle.in_force());
    for (int i = 0; i < 1000; ++i)
        BOOST_TEST(session.send("Q") == "Q");
}

BOOST_AUTO_TEST_CASE(a_query_beyond_the_burst_is_held_and_passes_when_the_debt_is_paid) {
    Quotas quotas(of_user(2));
    Played session(quotas.account());
    for (int i = 0; i < 2; ++i) {
        BOOST_TEST(session.send("Q") == "Q");
        session.answer("CZI");
    }
    BOOST_TEST(session.send("Q") == "");
    const auto decision = session.decide(second);
    BOOST_TEST(decision.what == What::let_pass);
    BOOST_TEST(decision.wait == 100 * millisecond);
    BOOST_TEST(decision.kind == Account::user);
    session.now += decision.wait;
    BOOST_TEST(session.send("Q") == "Q");
    session.answer("CZI");
    // It was paid for once.
    BOOST_TEST(session.debt() == 100 * millisecond);
    session.now += 99 * millisecond;
    BOOST_TEST(session.send("Q") == "");
    session.now += millisecond;
    BOOST_TEST(session.send("Q") == "Q");
}

BOOST_AUTO_TEST_CASE(what_would_wait_too_long_is_refused_and_not_charged) {
    Quotas quotas(of_user(1));
    Played session(quotas.account());
    BOOST_TEST(session.send("Q") == "Q");
    session.answer("CZI");
    for (int i = 0; i < 100; ++i) {
        BOOST_TEST(session.send("Q") == "");
        const auto decision = session.decide(99 * millisecond);
        BOOST_TEST(decision.what == What::refuse);
        BOOST_TEST(decision.wait == 100 * millisecond);
    }
    session.now += 100 * millisecond;
    BOOST_TEST(session.send("Q") == "Q");
}

BOOST_AUTO_TEST_CASE(a_pipeline_is_held_at_the_first_sequence_that_is_not_covered) {
    Quotas quotas(of_user(3));
    Played session(quotas.account());
    BOOST_TEST(session.send("QPBESQPBES") == "QPBESQ");
    BOOST_TEST(session.decide(second).what == What::await_answers);
    session.answer("CZI12CZI");
    BOOST_TEST(session.decide(second).what == What::await_answers);
    session.answer("CZI");
    BOOST_TEST(session.decide(second).what == What::let_pass);
    BOOST_TEST(session.send("PBES") == "PBES");
}

BOOST_AUTO_TEST_CASE(a_sequence_that_has_begun_goes_on_to_its_end_and_all_of_it_is_charged) {
    Quotas quotas(of_user(1));
    Played session(quotas.account());
    BOOST_TEST(session.send("PBEBEBEBES") == "PBEBEBEBES");
    BOOST_TEST(session.debt() == 400 * millisecond);
    session.answer("12C2C2C2CZI");
    BOOST_TEST(session.send("Q") == "");
    BOOST_TEST(session.decide(second).wait == 400 * millisecond);
}

BOOST_AUTO_TEST_CASE(inside_a_transaction_nothing_is_held_back_but_all_is_charged) {
    Quotas quotas(of_user(1));
    Played session(quotas.account());
    BOOST_TEST(session.send("Q") == "Q");
    session.answer("CZT");
    for (int i = 0; i < 4; ++i) {
        BOOST_TEST(session.send("Q") == "");
        const auto decision = session.decide(0);
        BOOST_TEST(decision.what == What::let_pass);
        BOOST_TEST(decision.wait == 0);
        BOOST_TEST(session.send("Q") == "Q");
        session.answer("CZT");
    }
    BOOST_TEST(session.send("P") == "");
    BOOST_TEST(session.decide(0).what == What::let_pass);
    BOOST_TEST(session.send("PBES") == "PBES");
    session.answer("12EZE");  // a failed one is one too
    BOOST_TEST(session.send("Q") == "");
    BOOST_TEST(session.decide(0).what == What::let_pass);
    BOOST_TEST(session.send("Q") == "Q");
    session.answer("CZI");
    BOOST_TEST(session.debt() == 700 * millisecond);
    BOOST_TEST(session.send("Q") == "");
    BOOST_TEST(session.decide(0).what == What::refuse);
}

BOOST_AUTO_TEST_CASE(what_may_be_a_transaction_is_waited_for) {
    Quotas quotas(of_user(1));
    Played session(quotas.account());
    BOOST_TEST(session.send("QQ") == "Q");  // BEGIN, for all that is known
    BOOST_TEST(session.pipeline.status() == 'I');
    BOOST_TEST(session.decide(0).what == What::await_answers);
    session.answer("CZT");
    BOOST_TEST(session.decide(0).what == What::let_pass);
}

BOOST_AUTO_TEST_CASE(copy_data_and_what_ends_a_session_are_never_held_back) {
    Quotas quotas(of_user(1));
    Played session(quotas.account());
    BOOST_TEST(session.send("Q") == "Q");
    session.answer("G");
    BOOST_TEST(session.send("ddddHSdc") == "ddddHSdc");
    session.answer("CZI");
    BOOST_TEST(session.send("Q") == "");
    BOOST_TEST(session.send("SHX") == "SHX");
}

BOOST_AUTO_TEST_CASE(a_client_that_is_held_may_be_asked_for_copy_data) {
    Quotas quotas(of_user(1));
    Played session(quotas.account());
    BOOST_TEST(session.send("QQ") == "Q");
    BOOST_TEST(session.decide(0).what == What::await_answers);
    session.answer("G");
    BOOST_TEST(session.decide(0).what == What::let_pass);
    BOOST_TEST(session.send("Qdc") == "Qdc");
}

BOOST_AUTO_TEST_CASE(a_token_asked_for_a_statement_without_a_query_serves_the_next) {
    Quotas quotas(of_user(2));
    Played session(quotas.account());
    for (int i = 0; i < 10; ++i) {
        BOOST_TEST(session.send("PDS") == "PDS");
        session.answer("1tTZI");
    }
    BOOST_TEST(session.send("BES") == "BES");
    session.answer("2CZI");
    BOOST_TEST(session.send("BES") == "BES");
    session.answer("2CZI");
    BOOST_TEST(session.send("PDS") == "");
}

BOOST_AUTO_TEST_CASE(what_the_server_discards_is_not_charged) {
    Quotas quotas(of_user(1));
    Played session(quotas.account());
    BOOST_TEST(session.send("PBE") == "PBE");
    session.answer("E");
    BOOST_TEST(session.send("BEBEBEQS") == "BEBEBEQS");
    BOOST_TEST(session.debt() == 100 * millisecond);
}

BOOST_AUTO_TEST_CASE(no_sequence_begins_before_the_login_has_ended) {
    Quotas quotas(of_user(2));
    Played session;
    BOOST_TEST(session.send("pp") == "pp");  // passwords, and what SASL says
    for (const char* type : {"Q", "P", "B", "E", "D", "C", "F"})
        BOOST_TEST(session.send(type) == "");
    BOOST_TEST(session.send("SHX") == "SHX");
    session.throttle.open(quotas.account());
    BOOST_TEST(session.send("QQQQQ") == "QQ");
    session.throttle.open(quotas.account());  // after a reload
    BOOST_TEST(session.send("Q") == "");
}

BOOST_AUTO_TEST_CASE(what_sets_a_session_in_order_is_known_by_its_first_word) {
    const auto query = [](std::string sql) {
        sql += '\0';
        std::string message = "Q";
        append_uint32(message, static_cast<std::uint32_t>(sql.size() + 4));
        return message + sql;
    };
    for (const char* sql :
         {"DISCARD ALL", "reset all; set session authorization default", "Set a = 1;",
          " /* pooler */ ROLLBACK", "DEALLOCATE ALL", "unlisten *", "close all", "ABORT"})
        BOOST_TEST(sets_in_order(query(sql)), sql);
    for (const char* sql : {"select 1", "", "settle", "\"set\"", "'set'", "; set a = 1", "begin"})
        BOOST_TEST(!sets_in_order(query(sql)), sql);
    BOOST_TEST(!sets_in_order("P\0\0\0\x0fset"));
    // Once the word is whole.
    const std::string whole = query("  discard all");
    for (std::size_t size = 0; size <= whole.size(); ++size)
        BOOST_TEST(sets_in_order(whole.substr(0, size)) == (size > 14), size);
    BOOST_TEST(sets_in_order(query("reset all") + query("select 1")));
}

BOOST_AUTO_TEST_CASE(the_connections_of_one_user_take_turns) {
    Quotas quotas(of_user(1));
    Played sessions[4] = {Played(quotas.account()), Played(quotas.account()),
                          Played(quotas.account()), Played(quotas.account())};
    BOOST_TEST(sessions[0].send("Q") == "Q");
    sessions[0].answer("CZI");
    for (int i = 0; i < 3; ++i) {
        auto& session = sessions[i];
        BOOST_TEST(session.send("Q") == "");
        BOOST_TEST(session.decide(300 * millisecond).wait == (i + 1) * 100 * millisecond);
    }
    BOOST_TEST(sessions[3].send("Q") == "");
    BOOST_TEST(sessions[3].decide(300 * millisecond).what == What::refuse);
}

BOOST_AUTO_TEST_CASE(each_bucket_is_charged_or_none) {
    config::WireLimits limits;
    limits.user = {10, 100};
    limits.database = {10, 2};
    limits.address = {10, 3};
    Quotas quotas(limits);
    Played alice(quotas.account("alice", "main"));
    BOOST_TEST(alice.send("Q") == "Q");
    alice.answer("CZI");
    BOOST_TEST(alice.send("Q") == "Q");
    alice.answer("CZI");
    BOOST_TEST(alice.send("Q") == "");
    BOOST_TEST(alice.decide(0).kind == Account::database);
    // Of the three the address has one left, for another database.
    Played other(quotas.account("alice", "other"));
    BOOST_TEST(other.send("Q") == "Q");
    other.answer("CZI");
    BOOST_TEST(other.send("Q") == "");
    BOOST_TEST(other.decide(0).kind == Account::address);
    Played elsewhere(quotas.account("alice", "other", "192.0.2.2"));
    BOOST_TEST(elsewhere.send("Q") == "Q");
    // What was refused has cost the user nothing: 96 of 100 are left.
    const auto pay = [&](int i) {
        const auto number = std::to_string(i);
        auto account = quotas.account("alice", number, ("198.51.100." + number).c_str());
        return account.pay(1, 0, alice.now);
    };
    for (int i = 0; i < 96; ++i)
        BOOST_TEST(pay(i).paid);
    BOOST_TEST(!pay(96).paid);
    BOOST_TEST(pay(96).kind == Account::user);
}

BOOST_AUTO_TEST_CASE(exceptions_by_name) {
    auto limits = of_user(1);
    limits.users["batch"].rate = 1;
    limits.users["admin"].rate = 0;
    limits.databases["reports"].rate = 1;
    Quotas quotas(limits);
    const auto wait = [&](const std::string& user, const std::string& database) {
        Played session(quotas.account(user, database));
        session.send("Q");
        session.answer("CZI");
        BOOST_TEST_CONTEXT(user << database) {
            if (session.send("Q") == "Q")
                return Nanos{0};
        }
        return session.decide(0).wait;
    };
    BOOST_TEST(wait("alice", "main") == 100 * millisecond);
    BOOST_TEST(wait("batch", "main") == second);
    BOOST_TEST(wait("admin", "main") == 0);
    BOOST_TEST(wait("admin", "reports") == second);
}

BOOST_AUTO_TEST_CASE(what_is_dropped_of_a_refused_sequence) {
    Throttle throttle;
    const auto sent = [&](std::string_view types) {
        std::string dropped;
        for (const char type : types) {
            if (throttle.dropping() && throttle.drops(type)) {
                throttle.dropped(type);
                dropped += type;
                BOOST_TEST(!throttle.drop_ends(false));  // its body is yet to come
                if (throttle.drop_ends(true))
                    dropped += '.';
            }
        }
        return dropped;
    };
    throttle.drop('Q');
    BOOST_TEST(throttle.answers_at_end());
    BOOST_TEST(sent("QQ") == "Q.");
    throttle.drop('F');
    BOOST_TEST(throttle.answers_at_end());
    BOOST_TEST(sent("FS") == "F.");
    throttle.drop('P');
    BOOST_TEST(!throttle.answers_at_end());
    BOOST_TEST(sent("PBEHdQcPBESQ") == "PBEHdQcPBES.");
    throttle.drop('B');
    BOOST_TEST(sent("BEX") == "BE");
    BOOST_TEST(!throttle.dropping());
}

BOOST_AUTO_TEST_CASE(an_answer_that_never_comes_is_not_awaited_for_ever) {
    Quotas quotas(of_user(1));
    Played session(quotas.account());
    BOOST_TEST(session.send("QQ") == "Q");
    BOOST_TEST(session.decide(second).what == What::await_answers);
    const auto decision = session.decide(50 * millisecond, false);
    BOOST_TEST(decision.what == What::let_pass);
    BOOST_TEST(decision.wait == 50 * millisecond);
    BOOST_TEST(session.send("Q") == "Q");
    BOOST_TEST(session.debt() == 200 * millisecond);
}

BOOST_AUTO_TEST_CASE(who_hides_what_is_outstanding_is_delayed) {
    Quotas quotas(of_user(1));
    Played session(quotas.account());
    BOOST_TEST(session.send("P").size() == 1U);
    const std::string many(70000, 'B');
    BOOST_TEST(session.send(many).size() == many.size());
    BOOST_TEST(session.send("ES") == "ES");
    BOOST_TEST(session.pipeline.overflowed());
    BOOST_TEST(session.send("Q") == "");
    const auto decision = session.decide(50 * millisecond);
    BOOST_TEST(decision.what == What::let_pass);
    BOOST_TEST(decision.wait == 50 * millisecond);
}

BOOST_AUTO_TEST_SUITE_END()
