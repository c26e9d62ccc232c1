// Where to go on: a decision without I/O.
#include "relay/plan.hpp"

#include <algorithm>

namespace muster::relay {

namespace {

// Above whatever subscribers may have seen, also where both servers have forgotten it.
std::optional<Plan> begin_generation(const Facts& facts, std::uint64_t base, std::string reason) {
    std::uint64_t number = std::max(facts.last.generation(), facts.known.generation());
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

// The last tick of our generation that is published to its end, as far as that is known.
std::optional<std::uint64_t> published_to(const Facts& facts) {
    const std::uint64_t first = facts.recorded->first_tick;
    if (facts.ours.tick() == first && facts.ours.n == 0 && facts.oldest_tick <= first)
        return first;  // our reset alone
    if (facts.our_tick_kept && facts.our_tick_complete)
        return facts.ours.tick();
    if (facts.our_tick_kept && facts.tick_before_ours >= first && facts.tick_before_ours != 0)
        return facts.tick_before_ours;
    return std::nullopt;
}

// Where a new generation begins that follows ours. What it repeats comes behind its reset.
std::uint64_t successor_base(const Facts& facts) {
    if (facts.ours == StreamId{})
        return facts.last == StreamId{} ? std::max(facts.oldest_tick, facts.refill_after)
                                        : facts.newest_tick;
    // Lost with another server, but published: all that is kept was published before.
    if (facts.ours.tick() > facts.newest_tick)
        return facts.newest_tick;
    return published_to(facts).value_or(facts.oldest_tick);
}

}  // namespace

std::optional<Plan> decide(const Facts& facts) {
    if (!facts.recorded)  // all that is kept is unpublished
        return begin_generation(facts, facts.oldest_tick, "first generation");
    const Recorded& recorded = *facts.recorded;
    if (!recorded.same_history)  // a promoted standby, a restored or copied database
        return begin_generation(facts, successor_base(facts), "another history of the database");
    if (facts.last.generation() > recorded.number)
        return begin_generation(facts, successor_base(facts),
                                "the stream holds a later generation");

    if (facts.dropped_tick > recorded.first_tick)  // and not announced since
        return begin_generation(facts, facts.oldest_tick, "changes were dropped unpublished");

    Plan plan;
    plan.generation = recorded.number;
    if (facts.last.generation() < recorded.number) {
        // Empty, or from before our reset: either the reset never came there, and everything is to
        // follow it, or Redis lost its tail, and gets the same entries again, as many as it keeps.
        plan.base = std::max(recorded.first_tick, facts.oldest_tick);
        if (recorded.announced) {
            const bool behind = facts.published != 0 && facts.published < facts.refill_after;
            plan.base = std::max(plan.base, behind ? facts.published : facts.refill_after);
        }
        plan.reset = plan.base == recorded.first_tick;
        return plan;
    }
    if (facts.ours.tick() > facts.newest_tick)
        return begin_generation(facts, facts.newest_tick, "the stream is ahead of the database");
    const auto base = published_to(facts);
    if (!base)
        return begin_generation(facts, facts.oldest_tick, "older than what is kept");
    plan.base = *base;
    plan.skip = *base < facts.ours.tick() ? facts.ours.n : 0;
    return plan;
}

}  // namespace muster::relay
