// Where to go on: a decision without I/O.
#include "relay/plan.hpp"

#include <algorithm>

namespace muster::relay {

namespace {

std::optional<Plan> begin_generation(const Facts& facts, std::uint64_t base, std::string reason) {
    std::uint64_t number = facts.last.generation();
    if (facts.recorded)
        number = std::max(number, facts.recorded->number);
    if (number >= StreamId::most_generation)
        return std::nullopt;
    return Plan{.generation = number + 1,
                .new_generation = true,
                .reset = true,
                .base = base,
                .skip = 0,
                .reason = std::move(reason)};
}

}  // namespace

std::optional<Plan> decide(const Facts& facts) {
    const StreamId last = facts.last;
    if (!facts.recorded)  // all that is kept is unpublished
        return begin_generation(facts, facts.oldest_tick, "first generation");
    const Recorded& ours = *facts.recorded;
    const bool is_ours = last.generation() == ours.number;

    if (!ours.same_history) {
        // A promoted standby, a restored or copied database.
        constexpr const char* reason = "another history of the database";
        if (last == StreamId{})
            return begin_generation(facts, std::max(facts.oldest_tick, facts.refill_after), reason);
        // If the last tick published is part of this history, nothing published has been lost. That
        // tick may be unfinished, so it is published again.
        if (is_ours && last.tick() == ours.first_tick && last.n == 0 && facts.last_tick_kept)
            return begin_generation(facts, ours.first_tick, reason);
        if (is_ours && facts.last_tick_kept && facts.tick_before_last != 0)
            return begin_generation(facts, facts.tick_before_last, reason);
        // Otherwise all that is kept was published before what got lost.
        return begin_generation(facts, facts.newest_tick, reason);
    }
    if (last.generation() > ours.number)
        return begin_generation(facts, facts.newest_tick, "the stream holds a later generation");

    Plan plan;
    plan.generation = ours.number;
    if (!is_ours) {
        // Empty, or from before our reset: a Redis that lost its tail. The same entries again.
        plan.base = std::max({ours.first_tick, facts.refill_after, facts.oldest_tick});
        plan.reset = plan.base == ours.first_tick;
        return plan;
    }
    if (last.tick() == ours.first_tick && last.n == 0) {
        if (ours.first_tick < facts.oldest_tick)
            return begin_generation(facts, facts.oldest_tick, "older than what is kept");
        plan.base = ours.first_tick;
        return plan;
    }
    if (facts.last_tick_kept && facts.tick_before_last >= ours.first_tick &&
        facts.tick_before_last != 0) {
        plan.base = facts.tick_before_last;
        plan.skip = last.n;
        return plan;
    }
    if (last.tick() > facts.newest_tick)
        return begin_generation(facts, facts.newest_tick, "the stream is ahead of the database");
    return begin_generation(facts, facts.oldest_tick, "older than what is kept");
}

}  // namespace muster::relay
