// The relay's sessions: connecting, leading, and what to do when something breaks.
#include "relay/relay.hpp"

#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include <spdlog/spdlog.h>

#include "relay/follower.hpp"
#include "relay/message.hpp"
#include "relay/outbox.hpp"
#include "relay/pause.hpp"
#include "relay/stream.hpp"

namespace muster::relay {

namespace {

constexpr std::chrono::seconds connect_deadline{5};  // to PostgreSQL
constexpr std::chrono::seconds lead_interval{1};     // between a follower's tries
// A leader that cannot reach Redis for so long lets another one try. Less than the session's
// idle_session_timeout.
constexpr std::chrono::seconds redis_patience{3};
// Two databases that share a stream would push each other out of it again and again.
constexpr std::chrono::seconds reset_interval{1};

}  // namespace

class Relay::Impl : public std::enable_shared_from_this<Impl> {
  public:
    Impl(net::io_context& context, const config::Relay& relay, const config::Redis& redis)
        : context_(context), pause_(context), config_(relay), redis_(redis) {}

    Task<> run();
    void stop() {
        pause_.stop();
        net::post(context_, [self = shared_from_this()] { self->pause_.wake(); });
    }

    net::io_context& context() { return context_; }

    Stats stats;

  private:
    Task<> lead_and_follow();
    Task<bool> open_stream();
    Task<bool> reopen_stream();
    Task<bool> open_outbox();
    Task<bool> lead();
    void report(std::string message);
    void report(const postgres::Error& error);

    net::io_context& context_;
    Pause pause_;
    const config::Relay config_;
    const config::Redis redis_;

    std::unique_ptr<Outbox> outbox_;
    std::unique_ptr<Stream> stream_;
    Backoff backoff_;        // between sessions
    Backoff redis_backoff_;  // between tries within a session
    StreamId known_;
    std::string last_report_;
};

// Logs a failure once, not at every try.
void Relay::Impl::report(std::string message) {
    count(stats.errors);
    if (message == last_report_)
        return;
    spdlog::warn("relay: {}", message);
    last_report_ = std::move(message);
}

void Relay::Impl::report(const postgres::Error& error) {
    report("PostgreSQL: " + error.message + " (" + error.sqlstate + ")");
}

Task<> Relay::Impl::run() {
    while (!pause_.stopped()) {
        try {
            co_await lead_and_follow();
        } catch (const std::exception& error) {
            report(error.what());
        }
        outbox_.reset();
        stream_.reset();
        set(stats.leader, false);
        set(stats.postgres_up, false);
        set(stats.redis_up, false);
        co_await pause_.sleep(backoff_.next());
    }
}

Task<bool> Relay::Impl::open_stream() {
    stream_.reset();
    set(stats.redis_up, false);
    auto stream = co_await Stream::open(context_, config_, redis_);
    if (!stream) {
        report("Redis: " + stream.error().message);
        co_return false;
    }
    stream_ = std::move(stream).value();
    set(stats.redis_up, true);
    co_return true;
}

// Tries to reach Redis again while the lead is held.
Task<bool> Relay::Impl::reopen_stream() {
    const TimePoint give_up = Clock::now() + redis_patience;
    while (!pause_.stopped()) {
        co_await pause_.sleep(redis_backoff_.next());
        if (co_await open_stream())
            co_return true;
        if (Clock::now() > give_up)
            break;
    }
    co_return false;
}

Task<bool> Relay::Impl::open_outbox() {
    auto outbox =
        co_await Outbox::open(context_, config_.conninfo, Clock::now() + connect_deadline);
    if (!outbox) {
        report(outbox.error());
        co_return false;
    }
    outbox_ = std::move(outbox).value();
    set(stats.postgres_up, true);
    co_return true;
}

// Waits until this session is the leader's. False if the session failed.
Task<bool> Relay::Impl::lead() {
    while (!pause_.stopped()) {
        auto leads = co_await outbox_->lead();
        if (!leads) {
            report(leads.error());
            break;
        }
        if (leads.value()) {
            set(stats.leader, true);
            co_return true;
        }
        backoff_.reset();
        co_await pause_.sleep(lead_interval);
    }
    co_return false;
}

// One session as leader, from connecting to the first failure that it does not survive.
Task<> Relay::Impl::lead_and_follow() {
    // Redis first: who cannot publish does not take the lead from those who can.
    if (!co_await open_stream() || !co_await open_outbox() || !co_await lead())
        co_return;
    // Transaction ids may begin again after a crash, so what caches know is bound to this session.
    const std::string epoch = make_epoch();
    spdlog::info("relay: leading, epoch {}", epoch);
    while (!pause_.stopped()) {
        const std::uint64_t resets = stats.resets.load(std::memory_order_relaxed);
        Follower follower(config_, *outbox_, *stream_, pause_, stats, epoch, known_);
        const End end = co_await follower.run();
        if (follower.kept_up()) {
            backoff_.reset();
            redis_backoff_.reset();
            last_report_.clear();
        }
        if (end.cause == End::Cause::stopped)
            co_return;
        report(end.message);
        if (end.cause == End::Cause::postgres)
            co_return;
        count(stats.resyncs);
        if (end.cause == End::Cause::redis && !co_await reopen_stream())
            co_return;
        if (end.cause == End::Cause::resync)
            co_await pause_.sleep(stats.resets.load(std::memory_order_relaxed) == resets
                                      ? Clock::duration(redis_backoff_.next())
                                      : Clock::duration(reset_interval));
    }
}

Relay::Relay(net::io_context& context, const config::Relay& relay, const config::Redis& redis)
    : impl_(std::make_shared<Impl>(context, relay, redis)) {}

Relay::~Relay() {
    stop();
}

void Relay::start() {
    // The coroutine owns the state: it may outlive this object by one deadline.
    net::co_spawn(
        impl_->context(), [](std::shared_ptr<Impl> impl) -> Task<> { co_await impl->run(); }(impl_),
        [](std::exception_ptr) {});
}

void Relay::stop() {
    impl_->stop();
}

const Stats& Relay::stats() const {
    return impl_->stats;
}

}  // namespace muster::relay
