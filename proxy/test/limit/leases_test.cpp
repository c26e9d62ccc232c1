// Several proxies' limiters on one real Redis.
#include <boost/test/unit_test.hpp>

#include <csignal>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

#include <boost/asio/co_spawn.hpp>

#include "limit/limiter.hpp"
#include "limit/window.hpp"
#include "servers/coroutine.hpp"
#include "servers/redis.hpp"

using namespace muster;
using namespace muster::limit;
using namespace std::chrono_literals;
using test::wait_until;

namespace {

config::Limits limits(std::uint32_t rate, std::uint32_t burst) {
    config::Limits made;
    made.standard = {rate, burst};
    return made;
}

// The limiter of one proxy with two threads, the first of them its home.
class Proxy {
  public:
    Proxy(const config::Redis& redis, const config::Limits& limits)
        : limiter(contexts_[0], limits, redis, registry, 2) {
        limiter.start();
        for (auto& context : contexts_) {
            guards_.push_back(net::make_work_guard(context));
            threads_.emplace_back([&context] { context.run(); });
        }
    }
    ~Proxy() {
        limiter.stop();
        guards_.clear();
        for (std::thread& thread : threads_) {
            thread.join();
        }
    }
    Proxy(const Proxy&) = delete;
    Proxy& operator=(const Proxy&) = delete;

    // Decides as a request on one of the threads would.
    Verdict admit(unsigned thread, const std::string& key, std::int64_t cost = 1,
                  const std::string& tier = "standard") {
        const auto bucket = limiter.bucket(key, tier);
        if (const auto verdict = limiter.decide(thread, bucket, cost)) {
            return *verdict;
        }
        std::promise<Verdict> verdict;
        net::co_spawn(contexts_[thread], limiter.admit(thread, contexts_[thread], bucket, cost),
                      [&](std::exception_ptr, Verdict given) { verdict.set_value(given); });
        return verdict.get_future().get();
    }

    // How many of `tries` pass, one after the other.
    int admitted(const std::string& key, int tries) {
        int count = 0;
        for (int i = 0; i < tries; ++i) {
            count += admit(static_cast<unsigned>(i % 2), key).admitted ? 1 : 0;
        }
        return count;
    }

    double metric(const std::string& line) const {
        const std::string text = registry.text();
        const std::size_t at = text.find("\n" + line + " ");
        BOOST_REQUIRE_MESSAGE(at != std::string::npos, "no metric " << line);
        return std::stod(text.substr(at + line.size() + 2));
    }

    void wait_until_shared(std::int64_t proxies) const {
        wait_until("the limits to be shared",
                   [&] { return limiter.shared() && limiter.proxies() == proxies; });
    }

  private:
    net::io_context contexts_[2];

  public:
    metrics::Registry registry;  // whose series hold what has timers of a context
    Limiter limiter;

  private:
    std::vector<net::executor_work_guard<Executor>> guards_;
    std::vector<std::thread> threads_;
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_key_has_its_burst_and_then_its_rate) {
    const test::RedisServer redis;
    Proxy proxy(redis.tcp(), limits(1, 40));
    proxy.wait_until_shared(1);
    const Verdict first = proxy.admit(0, "k");
    BOOST_TEST(first.admitted);
    BOOST_TEST(first.policy->name == "standard");
    BOOST_TEST(first.remaining == 39);
    BOOST_TEST(proxy.admitted("k", 60) <= 39 + 5);  // if the machine stands still meanwhile
    const Verdict refused = proxy.admit(1, "k");
    BOOST_TEST(!refused.admitted);
    BOOST_TEST(refused.remaining == 0);
    BOOST_TEST(refused.retry_after > 0);
    BOOST_TEST(proxy.admit(0, "other").admitted);
    BOOST_TEST(proxy.admit(0, "k", 1, "premium").admitted);
    BOOST_TEST(proxy.metric("muster_limit_admitted_total{tier=\"standard\"}") >= 41);
    BOOST_TEST(proxy.metric("muster_limit_admitted_total{tier=\"premium\"}") == 1);
    BOOST_TEST(proxy.metric("muster_limit_rejected_total{tier=\"standard\"}") >= 1);
    BOOST_TEST(proxy.metric("muster_limit_leases_total{outcome=\"granted\"}") >= 4);
    BOOST_TEST(proxy.metric("muster_limit_local_share") == 0);
    BOOST_TEST(proxy.metric("muster_limit_buckets") == 3);
    BOOST_TEST(redis.cli({"EXISTS", "muster:limit:standard:k"}) == "1\n");
    BOOST_TEST(redis.cli({"TTL", "muster:limit:standard:k"}) != "-1\n");
}

BOOST_AUTO_TEST_CASE(costs_above_a_lease_are_granted_whole) {
    const test::RedisServer redis;
    Proxy proxy(redis.tcp(), limits(1, 100));
    proxy.wait_until_shared(1);
    BOOST_TEST(proxy.admit(0, "k", 50).admitted);
    BOOST_TEST(proxy.admit(1, "k", 45).admitted);
    const Verdict refused = proxy.admit(0, "k", 50);
    BOOST_TEST(!refused.admitted);
    BOOST_TEST(refused.retry_after > 30'000'000'000);
    BOOST_TEST(refused.retry_after < 60'000'000'000);
}

namespace {

// What eight clients at four proxies get of a key with 200 tokens a second for three seconds, while
// `meanwhile` goes on. Checks the bound.
void four_proxies_share_a_key(const test::RedisServer& redis,
                              const std::function<void()>& meanwhile) {
    std::vector<std::unique_ptr<Proxy>> proxies;
    for (int i = 0; i < 4; ++i) {
        proxies.push_back(std::make_unique<Proxy>(redis.tcp(), limits(200, 200)));
    }
    for (const auto& proxy : proxies) {
        proxy->wait_until_shared(4);
    }
    std::thread other(meanwhile);
    std::mutex mutex;
    std::vector<test::Admitted> admitted;
    const Nanos start = nanos(Clock::now());
    std::vector<std::thread> clients;
    for (unsigned i = 0; i < 8; ++i) {
        clients.emplace_back([&, i] {
            std::vector<test::Admitted> mine;
            for (Nanos before = start; before < start + 3'000'000'000;) {
                before = nanos(Clock::now());
                if (proxies[i / 2]->admit(i % 2, "k").admitted) {
                    mine.push_back({before, nanos(Clock::now())});
                } else {
                    std::this_thread::sleep_for(200us);
                }
            }
            const std::lock_guard lock(mutex);
            admitted.insert(admitted.end(), mine.begin(), mine.end());
        });
    }
    for (std::thread& client : clients) {
        client.join();
    }
    other.join();
    const double seconds = static_cast<double>(nanos(Clock::now()) - start) / 1e9;
    double unleased = 0;
    for (const auto& proxy : proxies) {
        unleased += proxy->metric("muster_limit_unleased_total");
    }
    BOOST_TEST_MESSAGE(admitted.size()
                       << " of " << 200 + 200 * seconds << " in " << seconds << " s, " << unleased
                       << " without a lease; excess " << test::excess(admitted, 200));
    BOOST_TEST(test::excess(admitted, 200) <=
               200 + 4 * 2 * static_cast<double>(lease_of(200, 200)));
    BOOST_TEST(admitted.size() >= 400U);
}

}  // namespace

BOOST_AUTO_TEST_CASE(one_quota_for_all_proxies_however_many_ask_at_once) {
    const test::RedisServer redis;
    four_proxies_share_a_key(redis, [] {});
}

BOOST_AUTO_TEST_CASE(a_redis_whose_answers_come_late_does_not_make_it_more) {
    const test::RedisServer redis;
    four_proxies_share_a_key(redis, [&] { redis.cli({"-r", "150", "DEBUG", "SLEEP", "0.02"}); });
}

BOOST_AUTO_TEST_CASE(without_redis_each_has_its_share_and_then_the_quota_is_whole_again) {
    test::RedisServer redis;
    Proxy first(redis.tcp(), limits(1, 100));
    Proxy second(redis.tcp(), limits(1, 100));
    first.wait_until_shared(2);
    second.wait_until_shared(2);
    redis.kill();
    wait_until("the outage to be seen",
               [&] { return !first.limiter.shared() && !second.limiter.shared(); });
    BOOST_TEST(first.limiter.proxies() == 2);
    BOOST_TEST(first.metric("muster_limit_local_share") == 1);
    const int passed = first.admitted("k", 100);
    BOOST_TEST(passed >= 50);
    BOOST_TEST(passed <= 50 + 5);
    BOOST_TEST(first.metric("muster_limit_unleased_total") == passed);
    // What costs more than the share passes too, once, and is paid for.
    BOOST_TEST(second.admit(0, "dear", 80).admitted);
    BOOST_TEST(!second.admit(0, "dear", 1).admitted);

    redis.start();  // it has forgotten everything
    first.wait_until_shared(2);
    second.wait_until_shared(2);
    BOOST_TEST(first.metric("muster_limit_local_share") == 0);
    // The first tells what passed meanwhile as soon as it asks; what is left is for both.
    wait_until("a lease", [&] {
        return first.admit(0, "k").admitted &&
               first.metric("muster_limit_leases_total{outcome=\"granted\"}") >= 1;
    });
    const int rest = second.admitted("k", 120);
    BOOST_TEST(rest >= 20);
    BOOST_TEST(rest <= 70);
}

BOOST_AUTO_TEST_CASE(a_redis_that_does_not_answer_delays_nobody_for_long) {
    const test::RedisServer redis;
    Proxy proxy(redis.tcp(), limits(100, 100));
    proxy.wait_until_shared(1);
    redis.signal(SIGSTOP);
    BOOST_TEST(proxy.admit(0, "k").admitted);  // from the share
    BOOST_TEST(proxy.metric("muster_limit_unleased_total") == 1);
    wait_until("the outage to be seen", [&] { return !proxy.limiter.shared(); });
    BOOST_TEST(proxy.admitted("k", 300) >= 80);
    redis.signal(SIGCONT);
    proxy.wait_until_shared(1);
    wait_until("a lease", [&] {
        proxy.admit(0, "k");
        return proxy.metric("muster_limit_leases_total{outcome=\"granted\"}") >= 1;
    });
}

BOOST_AUTO_TEST_CASE(a_redis_that_refuses_to_write_is_as_good_as_none) {
    const test::RedisServer redis;
    Proxy proxy(redis.tcp(), limits(1, 100));
    proxy.wait_until_shared(1);
    redis.cli({"CONFIG", "SET", "maxmemory", "1"});
    wait_until("the refusal to be seen", [&] { return !proxy.limiter.shared(); });
    BOOST_TEST(proxy.admitted("k", 150) <= 110);
    BOOST_TEST(proxy.admitted("j", 50) == 50);
    redis.cli({"CONFIG", "SET", "maxmemory", "0"});
    proxy.wait_until_shared(1);
}

BOOST_AUTO_TEST_CASE(a_proxy_that_ends_is_missed_at_once_and_one_that_dies_soon) {
    const test::RedisServer redis;
    Proxy stays(redis.tcp(), limits(1, 100));
    {
        const Proxy goes(redis.tcp(), limits(1, 100));
        stays.wait_until_shared(2);
    }
    BOOST_TEST(redis.cli({"ZCARD", "muster:limit:proxies"}) == "1\n");
    stays.wait_until_shared(1);
    redis.cli({"ZADD", "muster:limit:proxies", "1", "dead"});
    redis.cli({"ZADD", "muster:limit:proxies", "9e15", "alive"});
    stays.wait_until_shared(2);
}

BOOST_AUTO_TEST_CASE(nothing_is_shared_before_redis_was_there) {
    config::Redis nowhere;
    nowhere.address = {"127.0.0.1", test::free_port()};
    Proxy proxy(nowhere, limits(1, 30));
    const int passed = proxy.admitted("k", 100);
    BOOST_TEST(passed >= 30);
    BOOST_TEST(passed <= 35);
    BOOST_TEST(proxy.metric("muster_limit_proxies") == 1);
}

BOOST_AUTO_TEST_CASE(addresses_are_charged_and_forgiven_without_redis_knowing) {
    const test::RedisServer redis;
    config::Limits configured;
    configured.address = {1, 10};
    Proxy proxy(redis.tcp(), configured);
    proxy.wait_until_shared(1);
    const auto address = net::ip::make_address("192.0.2.7");
    int admitted = 0;
    for (int i = 0; i < 30; ++i) {
        admitted += proxy.limiter.charge(0, address).admitted ? 1 : 0;
    }
    BOOST_TEST(admitted >= 10);
    BOOST_TEST(admitted <= 15);
    BOOST_TEST(!proxy.limiter.charge(1, address).admitted);
    proxy.limiter.forgive(address);
    BOOST_TEST(proxy.limiter.charge(1, address).admitted);
    BOOST_TEST(proxy.limiter.charge(0, net::ip::make_address("192.0.2.8")).admitted);
    BOOST_TEST(redis.cli({"KEYS", "*"}) == "muster:limit:proxies\n");
    BOOST_TEST(proxy.metric("muster_limit_busy_addresses") == 2);
    BOOST_TEST(proxy.metric("muster_limit_rejected_total{tier=\"address\"}") >= 10);
}
