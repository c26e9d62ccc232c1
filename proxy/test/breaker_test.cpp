// The circuit breaker's states, at times that the test makes up.
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "breaker/breaker.hpp"

using namespace muster;
using namespace std::chrono_literals;
using breaker::Breaker;
using breaker::State;

namespace {

constexpr Breaker::Options options{3, 500ms, 1000ms};

TimePoint at(std::chrono::milliseconds time) {
    return TimePoint() + 1h + time;
}

// A breaker that was opened at 0.
struct Opened {
    Breaker breaker{options};
    Opened() {
        for (int i = 0; i < 3; ++i)
            breaker.failed(breaker.admit(at(0ms)).value(), at(0ms));
        BOOST_REQUIRE((breaker.state() == State::open));
    }
};

// How many of `calls` pass at one time.
int passing(Breaker& breaker, int calls, TimePoint now) {
    int passed = 0;
    for (int i = 0; i < calls; ++i)
        passed += breaker.admit(now) ? 1 : 0;
    return passed;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(circuit_breaker)

BOOST_AUTO_TEST_CASE(failures_in_a_row_open_it) {
    Breaker breaker(options);
    const auto fail = [&] { breaker.failed(breaker.admit(at(0ms)).value(), at(0ms)); };
    fail();
    fail();
    breaker.succeeded(breaker.admit(at(0ms)).value(), at(0ms));
    fail();
    fail();
    BOOST_TEST((breaker.state() == State::closed));
    BOOST_TEST(!breaker.refuses());
    fail();
    BOOST_TEST((breaker.state() == State::open));
    BOOST_TEST(breaker.refuses());
    BOOST_TEST(breaker.opened() == 1U);
    BOOST_TEST(passing(breaker, 10, at(499ms)) == 0);
    BOOST_TEST(breaker.refused() == 10U);
}

BOOST_AUTO_TEST_CASE(no_failures_allowed_for_means_that_it_never_opens) {
    Breaker breaker({0, 500ms, 1000ms});
    for (int i = 0; i < 1000; ++i)
        breaker.failed(breaker.admit(at(0ms)).value(), at(0ms));
    BOOST_TEST((breaker.state() == State::closed));
}

BOOST_FIXTURE_TEST_CASE(one_probe_at_a_time_and_another_when_it_hangs, Opened) {
    BOOST_TEST(passing(breaker, 10, at(500ms)) == 1);
    BOOST_TEST((breaker.state() == State::half_open));
    BOOST_TEST(passing(breaker, 10, at(999ms)) == 0);
    BOOST_TEST(passing(breaker, 10, at(1000ms)) == 1);
    BOOST_TEST(breaker.refuses());
}

BOOST_FIXTURE_TEST_CASE(a_probe_that_fails_opens_it_again, Opened) {
    const auto probe = breaker.admit(at(600ms)).value();
    breaker.failed(probe, at(700ms));
    BOOST_TEST((breaker.state() == State::open));
    BOOST_TEST(passing(breaker, 10, at(1199ms)) == 0);
    BOOST_TEST(passing(breaker, 10, at(1200ms)) == 1);
    BOOST_TEST(breaker.opened() == 2U);
}

BOOST_FIXTURE_TEST_CASE(the_share_grows_until_all_pass, Opened) {
    breaker.succeeded(breaker.admit(at(500ms)).value(), at(600ms));
    BOOST_TEST((breaker.state() == State::recovering));
    BOOST_TEST(!breaker.refuses());
    struct Vector {
        std::chrono::milliseconds time;
        int passed;  // of 1000, give or take 5
    };
    for (const auto& [time, passed] :
         {Vector{600ms, 100}, {850ms, 325}, {1100ms, 550}, {1350ms, 775}, {1590ms, 991}}) {
        const int found = passing(breaker, 1000, at(time));
        BOOST_TEST(found >= passed - 5);
        BOOST_TEST(found <= passed + 5);
    }
    BOOST_TEST((breaker.state() == State::recovering));
    BOOST_TEST(passing(breaker, 10, at(1600ms)) == 10);
    BOOST_TEST((breaker.state() == State::closed));
}

BOOST_AUTO_TEST_CASE(without_a_ramp_it_closes_at_once) {
    Breaker breaker({1, 500ms, 0ms});
    breaker.failed(breaker.admit(at(0ms)).value(), at(0ms));
    breaker.succeeded(breaker.admit(at(500ms)).value(), at(500ms));
    BOOST_TEST((breaker.state() == State::closed));
    BOOST_TEST(passing(breaker, 10, at(500ms)) == 10);
}

BOOST_FIXTURE_TEST_CASE(a_failure_in_recovery_opens_it_again, Opened) {
    breaker.succeeded(breaker.admit(at(500ms)).value(), at(500ms));
    std::optional<Breaker::Pass> pass;
    while (!pass)
        pass = breaker.admit(at(700ms));
    breaker.failed(*pass, at(700ms));
    BOOST_TEST((breaker.state() == State::open));
    BOOST_TEST(passing(breaker, 10, at(1199ms)) == 0);
    BOOST_TEST(passing(breaker, 10, at(1200ms)) == 1);
}

BOOST_AUTO_TEST_CASE(what_was_let_through_before_has_no_say) {
    Breaker breaker(options);
    const auto early = breaker.admit(at(0ms)).value();
    const auto hanging = breaker.admit(at(0ms)).value();
    BOOST_TEST(!breaker.overtaken(early));
    for (int i = 0; i < 3; ++i)
        breaker.failed(breaker.admit(at(0ms)).value(), at(0ms));
    BOOST_TEST(breaker.overtaken(early));
    breaker.succeeded(early, at(10ms));
    BOOST_TEST((breaker.state() == State::open));
    const auto probe = breaker.admit(at(500ms)).value();
    BOOST_TEST(!breaker.overtaken(probe));
    breaker.succeeded(early, at(510ms));
    BOOST_TEST((breaker.state() == State::half_open));
    breaker.succeeded(probe, at(520ms));
    breaker.failed(hanging, at(530ms));
    BOOST_TEST((breaker.state() == State::recovering));
    BOOST_TEST(!breaker.overtaken(hanging));
    BOOST_TEST(passing(breaker, 1, at(1520ms)) == 1);
    for (int i = 0; i < 3; ++i)
        breaker.failed(hanging, at(1530ms));
    BOOST_TEST((breaker.state() == State::closed));
}

BOOST_AUTO_TEST_CASE(changes_are_told) {
    std::vector<std::string> told;
    Breaker breaker({1, 10ms, 10ms}, [&](State from, State to) {
        told.push_back(std::string(name_of(from)) + " " + std::string(name_of(to)));
    });
    breaker.failed(breaker.admit(at(0ms)).value(), at(0ms));
    breaker.failed(breaker.admit(at(10ms)).value(), at(10ms));
    breaker.succeeded(breaker.admit(at(20ms)).value(), at(20ms));
    BOOST_TEST(breaker.admit(at(30ms)).has_value());
    const std::vector<std::string> expected{"closed open",          "open half-open",
                                            "half-open open",       "open half-open",
                                            "half-open recovering", "recovering closed"};
    BOOST_TEST(told == expected, boost::test_tools::per_element());
}

// Threads that call, fail and succeed as they like, while time goes on: one probe at a time, and
// in the end it is closed.
BOOST_AUTO_TEST_CASE(threads_share_it) {
    std::atomic<int> probes{0};
    Breaker breaker({2, 10ms, 10ms}, [&](State, State to) { probes += to == State::half_open; });
    std::atomic<int> time{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&, i] {
            for (int n = 0; n < 50000; ++n) {
                const TimePoint now = at(std::chrono::milliseconds(++time / 100));
                const auto pass = breaker.admit(now);
                if (!pass)
                    continue;
                if ((n + i) % 1000 < 10 && n < 40000)
                    breaker.failed(*pass, now);
                else
                    breaker.succeeded(*pass, now);
            }
        });
    }
    for (auto& thread : threads)
        thread.join();
    BOOST_TEST(breaker.opened() > 0U);
    BOOST_TEST(probes > 0);
    BOOST_TEST(breaker.admit(at(1h)).has_value());
    BOOST_TEST(breaker.admit(at(2h)).has_value());
    BOOST_TEST((breaker.state() <= State::recovering));
}

BOOST_AUTO_TEST_SUITE_END()
