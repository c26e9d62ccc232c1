// What the leader does.
#include "relay/follower.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "relay/message.hpp"

namespace muster::relay {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds heartbeat_interval = 200ms;
constexpr std::chrono::milliseconds upkeep_interval = 1s;
// Between the beginnings of two ticks, and between two notifications: what comes in between goes
// with the next one.
constexpr std::chrono::milliseconds tick_interval = 1ms;
constexpr std::chrono::milliseconds notify_interval = 10ms;
// Reading and publishing one tick. A tick that is cut off is resumed where it was.
constexpr std::chrono::seconds tick_deadline{300};

End because(const postgres::Error& error) {
    return {End::Cause::postgres, "PostgreSQL: " + error.message + " (" + error.sqlstate + ")"};
}

End because(const redis::Error& error) {
    return {End::Cause::redis, "Redis: " + error.message};
}

}  // namespace

Task<End> Follower::run() {
    if (auto stop = co_await locate())
        co_return std::move(*stop);
    if (auto stop = co_await catch_up())
        co_return std::move(*stop);
    kept_up_ = true;
    set(stats_.redis_up, true);
    if (auto stop = co_await keep_up())
        co_return std::move(*stop);
    co_return End{End::Cause::stopped, {}};
}

// Finds the place to go on from, and begins a new generation if there is none.
Task<Follower::Stop> Follower::locate() {
    const auto recorded = co_await outbox_.newest_generation();
    if (!recorded)
        co_return because(recorded.error());
    const auto last = co_await stream_.last();
    if (!last)
        co_return because(last.error());
    progress_.known = std::max(progress_.known, last.value());
    // Above our generation somebody else has written: ours ends below.
    const std::uint64_t number = recorded.value() ? recorded.value()->number : 0;
    StreamId ours = last.value();
    if (ours.generation() > number) {
        const auto below = co_await stream_.last_within(number);
        if (!below)
            co_return because(below.error());
        ours = below.value();
    }
    if (ours.generation() != number)
        ours = {};
    auto facts =
        co_await outbox_.facts(recorded.value(), last.value(), ours, config_.stream_length);
    if (!facts)
        co_return because(facts.error());
    facts.value().published = progress_.tick;
    facts.value().known = progress_.known;
    const auto plan = decide(facts.value());
    if (!plan)
        co_return End{End::Cause::redis, "the ids of stream \"" + config_.stream +
                                             "\" are used up: it has to be deleted"};
    if (plan->new_generation) {
        if (auto error = co_await outbox_.record(*plan))
            co_return because(*error);
        count(stats_.resets);
        spdlog::info("relay: generation {} begins behind tick {}: {}", plan->generation, plan->base,
                     plan->reason);
    }
    auto generation = co_await outbox_.generation(plan->generation);
    if (!generation)
        co_return because(generation.error());
    generation_ = std::move(generation).value();
    set(stats_.generation, generation_.number);
    auto base = co_await outbox_.tick(plan->base);
    if (!base)
        co_return because(base.error());
    base_ = std::move(base).value();
    skip_ = plan->skip;
    const bool base_published = progress_.tick == base_.id;
    progress_.tick = base_.id;  // also where less is in Redis than once was: the rest is needed

    StreamId previous = last.value();
    if (!plan->reset && previous.generation() != plan->generation) {
        // Filled again from the middle: the id before is that of the base's last entry.
        const auto before = co_await outbox_.tick_before(base_.id);
        if (!before && before.error().sqlstate != Outbox::not_kept)
            co_return because(before.error());
        if (before) {
            const auto rows = co_await outbox_.count(before.value(), base_);
            if (!rows)
                co_return because(rows.error());
            previous = StreamId::of(generation_.number, base_.id, rows.value());
        } else if (base_published && progress_.known.generation() == generation_.number &&
                   progress_.known.tick() == base_.id) {
            // The rotation has left no tick before it, but its last entry is remembered here.
            previous = progress_.known;
        }
    }
    publisher_.emplace(
        stream_, stats_,
        Publisher::Position{.last = last.value(), .previous = previous, .known = progress_.known},
        epoch_);
    if (plan->reset) {
        if (auto stop = co_await publish_reset())
            co_return stop;
    }
    if (plan->new_generation || !recorded.value()->announced) {
        if (auto error = co_await outbox_.announced(generation_.number))
            co_return because(*error);
    }
    co_return std::nullopt;
}

Task<Follower::Stop> Follower::publish_reset() {
    publisher_->begin(generation_.number, base_.id, 0);
    publisher_->add(generation_.reset);
    co_await publisher_->flush();
    co_return judge();
}

// Publishes the ticks that are there already.
Task<Follower::Stop> Follower::catch_up() {
    while (!pause_.stopped()) {
        const auto ticks = co_await outbox_.ticks_after(base_.id);
        if (!ticks)
            co_return because(ticks.error());
        if (ticks.value().empty())
            break;
        for (const Tick& tick : ticks.value()) {
            if (auto stop = co_await publish(tick))
                co_return stop;
            if (auto stop = co_await catch_up_chores())
                co_return stop;
            if (pause_.stopped())
                break;
        }
    }
    co_return std::nullopt;
}

// Makes a tick whenever something became visible, and publishes it.
Task<Follower::Stop> Follower::keep_up() {
    if (auto stop = co_await arm())
        co_return stop;
    if (!stats_.wakes)
        spdlog::info("relay: commits do not wake it, it polls");
    // Nothing is between a tick and itself: the plan is made before the first change needs it.
    const auto nothing = co_await outbox_.read(base_, base_, 0, *publisher_, Clock::now() + 10s);
    if (!nothing)
        co_return because(nothing.error());
    interval_ = config_.poll_busy;
    while (!pause_.stopped()) {
        // Before it looks, so that what it looks at is complete.
        if (!stats_.wakes && upkeep_due()) {
            if (auto stop = co_await arm())
                co_return stop;
        }
        const TimePoint started = Clock::now();
        auto probe = co_await outbox_.probe(base_);
        if (!probe)
            co_return because(probe.error());
        const bool busy = probe.value().made.has_value();
        if (busy) {
            count(stats_.ticks);
            const Tick tick{*probe.value().made, probe.value().snapshot};
            if (auto stop = co_await publish(tick))
                co_return stop;
            stats_.lag.record(Clock::now() - started);
        }
        // Everything visible in the probe's snapshot has been published now.
        if (auto stop = co_await keep_up_chores(probe.value().snapshot))
            co_return stop;
        if (auto stop = co_await wait(started, busy))
            co_return stop;
    }
    co_return std::nullopt;
}

// Has commits wake it, where they can.
Task<Follower::Stop> Follower::arm() {
    const auto armed = co_await outbox_.arm();
    if (!armed)
        co_return because(armed.error());
    set(stats_.wakes, armed.value());
    co_return std::nullopt;
}

// Waits until it is worth looking again: for a commit, where those wake it; otherwise it asks every
// `poll_busy` while there is something, less and less often up to `poll_idle` while there is not.
Task<Follower::Stop> Follower::wait(TimePoint started, bool busy) {
    const bool wakes = stats_.wakes.load(std::memory_order_relaxed);
    interval_ = busy ? Clock::duration(config_.poll_busy)
                     : std::min<Clock::duration>(interval_ * 2, config_.poll_idle);
    const TimePoint soonest = started + (wakes ? Clock::duration(tick_interval) : interval_);
    if (soonest > Clock::now() && (busy || !wakes))
        co_await pause_.sleep(soonest - Clock::now());
    if (!wakes || pause_.stopped())
        co_return std::nullopt;
    TimePoint latest = beat_at_ + heartbeat_interval;
    if (notify_due_)
        latest = std::min(latest, notify_at_ + notify_interval);
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(latest - Clock::now());
    const auto woken = co_await outbox_.wait(std::clamp(left, 0ms, heartbeat_interval));
    if (!woken)
        co_return because(woken.error());
    if (!woken.value()) {
        spdlog::info("relay: commits wake it no more, it polls");
        set(stats_.wakes, false);
    }
    co_return std::nullopt;
}

// From time to time, and whenever a share of what the outbox may hold has gone by.
bool Follower::upkeep_due() const {
    return Clock::now() - upkeep_at_ >= upkeep_interval ||
           stats_.published.load(std::memory_order_relaxed) - upkept_ >= config_.outbox_rows / 32;
}

Task<Follower::Stop> Follower::keep_up_chores(const std::string& snapshot) {
    if (Clock::now() - beat_at_ >= heartbeat_interval) {
        if (auto stop = co_await beat(snapshot))
            co_return stop;
    }
    if (notify_due_ && Clock::now() - notify_at_ >= notify_interval) {
        if (auto stop = co_await notify())
            co_return stop;
    }
    if (!upkeep_due())
        co_return std::nullopt;
    upkeep_at_ = Clock::now();
    upkept_ = stats_.published.load(std::memory_order_relaxed);
    set(stats_.backlog_rows, 0);
    set(stats_.backlog_age_us, 0);
    const auto dropped = co_await upkeep_.rotate(outbox_, base_.id);
    if (!dropped)
        co_return because(dropped.error());
    if (dropped.value()) {
        progress_.tick = 0;  // it goes on behind what was dropped
        co_return End{End::Cause::resync, "changes were dropped unpublished"};
    }
    co_return std::nullopt;
}

Task<Follower::Stop> Follower::catch_up_chores() {
    if (!upkeep_due())
        co_return std::nullopt;
    if (auto error = co_await outbox_.tell(base_.id))
        co_return because(*error);
    told_ = base_.id;
    const auto dropped = co_await upkeep_.tend(outbox_, base_.id);
    if (!dropped)
        co_return because(dropped.error());
    upkeep_at_ = Clock::now();
    upkept_ = stats_.published.load(std::memory_order_relaxed);
    if (dropped.value()) {
        progress_.tick = 0;  // it goes on behind what was dropped
        co_return End{End::Cause::resync, "changes were dropped unpublished"};
    }
    co_return std::nullopt;
}

// Tells sessions that LISTEN of all that was published since the last time. Theirs is a courtesy:
// that their queue is full stops nobody else.
Task<Follower::Stop> Follower::notify() {
    notify_due_ = false;
    notify_at_ = Clock::now();
    if (auto error = co_await outbox_.notify(publisher_->last().text())) {
        if (error->connection_lost)
            co_return because(*error);
        count(stats_.errors);
        spdlog::warn("relay: NOTIFY muster_events: {}", error->message);
        co_return std::nullopt;
    }
    count(stats_.notified);
    co_return std::nullopt;
}

void Follower::published(const Tick& tick) {
    base_ = tick;
    skip_ = 0;
    progress_.tick = tick.id;
    set(stats_.last_tick, tick.id);
}

// Publishes the rows of one tick, which then is the base.
Task<Follower::Stop> Follower::publish(const Tick& tick) {
    if (tick.id > StreamId::most_tick)
        co_return End{End::Cause::postgres, "tick numbers are used up"};
    publisher_->begin(generation_.number, tick.id, skip_ + 1);
    const auto rows =
        co_await outbox_.read(base_, tick, skip_, *publisher_, Clock::now() + tick_deadline);
    if (!rows)
        co_return because(rows.error());
    co_await publisher_->flush();
    if (auto stop = judge())
        co_return stop;
    published(tick);
    notify_due_ = config_.notify;
    co_return std::nullopt;
}

// Publishes a heartbeat, and notices a stream that was lost while there was nothing to publish.
Task<Follower::Stop> Follower::beat(const std::string& snapshot) {
    beat_at_ = Clock::now();
    const auto last =
        co_await stream_.beat(publisher_->last(), heartbeat(epoch_, base_.id, snapshot));
    if (!last)
        co_return because(last.error());
    if (last.value() == publisher_->last()) {
        if (told_ == base_.id)
            co_return std::nullopt;
        if (auto error = co_await outbox_.tell(base_.id))
            co_return because(*error);
        told_ = base_.id;
        co_return std::nullopt;
    }
    co_return End{End::Cause::resync, "the stream \"" + config_.stream + "\" ends at " +
                                          last.value().text() + " instead of " +
                                          publisher_->last().text()};
}

Follower::Stop Follower::judge() {
    switch (publisher_->state()) {
        case Publisher::State::good:
            progress_.known = std::max(progress_.known, publisher_->last());
            return std::nullopt;
        case Publisher::State::mismatch:
            return End{End::Cause::resync, "the stream \"" + config_.stream + "\" ends at " +
                                               publisher_->last().text() +
                                               ", which was not expected"};
        case Publisher::State::failed:
            break;
    }
    return End{End::Cause::redis, "Redis: " + publisher_->error()};
}

}  // namespace muster::relay
