// The shared part of the quotas: leases of tokens from Redis.
//
// One connection and one conversation a key for the whole process, on its home thread; the other
// threads post to it and are posted to. Redis may be away, or slow: then shared() is false and
// everybody has to make do with the share that proxies() leaves of a quota.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "config/config.hpp"
#include "limit/buckets.hpp"
#include "metrics/histogram.hpp"
#include "redis/connection.hpp"
#include "redis/script.hpp"
#include "runtime/event.hpp"

namespace muster::limit {

// Now, as the limits count time.
inline Nanos nanos(TimePoint time) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

class Leases : public std::enable_shared_from_this<Leases> {
  public:
    // What the home thread counts.
    struct Counters {
        metrics::Counter granted;  // answers with tokens
        metrics::Counter refused;  // answers without
        metrics::Counter failed;   // no answer
        metrics::Counter tokens;   // granted
    };

    static constexpr Nanos lifetime = 1'000'000'000;  // of tokens that are held
    // How long a request waits for an answer before it looks for another way.
    static constexpr std::chrono::milliseconds patience{5};
    // How long Redis has for an answer: one that takes longer is as good as away.
    static constexpr std::chrono::milliseconds answer_time{250};

    // A request that waits for an answer about `need` tokens. But for `gone`, touched by its own
    // thread only.
    struct Waiter {
        Waiter(net::io_context& context_, std::int64_t need_)
            : context(context_), need(need_), event(context_) {}
        net::io_context& context;
        const std::int64_t need;
        Event event;                    // the answer has come, or it is known that none will
        std::atomic<bool> gone{false};  // it needs nothing any more
    };

    // `policies` are what the buckets refer to: a conversation may outlive the limiter.
    Leases(net::io_context& home, const config::Redis& redis,
           std::shared_ptr<const Policies> policies);

    // Begins to talk to Redis, and ends it. From any thread.
    void start();
    void stop();

    // Whether Redis answers.
    bool shared() const { return shared_.load(std::memory_order_relaxed); }
    // How many proxies share the quotas, this one among them, as last heard.
    std::int64_t proxies() const { return proxies_.load(std::memory_order_relaxed); }
    const Counters& counters() const { return counters_; }

    // Has the lease of a bucket refilled before it runs out. From any thread; waits for nothing.
    void refill(const std::shared_ptr<Bucket>& bucket);

    // Asks for the tokens that `waiter` needs, of which there may be fewer.
    void ask(const std::shared_ptr<Bucket>& bucket, std::shared_ptr<Waiter> waiter);

  private:
    // Those who wait for one answer.
    struct Wish {
        std::vector<std::shared_ptr<Waiter>> waiters;
        std::int64_t need() const;   // of all who have not gone
        std::int64_t least() const;  // of the most modest, at least 1
        void end();
    };

    void take_up(std::shared_ptr<Bucket> bucket, std::shared_ptr<Waiter> waiter);
    Task<> converse(std::shared_ptr<Bucket> bucket);
    Task<bool> lease(Bucket& bucket, const Wish& wish);

    Task<> run();
    Task<std::string> be_present();
    Task<> leave();
    Task<> sleep(std::chrono::milliseconds duration);
    void available(bool available, const std::string& why);

    net::io_context& home_;
    const config::Redis redis_;
    const std::shared_ptr<const Policies> policies_;
    const std::string name_;  // of this process, among the proxies
    std::atomic<bool> shared_{false};
    std::atomic<std::int64_t> proxies_{1};
    Counters counters_;

    // Of the home thread.
    std::shared_ptr<redis::Connection> connection_;
    redis::Script lease_script_;
    redis::Script presence_script_;
    std::unordered_map<Bucket*, Wish> wishes_;  // of the buckets being talked about
    Timer pause_;
    bool stopping_ = false;
    bool told_ = false;  // the log knows whether Redis is there
};

}  // namespace muster::limit
