// The pure parts of the relay: ids, messages, the decision where to go on.
#include "relay/plan.hpp"

#include <limits>

#include <boost/test/unit_test.hpp>

#include "relay/message.hpp"
#include "relay/stream_id.hpp"

using namespace muster::relay;

namespace {

constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();

// Generation 3 began at tick 10; ticks 5 to 40 are kept and each has five entries.
Facts facts_with(StreamId last, StreamId ours) {
    Facts facts;
    facts.recorded =
        Recorded{.number = 3, .first_tick = 10, .same_history = true, .announced = true};
    facts.last = last;
    facts.ours = ours;
    facts.oldest_tick = 5;
    facts.newest_tick = 40;
    const std::uint64_t tick = ours.tick();
    facts.our_tick_kept = tick >= 5 && tick <= 40;
    facts.tick_before_ours = tick > 40 ? 40 : tick > 5 ? tick - 1 : 0;
    facts.our_tick_complete = facts.our_tick_kept && facts.tick_before_ours != 0 && ours.n >= 5;
    return facts;
}

Facts facts_at(StreamId last) {
    return facts_with(last, last.generation() == 3 ? last : StreamId{});
}

}  // namespace

BOOST_AUTO_TEST_CASE(ids_hold_generation_tick_and_number) {
    constexpr StreamId id = StreamId::of(3, 17, 2);
    static_assert(id.major_part == 3 * (std::uint64_t{1} << 40) + 17);
    static_assert(id.generation() == 3 && id.tick() == 17 && id.n == 2);
    BOOST_TEST(id.text() == "3298534883345-2");
    constexpr StreamId highest = StreamId::of(StreamId::most_generation, StreamId::most_tick, most);
    static_assert(highest.major_part == most);
    BOOST_TEST(highest.text() == "18446744073709551615-18446744073709551615");
    BOOST_TEST((StreamId::parse(highest.text()) == highest));
    BOOST_TEST((StreamId::parse("0-0") == StreamId{}));
    BOOST_TEST((StreamId::of(1, StreamId::most_tick, most) < StreamId::of(2, 0, 0)));
    BOOST_TEST((StreamId::of(1, 7, 9) < StreamId::of(1, 8, 0)));
    BOOST_TEST((StreamId::of(1, 7, 9) < StreamId::of(1, 7, 10)));
}

BOOST_AUTO_TEST_CASE(what_is_no_id_is_refused) {
    for (const char* text : {"", "-", "1", "1-", "-1", "1-1-1", "1-x", "x-1", " 1-1", "1-1 ",
                             "+1-1", "18446744073709551616-0", "0-18446744073709551616", "1--1"})
        BOOST_TEST(!StreamId::parse(text), text);
}

BOOST_AUTO_TEST_CASE(messages_are_spliced_in_front) {
    BOOST_TEST(splice({5, 2}, {5, 1}, "00ff", R"({"xid":"7","tags":[]})") ==
               R"({"id":"5-2","prev_id":"5-1","epoch":"00ff","xid":"7","tags":[]})");
    BOOST_TEST(heartbeat("00ff", 12, "3:5:4") ==
               R"({"epoch":"00ff","tick":12,"snapshot":"3:5:4"})");
    const std::string epoch = make_epoch();
    BOOST_TEST(epoch.size() == 16u);
    BOOST_TEST(epoch.find_first_not_of("0123456789abcdef") == std::string::npos);
    BOOST_TEST(epoch != make_epoch());
}

BOOST_AUTO_TEST_CASE(the_first_relay_begins_at_the_oldest_tick) {
    Facts facts = facts_at({});
    facts.recorded.reset();
    auto plan = decide(facts);
    BOOST_REQUIRE(plan);
    BOOST_TEST(plan->new_generation);
    BOOST_TEST(plan->reset);
    BOOST_TEST(plan->generation == 1u);
    BOOST_TEST(plan->base == 5u);
    BOOST_TEST(plan->skip == 0u);

    facts.last = StreamId::of(7, 123, 4);  // left by another database
    plan = decide(facts);
    BOOST_REQUIRE(plan);
    BOOST_TEST(plan->generation == 8u);
    BOOST_TEST(plan->base == 5u);

    facts.last = {};  // and forgotten by Redis, but not by its subscribers
    facts.known = StreamId::of(7, 123, 4);
    plan = decide(facts);
    BOOST_REQUIRE(plan);
    BOOST_TEST(plan->generation == 8u);
}

BOOST_AUTO_TEST_CASE(publishing_goes_on_behind_the_last_entry) {
    auto plan = decide(facts_at(StreamId::of(3, 20, 4)));
    BOOST_REQUIRE(plan);
    BOOST_TEST(!plan->new_generation);
    BOOST_TEST(!plan->reset);
    BOOST_TEST(plan->generation == 3u);
    BOOST_TEST(plan->base == 19u);
    BOOST_TEST(plan->skip == 4u);

    plan = decide(facts_at(StreamId::of(3, 10, 0)));  // the reset alone
    BOOST_REQUIRE(plan);
    BOOST_TEST(!plan->reset);
    BOOST_TEST(plan->base == 10u);
    BOOST_TEST(plan->skip == 0u);

    plan = decide(facts_at(StreamId::of(3, 11, 1)));  // the generation's first tick
    BOOST_REQUIRE(plan);
    BOOST_TEST(plan->base == 10u);
    BOOST_TEST(plan->skip == 1u);

    plan = decide(facts_at(StreamId::of(3, 40, 5)));  // complete
    BOOST_REQUIRE(plan);
    BOOST_TEST(plan->base == 40u);
    BOOST_TEST(plan->skip == 0u);
}

BOOST_AUTO_TEST_CASE(a_redis_that_lost_its_tail_gets_the_same_entries_again) {
    for (const StreamId last : {StreamId{}, StreamId::of(2, 30, 1), StreamId::of(1, 500, 1)}) {
        auto plan = decide(facts_at(last));
        BOOST_REQUIRE(plan);
        BOOST_TEST(!plan->new_generation);
        BOOST_TEST(plan->reset);
        BOOST_TEST(plan->generation == 3u);
        BOOST_TEST(plan->base == 10u);
    }
    Facts facts = facts_at({});
    facts.refill_after = 25;  // a full stream would not reach further back
    auto plan = decide(facts);
    BOOST_REQUIRE(plan);
    BOOST_TEST(!plan->reset);
    BOOST_TEST(plan->base == 25u);
    facts.refill_after = 0;
    facts.oldest_tick = 12;  // the generation's first tick is no longer kept
    plan = decide(facts);
    BOOST_REQUIRE(plan);
    BOOST_TEST(!plan->new_generation);
    BOOST_TEST(!plan->reset);
    BOOST_TEST(plan->base == 12u);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_continued_begins_a_generation) {
    auto ahead = decide(facts_at(StreamId::of(3, 41, 1)));
    BOOST_REQUIRE(ahead);
    BOOST_TEST(ahead->new_generation);
    BOOST_TEST(ahead->generation == 4u);
    BOOST_TEST(ahead->base == 40u);

    auto later = decide(facts_at(StreamId::of(9, 12, 1)));
    BOOST_REQUIRE(later);
    BOOST_TEST(later->new_generation);
    BOOST_TEST(later->generation == 10u);
    BOOST_TEST(later->base == 40u);

    // Our own entries below the foreign one tell how far we were.
    later = decide(facts_with(StreamId::of(9, 12, 1), StreamId::of(3, 30, 5)));
    BOOST_REQUIRE(later);
    BOOST_TEST(later->generation == 10u);
    BOOST_TEST(later->base == 30u);
    BOOST_TEST(later->skip == 0u);
    later = decide(facts_with(StreamId::of(9, 12, 1), StreamId::of(3, 30, 4)));
    BOOST_REQUIRE(later);
    BOOST_TEST(later->base == 29u);

    Facts facts = facts_at(StreamId::of(3, 20, 1));
    facts.oldest_tick = 30;
    facts.our_tick_kept = false;
    facts.tick_before_ours = 0;
    auto old = decide(facts);
    BOOST_REQUIRE(old);
    BOOST_TEST(old->new_generation);
    BOOST_TEST(old->generation == 4u);
    BOOST_TEST(old->base == 30u);

    // Kept, but not the one before: what was visible then is not known.
    facts = facts_at(StreamId::of(3, 30, 1));
    facts.oldest_tick = 30;
    facts.tick_before_ours = 0;
    old = decide(facts);
    BOOST_REQUIRE(old);
    BOOST_TEST(old->new_generation);
    BOOST_TEST(old->base == 30u);

    facts = facts_at(StreamId::of(3, 10, 0));
    facts.oldest_tick = 30;
    facts.our_tick_kept = false;
    old = decide(facts);
    BOOST_REQUIRE(old);
    BOOST_TEST(old->new_generation);
    BOOST_TEST(old->base == 30u);

    auto before_first = decide(facts_at(StreamId::of(3, 8, 1)));
    BOOST_REQUIRE(before_first);
    BOOST_TEST(before_first->new_generation);
}

BOOST_AUTO_TEST_CASE(another_history_takes_back_what_it_does_not_know) {
    // The last published tick was replicated: it may be unfinished, so it comes again.
    Facts facts = facts_at(StreamId::of(3, 20, 4));
    facts.recorded->same_history = false;
    auto plan = decide(facts);
    BOOST_REQUIRE(plan);
    BOOST_TEST(plan->new_generation);
    BOOST_TEST(plan->reset);
    BOOST_TEST(plan->generation == 4u);
    BOOST_TEST(plan->base == 19u);
    BOOST_TEST(plan->skip == 0u);

    facts = facts_at(StreamId::of(3, 20, 5));
    facts.recorded->same_history = false;
    plan = decide(facts);
    BOOST_REQUIRE(plan);
    BOOST_TEST(plan->new_generation);
    BOOST_TEST(plan->base == 20u);

    facts = facts_at(StreamId::of(3, 10, 0));
    facts.recorded->same_history = false;
    plan = decide(facts);
    BOOST_REQUIRE(plan);
    BOOST_TEST(plan->base == 10u);

    // Published, but lost with the old server: all that we have was published before.
    facts = facts_at(StreamId::of(3, 41, 1));
    facts.recorded->same_history = false;
    plan = decide(facts);
    BOOST_REQUIRE(plan);
    BOOST_TEST(plan->generation == 4u);
    BOOST_TEST(plan->base == 40u);

    facts = facts_at({});
    facts.recorded->same_history = false;
    facts.refill_after = 33;
    plan = decide(facts);
    BOOST_REQUIRE(plan);
    BOOST_TEST(plan->generation == 4u);
    BOOST_TEST(plan->base == 33u);

    facts = facts_at(StreamId::of(8, 20, 1));
    facts.recorded->same_history = false;
    plan = decide(facts);
    BOOST_REQUIRE(plan);
    BOOST_TEST(plan->generation == 9u);
    BOOST_TEST(plan->base == 40u);
}

BOOST_AUTO_TEST_CASE(a_foreign_id_may_leave_no_generation_above_it) {
    BOOST_TEST(!decide(facts_at({most, most})));
    auto last_one = decide(facts_at(StreamId::of(StreamId::most_generation - 1, 0, 0)));
    BOOST_REQUIRE(last_one);
    BOOST_TEST(last_one->generation == StreamId::most_generation);
}

// Whatever Redis holds, what is published next is above it, and a place to begin always exists.
BOOST_AUTO_TEST_CASE(every_plan_goes_forward) {
    for (const std::uint64_t generation : {0u, 1u, 2u, 3u, 4u, 5u})
        for (const std::uint64_t tick : {0u, 1u, 4u, 5u, 6u, 9u, 10u, 11u, 39u, 40u, 41u, 1000u})
            for (const std::uint64_t n : {0u, 1u, 7u})
                for (const bool same : {true, false}) {
                    const StreamId last = StreamId::of(generation, tick, n);
                    Facts facts = facts_at(last);
                    facts.recorded->same_history = same;
                    const auto plan = decide(facts);
                    BOOST_REQUIRE(plan);
                    BOOST_TEST(plan->base >= facts.oldest_tick);
                    BOOST_TEST(plan->base <= facts.newest_tick);
                    const StreamId next =
                        plan->reset
                            ? StreamId::of(plan->generation, plan->base, 0)
                            : StreamId::of(plan->generation, plan->base + 1, plan->skip + 1);
                    BOOST_TEST((next > last), last.text() << " then " << next.text());
                    BOOST_TEST(plan->new_generation == (plan->generation != 3u));
                }
}

BOOST_AUTO_TEST_CASE(what_was_dropped_unpublished_is_announced_by_a_generation_behind_it) {
    Facts facts = facts_at(StreamId::of(3, 20, 5));
    facts.dropped_tick = 25;
    facts.oldest_tick = 25;
    facts.our_tick_kept = false;
    facts.tick_before_ours = 0;
    auto plan = decide(facts);
    BOOST_REQUIRE(plan);
    BOOST_TEST(plan->new_generation);
    BOOST_TEST(plan->reset);
    BOOST_TEST(plan->generation == 4u);
    BOOST_TEST(plan->base == 25u);

    // Above what Redis holds, also where another database left that.
    facts.last = StreamId::of(8, 1, 1);
    plan = decide(facts);
    BOOST_REQUIRE(plan);
    BOOST_TEST(plan->generation == 9u);
    BOOST_TEST(plan->base >= 25u);

    // Announced: the generation begins there, and nothing more is owed.
    facts = facts_at(StreamId::of(3, 20, 5));
    facts.dropped_tick = 10;
    plan = decide(facts);
    BOOST_REQUIRE(plan);
    BOOST_TEST(!plan->new_generation);
}

BOOST_AUTO_TEST_CASE(a_generation_whose_reset_never_came_is_published_from_its_beginning) {
    Facts facts = facts_at(StreamId::of(2, 30, 1));
    facts.recorded->announced = false;
    facts.refill_after = 35;  // the stream would hold less
    auto plan = decide(facts);
    BOOST_REQUIRE(plan);
    BOOST_TEST(plan->reset);
    BOOST_TEST(plan->base == 10u);

    // One that was announced: Redis lost its tail, and is filled with what it keeps ...
    facts.recorded->announced = true;
    plan = decide(facts);
    BOOST_REQUIRE(plan);
    BOOST_TEST(!plan->reset);
    BOOST_TEST(plan->base == 35u);

    // ... but from further back where not all of that has been published.
    facts.published = 22;
    plan = decide(facts);
    BOOST_REQUIRE(plan);
    BOOST_TEST(plan->base == 22u);
    facts.published = 39;
    plan = decide(facts);
    BOOST_REQUIRE(plan);
    BOOST_TEST(plan->base == 35u);
}
