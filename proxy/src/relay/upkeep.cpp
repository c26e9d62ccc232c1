// Keeps the outbox within its bounds.
#include "relay/upkeep.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>

namespace muster::relay {

// Logs what is out of the ordinary, once and not every second.
void Upkeep::log(const Outbox::Rotation& rotation) {
    if (rotation.dropped > 0)
        spdlog::warn("relay: the outbox reached its bounds: {} changes were dropped unpublished",
                     rotation.dropped);
    else if (rotation.step == "in use" && last_step_ != rotation.step)
        spdlog::warn(
            "relay: the outbox is due for rotation, but a transaction holds its oldest table; "
            "muster.relay_status() says which");
    last_step_ = rotation.step;
}

Task<Outbox::Outcome<bool>> Upkeep::rotate(Outbox& outbox, std::uint64_t published) {
    bool dropped = false;
    // Emptying the next table and beginning it are two steps; one more call finds nothing to do.
    for (int steps = 0; steps < 3; ++steps) {
        auto rotation = co_await outbox.rotate(published, config_.outbox_rows, config_.outbox_age);
        if (!rotation)
            co_return std::move(rotation).error();
        log(rotation.value());
        const std::string& step = rotation.value().step;
        if (step == "begun")
            count(stats_.rotations);
        if (step == "dropped") {
            count(stats_.dropped, rotation.value().dropped);
            dropped = true;
            published = 0;  // from here on it is what the tables say
        }
        if (step != "begun" && step != "emptied" && step != "dropped")
            break;
    }
    co_return dropped;
}

Task<Outbox::Outcome<bool>> Upkeep::tend(Outbox& outbox, std::uint64_t published) {
    auto newest = co_await outbox.newest_tick();
    if (!newest)
        co_return std::move(newest).error();
    const auto probe = co_await outbox.probe(newest.value());
    if (!probe)
        co_return probe.error();
    if (probe.value().made)
        count(stats_.ticks);
    const auto dropped = co_await rotate(outbox, published);
    if (!dropped)
        co_return dropped.error();
    if (Clock::now() >= backlog_due_) {
        if (auto error = co_await measure(outbox, dropped.value() ? 0 : published))
            co_return std::move(*error);
    }
    co_return dropped;
}

// Counting a long backlog takes its time, so it is done the less often the longer it takes.
Task<Outbox::Failure> Upkeep::measure(Outbox& outbox, std::uint64_t published) {
    const TimePoint started = Clock::now();
    std::uint64_t at = published;
    if (at == 0) {
        const auto known = co_await outbox.published_at_rotation();
        if (!known)
            co_return known.error();
        at = known.value();
    }
    auto base = co_await outbox.tick_before(at + 1);
    if (!base && base.error().sqlstate != Outbox::not_kept)
        co_return base.error();
    Tick from;
    from.snapshot = "3:3:";  // before everything
    if (base)
        from = std::move(base).value();
    const auto backlog = co_await outbox.backlog(from);
    if (!backlog)
        co_return backlog.error();
    set(stats_.backlog_rows, backlog.value().rows);
    set(stats_.backlog_age_us, backlog.value().age.count());
    const TimePoint ended = Clock::now();
    backlog_due_ =
        ended + std::max<Clock::duration>(std::chrono::seconds(1), 20 * (ended - started));
    co_return std::nullopt;
}

}  // namespace muster::relay
