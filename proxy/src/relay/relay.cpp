// The relay's sessions: connecting, leading, and what to do when something breaks.
#include "relay/relay.hpp"

#include <algorithm>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include <spdlog/spdlog.h>

#include "relay/follower.hpp"
#include "relay/message.hpp"
#include "relay/outbox.hpp"
#include "relay/pause.hpp"
#include "relay/stream.hpp"
#include "relay/upkeep.hpp"

namespace muster::relay {

namespace {

constexpr std::chrono::seconds connect_deadline{5};  // to PostgreSQL
constexpr std::chrono::seconds lead_interval{1};     // between a follower's tries
// A leader that cannot reach Redis for so long lets another one try. Less than the session's
// idle_session_timeout.
constexpr std::chrono::seconds redis_patience{3};
// Two databases that share a stream would push each other out of it again and again.
constexpr std::chrono::seconds reset_interval{1};
// A generation that is begun without knowing what Redis holds is so far above those recorded that
// another server has hardly got there.
constexpr std::uint64_t generation_leap = 1000;

}  // namespace

class Relay::Impl : public std::enable_shared_from_this<Impl> {
  public:
    Impl(net::io_context& context, const config::Relay& relay, const config::Redis& redis)
        : context_(context),
          pause_(context),
          config_(relay),
          redis_(redis),
          upkeep_(config_, stats) {}

    Task<> run();
    void stop() {
        pause_.stop();
        net::post(context_, [self = shared_from_this()] { self->pause_.wake(); });
    }

    net::io_context& context() { return context_; }

    Stats stats;

  private:
    Task<> serve();
    Task<bool> open_outbox();
    Task<bool> open_stream();
    Task<bool> reopen_stream();
    Task<bool> tend();
    Task<bool> new_history();
    Task<bool> follow();
    void report(std::string message);
    void report(const postgres::Error& error);

    net::io_context& context_;
    Pause pause_;
    const config::Relay config_;
    const config::Redis redis_;

    std::unique_ptr<Outbox> outbox_;
    std::unique_ptr<Stream> stream_;
    Upkeep upkeep_;
    Backoff backoff_;        // between sessions
    Backoff redis_backoff_;  // between tries within a session
    Progress progress_;
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
            co_await serve();
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
    // A leader's is up when it takes what is published.
    if (!stats.leader.load(std::memory_order_relaxed))
        set(stats.redis_up, true);
    co_return true;
}

// Tries to reach Redis again while the lead is held, and keeps the outbox bounded meanwhile; that
// it may hold the lead, the session must not be idle for long.
Task<bool> Relay::Impl::reopen_stream() {
    const TimePoint give_up = Clock::now() + redis_patience;
    while (!pause_.stopped()) {
        co_await pause_.sleep(redis_backoff_.next());
        if (co_await open_stream())
            co_return true;
        if (Clock::now() > give_up || !co_await tend())
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

// With Redis away nobody publishes, but somebody has to make ticks and keep the outbox bounded: who
// cannot publish takes the lead for a moment, if it is free. False if the session failed.
Task<bool> Relay::Impl::tend() {
    const bool leading = stats.leader.load(std::memory_order_relaxed);
    if (!leading) {
        const auto leads = co_await outbox_->lead();
        if (!leads) {
            report(leads.error());
            co_return false;
        }
        if (!leads.value())
            co_return true;
    }
    if (!co_await new_history())
        co_return false;
    const auto dropped = co_await upkeep_.tend(*outbox_, progress_.tick);
    if (!dropped) {
        report(dropped.error());
        co_return false;
    }
    if (dropped.value())
        progress_.tick = 0;  // it goes on behind what was dropped
    if (leading)
        co_return true;
    if (const auto error = co_await outbox_->yield_lead()) {
        report(*error);
        co_return false;
    }
    co_return true;
}

// Ticks of a new history must not look like the old one's, whose last ones the stream may name: a
// promoted server begins a generation before it makes any. What was published before is not known
// exactly, but all that is repeated comes behind a reset.
Task<bool> Relay::Impl::new_history() {
    const auto recorded = co_await outbox_->newest_generation();
    if (!recorded) {
        report(recorded.error());
        co_return false;
    }
    if (!recorded.value() || recorded.value()->same_history)
        co_return true;
    auto newest = co_await outbox_->published_at_rotation();
    if (!newest) {
        report(newest.error());
        co_return false;
    }
    auto base = co_await outbox_->first_tick_from(newest.value());
    if (!base) {
        report(base.error());
        co_return false;
    }
    Plan plan;
    plan.generation =
        std::min(recorded.value()->number + generation_leap, StreamId::most_generation);
    plan.base = base.value().id;
    plan.reason = "another history of the database";
    if (const auto error = co_await outbox_->record(plan)) {
        report(*error);
        co_return false;
    }
    count(stats.resets);
    spdlog::info("relay: generation {} begins behind tick {}: {}", plan.generation, plan.base,
                 plan.reason);
    co_return true;
}

// One session to PostgreSQL, from connecting to its end.
Task<> Relay::Impl::serve() {
    if (!co_await open_outbox())
        co_return;
    progress_.tick = 0;
    while (!pause_.stopped()) {
        if (!stream_ && !co_await open_stream()) {
            if (!co_await tend())
                co_return;
            co_await pause_.sleep(redis_backoff_.next());
            continue;
        }
        const auto leads = co_await outbox_->lead();
        if (!leads) {
            report(leads.error());
            co_return;
        }
        if (!leads.value()) {
            backoff_.reset();
            co_await pause_.sleep(lead_interval);
            continue;
        }
        set(stats.leader, true);
        if (!co_await follow())
            co_return;
        set(stats.leader, false);
        if (const auto error = co_await outbox_->yield_lead()) {
            report(*error);
            co_return;
        }
    }
}

// Leads, until Redis is away for too long (true), the session to PostgreSQL failed, or it is time
// to stop.
Task<bool> Relay::Impl::follow() {
    // Transaction ids may begin again after a crash, so what caches know is bound to this session.
    const std::string epoch = make_epoch();
    spdlog::info("relay: leading, epoch {}", epoch);
    while (!pause_.stopped()) {
        const std::uint64_t resets = stats.resets.load(std::memory_order_relaxed);
        Follower follower(config_, *outbox_, *stream_, upkeep_, pause_, stats, epoch, progress_);
        const End end = co_await follower.run();
        if (follower.kept_up()) {
            backoff_.reset();
            redis_backoff_.reset();
            last_report_.clear();
        }
        if (end.cause == End::Cause::stopped)
            co_return false;
        report(end.message);
        if (end.cause == End::Cause::postgres)
            co_return false;
        count(stats.resyncs);
        set(stats.redis_up, end.cause == End::Cause::resync);
        if (end.cause == End::Cause::resync) {
            co_await pause_.sleep(stats.resets.load(std::memory_order_relaxed) == resets
                                      ? Clock::duration(redis_backoff_.next())
                                      : Clock::duration(reset_interval));
            continue;
        }
        if (!co_await tend())
            co_return false;
        if (!co_await reopen_stream())
            co_return outbox_->usable();
    }
    co_return false;
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
