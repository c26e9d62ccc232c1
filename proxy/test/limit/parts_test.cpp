// The limits without Redis: the algorithm, and what threads share.
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <functional>
#include <random>
#include <thread>
#include <vector>

#include "limit/addresses.hpp"
#include "limit/arrival_time.hpp"
#include "limit/buckets.hpp"
#include "limit/gcra.hpp"
#include "limit/lease.hpp"
#include "limit/policy.hpp"
#include "limit/window.hpp"

using namespace muster;
using namespace muster::limit;

namespace {

constexpr Nanos millisecond = 1'000'000;
constexpr Nanos second = 1000 * millisecond;
constexpr auto least = std::numeric_limits<std::int64_t>::min();
constexpr auto most = std::numeric_limits<std::int64_t>::max();

void in_threads(int count, const std::function<void(int)>& work) {
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i) {
        threads.emplace_back(work, i);
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
}

boost::asio::ip::address address(const std::string& text) {
    return boost::asio::ip::make_address(text);
}

boost::asio::ip::address numbered(std::uint32_t number) {
    return boost::asio::ip::address_v4(number);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gcra)

// 10 tokens a second, a burst of 5: one each 100 ms, and a full bucket is 500 ms deep.
BOOST_AUTO_TEST_CASE(decisions_by_the_book) {
    struct Vector {
        Nanos arrival, now;  // ms
        std::int64_t cost;
        bool admitted;
        Nanos next, retry, reset;  // ms
        std::int64_t remaining;
    };
    const Vector vectors[] = {
        {0, 1000, 1, true, 1100, 0, 100, 4},          // a full bucket
        {0, 1000, 5, true, 1500, 0, 500, 0},          // all of it
        {0, 1000, 6, false, 0, never, 0, 5},          // more than ever fits
        {1000, 1000, 5, true, 1500, 0, 500, 0},       // just full
        {1400, 1000, 1, true, 1500, 0, 500, 0},       // the last token
        {1401, 1000, 1, false, 1401, 1, 401, 0},      // 1 ms early
        {1500, 1000, 1, false, 1500, 100, 500, 0},    // an empty bucket
        {1500, 1000, 5, false, 1500, 500, 500, 0},    // wait for all of it
        {1500, 1099, 1, false, 1500, 1, 401, 0},      // 1 ms early again
        {1500, 1100, 1, true, 1600, 0, 500, 0},       // in time
        {1500, 1250, 2, true, 1700, 0, 450, 0},       // two, and half a token over
        {1500, 1250, 3, false, 1500, 50, 250, 2},     // not three
        {1500, 1250, 0, true, 1500, 0, 250, 2},       // a look takes nothing
        {2500, 1000, 1, false, 2500, 1100, 1500, 0},  // in debt
        {2500, 1000, 0, true, 2500, 0, 1500, 0},      // a look at a debt
        {1500, 9000, 1, true, 9100, 0, 100, 4},       // long ago
    };
    const Quota quota = quota_of(10, 5);
    for (const Vector& v : vectors) {
        const Decision d = decide(quota, v.arrival * millisecond, v.now * millisecond, v.cost);
        BOOST_TEST_CONTEXT(v.arrival << " " << v.now << " " << v.cost) {
            BOOST_TEST(d.admitted == v.admitted);
            BOOST_TEST(d.arrival == v.next * millisecond);
            BOOST_TEST(d.retry_after == (v.retry == never ? never : v.retry * millisecond));
            BOOST_TEST(d.reset_after == v.reset * millisecond);
            BOOST_TEST(d.remaining == v.remaining);
        }
    }
}

BOOST_AUTO_TEST_CASE(who_waits_as_told_is_admitted_and_not_a_moment_sooner) {
    std::mt19937_64 random(1);
    for (int i = 0; i < 100000; ++i) {
        const Quota quota{static_cast<Nanos>(random() % 1000 + 1),
                          static_cast<std::int64_t>(random() % 50 + 1)};
        const auto arrival = static_cast<Nanos>(random() % 100000);
        const auto now = static_cast<Nanos>(random() % 100000);
        const auto cost =
            static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(quota.burst) + 1);
        const Decision d = decide(quota, arrival, now, cost);
        if (d.admitted) {
            BOOST_REQUIRE(d.arrival > now);
            BOOST_REQUIRE(d.reset_after <= quota.interval * quota.burst);
        } else {
            BOOST_REQUIRE(d.arrival == arrival);
            BOOST_REQUIRE(d.retry_after > 0);
            BOOST_REQUIRE(decide(quota, arrival, now + d.retry_after, cost).admitted);
            BOOST_REQUIRE(!decide(quota, arrival, now + d.retry_after - 1, cost).admitted);
        }
    }
}

BOOST_AUTO_TEST_CASE(no_window_lets_more_through_than_burst_and_rate) {
    std::mt19937_64 random(2);
    const Quota quota = quota_of(100, 20);
    Nanos arrival = 0;
    Nanos now = second;
    std::vector<test::Admitted> admitted;
    for (int i = 0; i < 5000; ++i) {
        now += static_cast<Nanos>(random() % 20) * (random() % 40 == 0 ? 20 : 1) * millisecond / 4;
        const Decision d = decide(quota, arrival, now, 1);
        arrival = d.arrival;
        if (d.admitted) {
            admitted.push_back({now, now});
        }
    }
    BOOST_TEST(test::excess(admitted, 100) <= 20 + 1e-6);
    BOOST_TEST(test::excess(admitted, 100) > 19);  // and the burst is really given
}

BOOST_AUTO_TEST_CASE(the_sustained_rate_is_kept_exactly) {
    for (const std::int64_t rate : {1, 3, 7, 100, 999, 1000, 30000}) {
        const Quota quota = quota_of(rate, 1);
        Nanos arrival = 0;
        std::int64_t admitted = 0;
        const Nanos start = 5 * second;
        for (Nanos now = start; now < start + 10 * second;) {
            const Decision d = decide(quota, arrival, now, 1);
            arrival = d.arrival;
            admitted += d.admitted ? 1 : 0;
            now += d.admitted ? quota.interval : d.retry_after;
        }
        BOOST_TEST(admitted <= 10 * rate);
        BOOST_TEST(admitted >= 10 * rate - 10 * rate / 1000 - 1);
    }
}

BOOST_AUTO_TEST_CASE(nothing_overflows) {
    const Quota largest{most, most};
    const Quota smallest{1, 1};
    for (const Nanos arrival : {least, Nanos{-1}, Nanos{0}, Nanos{1}, most}) {
        for (const Nanos now : {least, Nanos{-1}, Nanos{0}, Nanos{1}, most}) {
            for (const std::int64_t cost : {std::int64_t{0}, std::int64_t{1}, most}) {
                for (const Quota& quota : {largest, smallest, quota_of(1, most), Quota{most, 1}}) {
                    for (const Decision& d :
                         {decide(quota, arrival, now, cost), charge(quota, arrival, now, cost)}) {
                        BOOST_REQUIRE(d.remaining >= 0);
                        BOOST_REQUIRE(d.remaining <= quota.burst);
                        BOOST_REQUIRE(d.retry_after >= 0);
                        BOOST_REQUIRE(d.reset_after >= 0);
                    }
                    if (cost > quota.burst) {
                        BOOST_REQUIRE(!decide(quota, arrival, now, cost).admitted);
                    }
                }
            }
        }
    }
    BOOST_TEST(!decide(quota_of(1, 10), most, 0, 1).admitted);
    BOOST_TEST(decide(quota_of(1, 10), least, 0, 10).admitted);
}

BOOST_AUTO_TEST_CASE(a_charge_goes_into_debt_and_says_for_how_long) {
    const Quota quota = quota_of(10, 5);
    const Decision within = charge(quota, 0, second, 5);
    BOOST_TEST(within.admitted);
    BOOST_TEST(within.retry_after == 0);
    const Decision over = charge(quota, within.arrival, second, 3);
    BOOST_TEST(!over.admitted);
    BOOST_TEST(over.arrival == second + 800 * millisecond);
    BOOST_TEST(over.retry_after == 300 * millisecond);
    BOOST_TEST(over.remaining == 0);
    BOOST_TEST(!decide(quota, over.arrival, second + 300 * millisecond, 1).admitted);
    BOOST_TEST(decide(quota, over.arrival, second + 400 * millisecond, 1).admitted);
}

BOOST_AUTO_TEST_CASE(shares_add_up_to_no_more_than_the_quota) {
    const Quota quota = quota_of(100, 100);
    for (const std::int64_t members : {1, 2, 3, 4, 7, 100}) {
        const Quota share = share_of(quota, members);
        BOOST_TEST(share.interval == quota.interval * members);
        BOOST_TEST(share.burst * members <= quota.burst);
    }
    BOOST_TEST(share_of(quota, 1000).burst == 1);
    // What costs more than the share of the burst still passes, and is paid for at the share's
    // rate.
    const Quota dear = share_of(quota, 4, 50);
    const Decision d = decide(dear, 0, second, 50);
    BOOST_TEST(d.admitted);
    BOOST_TEST(d.arrival == 3 * second);
    BOOST_TEST(!decide(share_of(quota, 4), d.arrival, second, 1).admitted);
}

BOOST_AUTO_TEST_CASE(leases_are_small) {
    BOOST_TEST(lease_of(100, 100) == 10);
    BOOST_TEST(lease_of(1000, 1000) == 20);
    BOOST_TEST(lease_of(1000, 40) == 10);
    BOOST_TEST(lease_of(1000000, 1000000) == 20000);
    BOOST_TEST(lease_of(100, 20) == 5);
    BOOST_TEST(lease_of(1, 1) == 1);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(shared_by_threads)

BOOST_AUTO_TEST_CASE(threads_take_exactly_the_burst_of_one_arrival_time) {
    const Quota quota = quota_of(1, 10000);
    ArrivalTime arrival;
    std::atomic<int> admitted{0};
    in_threads(4, [&](int) {
        for (int i = 0; i < 5000; ++i) {
            admitted += arrival.take(quota, second, 1).admitted ? 1 : 0;
        }
    });
    BOOST_TEST(admitted == 10000);
    arrival.give_back(quota, 1);
    BOOST_TEST(arrival.take(quota, second, 1).admitted);
    BOOST_TEST(!arrival.take(quota, second, 1).admitted);
}

BOOST_AUTO_TEST_CASE(a_lease_is_taken_once_and_expires) {
    Lease lease;
    BOOST_TEST(!lease.take(1, second));
    lease.deposit(10, second, 2 * second);
    BOOST_TEST(lease.held(second) == 10);
    BOOST_TEST(lease.take(3, second).value() == 7);
    BOOST_TEST(!lease.take(8, second));
    lease.deposit(5, second, 3 * second);
    BOOST_TEST(lease.held(2 * second) == 12);
    BOOST_TEST(lease.held(3 * second) == 0);
    BOOST_TEST(!lease.take(1, 3 * second));
    lease.deposit(1, 3 * second, 4 * second);  // what has expired does not come back
    BOOST_TEST(lease.held(3 * second) == 1);
    lease.deposit(Lease::most_tokens, 3 * second, 4 * second);
    BOOST_TEST(lease.held(3 * second) == Lease::most_tokens);
    BOOST_TEST(lease.held(4 * second) == 0);
}

BOOST_AUTO_TEST_CASE(threads_take_what_was_deposited_and_no_more) {
    Lease lease;
    std::atomic<std::int64_t> taken{0};
    in_threads(4, [&](int thread) {
        for (int i = 0; i < 20000; ++i) {
            if (thread == 0 && i % 2 == 0) {
                lease.deposit(3, second, 2 * second);
            }
            if (lease.take(2, second)) {
                taken += 2;
            }
        }
    });
    BOOST_TEST(taken + lease.held(second) == 30000);
}

BOOST_AUTO_TEST_CASE(threads_share_the_bucket_of_a_key) {
    const Policies policies{config::Limits{}};
    Buckets buckets;
    std::vector<std::shared_ptr<Bucket>> seen(4);
    std::atomic<int> admitted{0};
    in_threads(4, [&](int thread) {
        for (int key = 0; key < 500; ++key) {
            const auto bucket = buckets.of(std::to_string(key), policies.standard, second);
            for (int i = 0; i < 30; ++i) {
                admitted += bucket->arrival.take(policies.standard.quota, second, 1).admitted;
            }
            if (key == 499) {
                seen[static_cast<std::size_t>(thread)] = bucket;
            }
        }
    });
    BOOST_TEST(admitted == 500 * 100);
    for (const auto& bucket : seen) {
        BOOST_TEST(bucket == seen[0]);
    }
    BOOST_TEST(buckets.of("499", policies.premium, second) != seen[0]);
    BOOST_TEST(seen[0]->id == "standard:499");
}

BOOST_AUTO_TEST_CASE(buckets_are_bounded_and_forgotten_when_full) {
    const Policies policies{config::Limits{}};
    Buckets buckets;
    const auto kept = buckets.of("kept", policies.standard, second);
    for (int key = 0; key < 100000; ++key) {
        buckets.of(std::to_string(key), policies.standard, second)
            ->arrival.take(policies.standard.quota, second, 100);
    }
    BOOST_TEST(buckets.size() <= Buckets::shards * Buckets::most_per_shard);
    // A minute later all of these are full, and one by one they make room.
    for (int key = 0; key < 100000; ++key) {
        buckets.of("later-" + std::to_string(key), policies.standard, 60 * second);
    }
    BOOST_TEST(buckets.size() <= Buckets::shards * 128);
}

BOOST_AUTO_TEST_CASE(a_used_bucket_is_not_forgotten) {
    const Policies policies{config::Limits{}};
    Buckets buckets;
    buckets.of("used", policies.standard, second)
        ->arrival.take(policies.standard.quota, second, 100);
    const auto held = buckets.of("held", policies.standard, second);
    for (int key = 0; key < 60000; ++key) {
        buckets.of(std::to_string(key), policies.standard, second);
    }
    BOOST_TEST(!buckets.of("used", policies.standard, second)
                    ->arrival.take(policies.standard.quota, second, 1)
                    .admitted);
    BOOST_TEST(buckets.of("held", policies.standard, second) == held);
}

BOOST_AUTO_TEST_CASE(an_address_has_one_bucket_and_a_64_of_ipv6_has_one) {
    Addresses addresses;
    ArrivalTime& first = addresses.of(address("192.0.2.1"), second);
    BOOST_TEST(&first == &addresses.of(address("192.0.2.1"), second));
    BOOST_TEST(&first != &addresses.of(address("192.0.2.2"), second));
    ArrivalTime& sixth = addresses.of(address("2001:db8:1:2::1"), second);
    BOOST_TEST(&sixth == &addresses.of(address("2001:db8:1:2:ffff:ffff:ffff:ffff"), second));
    BOOST_TEST(&sixth != &addresses.of(address("2001:db8:1:3::1"), second));
}

BOOST_AUTO_TEST_CASE(a_hundred_thousand_addresses_are_limited_each_in_a_table_that_does_not_grow) {
    const Quota quota = quota_of(10, 5);
    Addresses addresses;
    std::atomic<std::int64_t> admitted{0};
    constexpr std::uint32_t count = 100000;
    in_threads(2, [&](int) {
        for (std::uint32_t n = 0; n < count; ++n) {
            for (int i = 0; i < 5; ++i) {
                admitted += addresses.of(numbered(n), second).take(quota, second, 1).admitted;
            }
        }
    });
    // Each thread tries the whole burst: half is refused at least, but for those that met in a set.
    BOOST_TEST(admitted <= std::int64_t{5} * count * 102 / 100);
    BOOST_TEST(admitted >= std::int64_t{5} * count * 70 / 100);
    BOOST_TEST(addresses.busy(second) <= Addresses::sets * Addresses::ways);
    BOOST_TEST(addresses.busy(60 * second) == 0U);
}

BOOST_AUTO_TEST_CASE(crowded_addresses_are_refused_not_let_through) {
    const Quota quota = quota_of(1, 5);
    Addresses addresses;
    for (std::uint32_t n = 0; n < 1000000; ++n) {
        addresses.of(numbered(n), second).take(quota, second, 5);
    }
    int admitted = 0;
    for (std::uint32_t n = 2000000; n < 2001000; ++n) {
        admitted += addresses.of(numbered(n), second).take(quota, second, 1).admitted ? 1 : 0;
    }
    BOOST_TEST(admitted == 0);
}

BOOST_AUTO_TEST_SUITE_END()
