// What the leader does.
#include "relay/follower.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "relay/message.hpp"

namespace muster::relay {

namespace {

constexpr std::chrono::milliseconds heartbeat_interval{200};
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
    known_ = std::max(known_, last.value());
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
    const auto facts =
        co_await outbox_.facts(recorded.value(), last.value(), ours, config_.stream_length);
    if (!facts)
        co_return because(facts.error());
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
        }
    }
    publisher_.emplace(
        stream_, stats_,
        Publisher::Position{.last = last.value(), .previous = previous, .known = known_}, epoch_);
    if (plan->reset)
        co_return co_await publish_reset();
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
            if (pause_.stopped())
                break;
        }
    }
    co_return std::nullopt;
}

// Makes a tick whenever something became visible, and publishes it. Asks every `poll_busy` while
// there is something, less and less often up to `poll_idle` while there is not.
Task<Follower::Stop> Follower::keep_up() {
    Clock::duration interval = config_.poll_busy;
    while (!pause_.stopped()) {
        const TimePoint started = Clock::now();
        auto probe = co_await outbox_.probe(base_);
        if (!probe)
            co_return because(probe.error());
        if (probe.value().made) {
            count(stats_.ticks);
            const Tick tick{*probe.value().made, probe.value().snapshot};
            if (auto stop = co_await publish(tick))
                co_return stop;
            const auto lag = Clock::now() - started;
            set(stats_.lag_us, std::chrono::duration_cast<std::chrono::microseconds>(lag).count());
            interval = config_.poll_busy;
        } else {
            interval = std::min<Clock::duration>(interval * 2, config_.poll_idle);
        }
        // Everything visible in the probe's snapshot has been published now.
        if (Clock::now() - beat_at_ >= heartbeat_interval) {
            if (auto stop = co_await beat(probe.value().snapshot))
                co_return stop;
        }
        if (const TimePoint next = started + interval; next > Clock::now())
            co_await pause_.sleep(next - Clock::now());
    }
    co_return std::nullopt;
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
    base_ = tick;
    skip_ = 0;
    co_return std::nullopt;
}

// Publishes a heartbeat, and notices a stream that was lost while there was nothing to publish.
Task<Follower::Stop> Follower::beat(const std::string& snapshot) {
    const auto last = co_await stream_.beat(heartbeat(epoch_, base_.id, snapshot));
    if (!last)
        co_return because(last.error());
    beat_at_ = Clock::now();
    if (last.value() == publisher_->last())
        co_return std::nullopt;
    co_return End{End::Cause::resync, "the stream \"" + config_.stream + "\" ends at " +
                                          last.value().text() + " instead of " +
                                          publisher_->last().text()};
}

Follower::Stop Follower::judge() {
    switch (publisher_->state()) {
        case Publisher::State::good:
            known_ = std::max(known_, publisher_->last());
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
