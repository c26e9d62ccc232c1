// The conversation with Redis.
#include "limit/leases.hpp"

#include <algorithm>
#include <random>

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

#include "limit/lease_script.hpp"
#include "runtime/runtime.hpp"

namespace muster::limit {
namespace {

using namespace std::chrono_literals;

constexpr auto presence_period = 500ms;
constexpr std::chrono::microseconds forgotten_after = 2s;  // a proxy that is not heard of
constexpr std::chrono::milliseconds first_pause = 50ms;    // between attempts to connect
constexpr std::chrono::milliseconds longest_pause = 1s;
constexpr std::string_view key_prefix = "muster:limit:";
constexpr std::string_view presence_key = "muster:limit:proxies";

std::string random_name() {
    std::random_device device;
    std::string name;
    for (int i = 0; i < 4; ++i) {
        constexpr std::string_view hex = "0123456789abcdef";
        for (unsigned bits = device(), digit = 0; digit < 8; ++digit, bits >>= 4) {
            name += hex[bits & 15];
        }
    }
    return name;
}

// Of the tokens that passed without a lease, those that are to be charged now. A few are charged
// whole; of what passed while Redis was away, what the local share has not regained since.
std::int64_t still_owed(const Bucket& bucket, std::int64_t unreported, std::int64_t proxies) {
    if (unreported <= bucket.policy.lease) {
        return unreported;
    }
    const Nanos backlog = std::max<Nanos>(0, bucket.arrival.value() - nanos(Clock::now()));
    const Nanos interval = bucket.policy.quota.interval * proxies;
    return std::min(unreported, (backlog + interval - 1) / interval);
}

// Subtracts, but not below 0; returns what is left.
std::int64_t lower(std::atomic<std::int64_t>& number, std::int64_t by) {
    std::int64_t known = number.load(std::memory_order_relaxed);
    std::int64_t left = 0;
    do {
        left = std::max<std::int64_t>(0, known - by);
    } while (!number.compare_exchange_weak(known, left, std::memory_order_relaxed));
    return left;
}

std::string why_not(const redis::Outcome<redis::Reply>& reply) {
    return reply ? std::string(reply.value().error()) : reply.error().message;
}

}  // namespace

Leases::Leases(net::io_context& home, const config::Redis& redis,
               std::shared_ptr<const Policies> policies)
    : home_(home),
      redis_(redis),
      policies_(std::move(policies)),
      name_(random_name()),
      lease_script_{std::string(lease_script)},
      presence_script_{std::string(presence_script)},
      pause_(home.get_executor()) {}

void Leases::start() {
    spawn(home_, "the sharing of rate limits", run());
}

void Leases::stop() {
    net::post(home_, [self = shared_from_this()] {
        self->stopping_ = true;
        self->pause_.cancel();
    });
}

// --- leases

void Leases::refill(const std::shared_ptr<Bucket>& bucket) {
    if (!bucket->asking.load(std::memory_order_relaxed)) {
        ask(bucket, nullptr);
    }
}

void Leases::ask(const std::shared_ptr<Bucket>& bucket, std::shared_ptr<Waiter> waiter) {
    if (bucket->asking.exchange(true, std::memory_order_relaxed)) {
        if (!waiter) {
            return;
        }
    } else {
        bucket->asked_at.store(nanos(Clock::now()), std::memory_order_relaxed);
    }
    net::post(home_, [self = shared_from_this(), bucket, waiter = std::move(waiter)]() mutable {
        self->take_up(std::move(bucket), std::move(waiter));
    });
}

std::int64_t Leases::Wish::need() const {
    std::int64_t sum = 0;
    for (const auto& waiter : waiters) {
        sum += waiter->gone.load(std::memory_order_relaxed) ? 0 : waiter->need;
    }
    return sum;
}

std::int64_t Leases::Wish::least() const {
    std::int64_t least = waiters.empty() ? 1 : waiters.front()->need;
    for (const auto& waiter : waiters) {
        least = std::min(least, waiter->need);
    }
    return std::max<std::int64_t>(1, least);
}

// Wakes who waits, each on its own thread. What is moved there ends there too.
void Leases::Wish::end() {
    for (std::shared_ptr<Waiter>& waiter : waiters) {
        net::io_context& context = waiter->context;
        net::post(context, [waiter = std::move(waiter)] { waiter->event.set(); });
    }
    waiters.clear();
}

// Adds to the bucket's conversation, and begins one if there is none.
void Leases::take_up(std::shared_ptr<Bucket> bucket, std::shared_ptr<Waiter> waiter) {
    const auto [entry, begins] = wishes_.try_emplace(bucket.get());
    if (waiter) {
        entry->second.waiters.push_back(std::move(waiter));
    }
    if (begins) {
        bucket->asking.store(true, std::memory_order_relaxed);
        spawn(home_, "a lease", converse(std::move(bucket)));
    }
}

// Asks until nobody waits. Those who come while an answer is on its way are served by one more.
Task<> Leases::converse(std::shared_ptr<Bucket> bucket) {
    const auto self = shared_from_this();
    bool answered = true;
    do {
        Wish wish = std::exchange(wishes_.at(bucket.get()), {});
        bucket->asked_at.store(nanos(Clock::now()), std::memory_order_relaxed);
        answered = co_await lease(*bucket, wish);
        wish.end();
    } while (answered && !wishes_.at(bucket.get()).waiters.empty());
    wishes_.at(bucket.get()).end();
    wishes_.erase(bucket.get());
    bucket->asking.store(false, std::memory_order_relaxed);
}

// One call. Returns whether Redis answered it.
Task<bool> Leases::lease(Bucket& bucket, const Wish& wish) {
    const auto connection = connection_;
    if (!connection || !shared()) {
        co_return false;
    }
    const Policy& policy = bucket.policy;
    const std::string key = std::string(key_prefix) + bucket.id;
    const std::int64_t unreported = bucket.unreported.load(std::memory_order_relaxed);
    const std::string words[] = {
        std::to_string(policy.rate), std::to_string(policy.quota.burst),
        std::to_string(std::clamp(wish.need(), policy.lease, policy.quota.burst)),
        std::to_string(wish.least()), std::to_string(still_owed(bucket, unreported, proxies()))};
    const std::vector<std::string_view> keys{key};
    const std::vector<std::string_view> arguments(std::begin(words), std::end(words));
    const auto reply =
        co_await lease_script_.run(*connection, keys, arguments, Clock::now() + answer_time);
    if (!reply || reply.value().array().size() != 2) {
        counters_.failed.add();
        available(false, why_not(reply));
        co_return false;
    }
    const std::int64_t granted = reply.value().array()[0].integer();
    // Who has gone meanwhile has helped himself without a lease, so that what was meant for him is
    // set off against that.
    const std::int64_t kept = std::min(granted, std::max(policy.lease, wish.need()));
    const std::int64_t left = lower(bucket.unreported, unreported + granted - kept);
    const Nanos now = nanos(Clock::now());
    bucket.arrival.set(now + reply.value().array()[1].integer() * 1000 +
                       left * policy.quota.interval * proxies());
    if (granted > 0) {
        bucket.lease.deposit(kept, now, now + lifetime);
        counters_.granted.add();
        counters_.tokens.add(static_cast<std::uint64_t>(granted));
    } else {
        counters_.refused.add();
    }
    co_return true;
}

// --- presence

Task<> Leases::sleep(std::chrono::milliseconds duration) {
    if (!stopping_) {
        pause_.expires_after(duration);
        error_code ignored;
        co_await pause_.async_wait(capture(ignored));
    }
}

// Stays connected as far as that is possible.
Task<> Leases::run() {
    const auto self = shared_from_this();
    std::chrono::milliseconds pause = first_pause;
    while (!stopping_) {
        auto made = co_await redis::Connection::connect(home_, redis_, "muster-limits",
                                                        Clock::now() + redis_.connect_timeout);
        if (made) {
            connection_ = std::move(made).value();
            const std::string why = co_await be_present();
            if (stopping_) {
                co_await leave();
            }
            pause = shared() ? first_pause : pause;
            available(false, why);
            connection_.reset();
        } else {
            available(false, made.error().message);
        }
        co_await sleep(pause);
        pause = std::min(2 * pause, longest_pause);
    }
}

// Tells the others of this proxy as long as Redis answers; returns why it does not.
Task<std::string> Leases::be_present() {
    const TimePoint begun = Clock::now();
    const std::string forget = std::to_string(forgotten_after.count());
    while (!stopping_) {
        const std::vector<std::string_view> keys{presence_key};
        const std::vector<std::string_view> arguments{name_, forget};
        const auto reply = co_await presence_script_.run(*connection_, keys, arguments,
                                                         Clock::now() + answer_time);
        if (!reply || !reply.value().is_integer()) {
            co_return why_not(reply);
        }
        // A Redis that has just come back may not have heard of all the others yet.
        const std::int64_t known = Clock::now() - begun < forgotten_after ? proxies() : 1;
        proxies_.store(std::max(known, reply.value().integer()), std::memory_order_relaxed);
        available(true, {});
        co_await sleep(presence_period);
    }
    co_return "stopping";
}

Task<> Leases::leave() {
    const auto reply =
        co_await connection_->command(Clock::now() + answer_time, "ZREM", presence_key, name_);
    static_cast<void>(reply);  // without it, the others know soon enough
}

// Remembers whether Redis answers, and says so when that changes.
void Leases::available(bool available, const std::string& why) {
    const bool changed = shared_.exchange(available, std::memory_order_relaxed) != available;
    if (stopping_ || (!changed && told_)) {
        return;
    }
    told_ = true;
    if (available) {
        spdlog::info("rate limits are shared through Redis by {} proxies", proxies());
    } else {
        spdlog::warn(
            "rate limits: Redis does not answer ({}); keys have 1/{} of their quota here "
            "until it does",
            why, proxies());
    }
}

}  // namespace muster::limit
