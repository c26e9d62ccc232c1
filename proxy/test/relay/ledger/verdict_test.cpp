// The verdict of the fault tests itself: a good ledger passes, and each kind of bad one is caught.
#include <algorithm>

#include <boost/test/unit_test.hpp>

#include "relay/ledger/verdict.hpp"

using namespace muster::test::ledger;
using muster::relay::StreamId;

namespace {

StreamId id(std::uint64_t tick, std::uint64_t n = 1) {
    return StreamId::of(1, tick, n);
}

// Aggregates a and b; what was rolled back left nothing; one unknown outcome of each kind.
Evidence good_evidence() {
    Evidence evidence;
    evidence.ledger = {{Told::acknowledged, true, {{"a", "1"}, {"b", "1"}}},
                       {Told::rolled_back, true, {{"a", "undone"}}},
                       {Told::acknowledged, true, {{"a", "2"}}},
                       {Told::unknown, true, {{"a", "3"}}},
                       {Told::unknown, true, {{"b", "vanished"}}}};
    evidence.table = {{"a", "1"}, {"a", "2"}, {"a", "3"}, {"b", "1"}};
    evidence.stream = {{id(1, 0), {}, std::nullopt},
                       {id(2, 1), id(1, 0), Change{"a", "1"}},
                       {id(2, 2), id(2, 1), Change{"b", "1"}},
                       {id(3), id(2, 2), Change{"a", "2"}},
                       {id(4), id(3), Change{"a", "3"}}};
    evidence.sightings = {evidence.stream[2], evidence.stream[1]};
    evidence.subscriber.entries = evidence.stream;
    return evidence;
}

// Links the stream anew, after a test has changed its entries, and lets the subscriber hear it.
void relink(Evidence& evidence) {
    StreamId previous;
    for (Entry& entry : evidence.stream) {
        entry.previous = previous;
        previous = entry.id;
    }
    evidence.subscriber.entries = evidence.stream;
}

// Everything that may be wrong, so that a test sees that nothing else is.
std::vector<std::size_t> wrongs(const Verdict& v) {
    return {v.lost,         v.duplicates, v.out_of_order, v.phantoms,   v.ids_back,
            v.broken_links, v.ids_reused, v.unheard,      v.heard_twice};
}
using Wrongs = std::vector<std::size_t>;

}  // namespace

BOOST_AUTO_TEST_CASE(a_good_ledger_passes) {
    const Verdict verdict = judge(good_evidence());
    BOOST_TEST(verdict.good());
    BOOST_TEST(wrongs(verdict) == Wrongs({0, 0, 0, 0, 0, 0, 0, 0, 0}));
    BOOST_TEST(verdict.findings.empty());
    BOOST_TEST(verdict.acknowledged == 3u);
    BOOST_TEST(verdict.unknown == 2u);
    BOOST_TEST(verdict.rolled_back == 1u);
    BOOST_TEST(verdict.in_stream == 4u);
    BOOST_TEST(verdict.resets == 1u);
    BOOST_TEST(verdict.gaps == 0u);
    BOOST_TEST(verdict.trimmed == 0u);
}

BOOST_AUTO_TEST_CASE(a_change_that_was_not_published_is_lost) {
    auto evidence = good_evidence();
    evidence.stream.erase(evidence.stream.begin() + 3);
    relink(evidence);
    const Verdict verdict = judge(evidence);
    BOOST_TEST(!verdict.good());
    BOOST_TEST(wrongs(verdict) == Wrongs({1, 0, 0, 0, 0, 0, 0, 0, 0}));
    BOOST_REQUIRE(verdict.findings.size() == 1u);
    BOOST_TEST(verdict.findings[0] == "\"a 2\" is in the table, but was not published");
}

BOOST_AUTO_TEST_CASE(an_acknowledged_change_that_left_no_trace_is_lost) {
    auto evidence = good_evidence();
    evidence.ledger.push_back({Told::acknowledged, true, {{"a", "4"}}});
    BOOST_TEST(wrongs(judge(evidence)) == Wrongs({1, 0, 0, 0, 0, 0, 0, 0, 0}));
    // A crash excuses what was not durable, and nothing else.
    evidence.crashed = true;
    BOOST_TEST(judge(evidence).lost == 1u);
    evidence.ledger.back().durable = false;
    BOOST_TEST(judge(evidence).good());
    BOOST_TEST(judge(evidence).taken_back == 1u);
    evidence.crashed = false;
    BOOST_TEST(judge(evidence).lost == 1u);
}

BOOST_AUTO_TEST_CASE(an_unknown_change_that_committed_must_be_published) {
    auto evidence = good_evidence();
    evidence.stream.pop_back();
    relink(evidence);
    BOOST_TEST(wrongs(judge(evidence)) == Wrongs({1, 0, 0, 0, 0, 0, 0, 0, 0}));
}

BOOST_AUTO_TEST_CASE(an_entry_that_left_the_stream_is_lost) {
    auto evidence = good_evidence();
    evidence.sightings.push_back({id(3, 2), id(3), Change{"a", "2"}});
    evidence.stream[3].id = id(3);
    const Verdict verdict = judge(evidence);
    BOOST_TEST(verdict.lost == 1u);
    BOOST_TEST(verdict.duplicates == 1u);
    BOOST_TEST(verdict.unheard == 1u);
}

BOOST_AUTO_TEST_CASE(a_change_under_two_ids_is_a_duplicate) {
    auto evidence = good_evidence();
    evidence.stream.push_back({id(5), {}, Change{"b", "1"}});
    relink(evidence);
    // The subscriber cannot drop it by its id, so it heard it twice.
    BOOST_TEST(wrongs(judge(evidence)) == Wrongs({0, 1, 0, 0, 0, 0, 0, 0, 1}));
}

BOOST_AUTO_TEST_CASE(a_change_that_was_not_committed_is_a_phantom) {
    for (const Change& phantom :
         {Change{"b", "vanished"}, Change{"a", "undone"}, Change{"c", "never heard of"}}) {
        auto evidence = good_evidence();
        evidence.stream.push_back({id(5), {}, phantom});
        relink(evidence);
        BOOST_TEST(wrongs(judge(evidence)) == Wrongs({0, 0, 0, 1, 0, 0, 0, 0, 0}));
    }
}

// It was said before a crash, and both the change and the entry are gone.
BOOST_AUTO_TEST_CASE(a_phantom_that_only_a_subscriber_saw_counts) {
    auto evidence = good_evidence();
    evidence.crashed = true;
    evidence.ledger.push_back({Told::acknowledged, false, {{"a", "4"}}});
    evidence.sightings.push_back({id(5), id(4), Change{"a", "4"}});
    const Verdict verdict = judge(evidence);
    BOOST_TEST(verdict.phantoms == 1u);
    BOOST_TEST(verdict.lost == 1u);
}

BOOST_AUTO_TEST_CASE(a_table_that_holds_what_nobody_wrote_or_what_was_undone_is_caught) {
    for (const char* words : {"undone", "nobody's"}) {
        auto evidence = good_evidence();
        evidence.table.push_back({"a", words});
        evidence.stream.push_back({id(5), {}, Change{"a", words}});
        relink(evidence);
        BOOST_TEST(wrongs(judge(evidence)) == Wrongs({0, 0, 0, 1, 0, 0, 0, 0, 0}));
    }
}

BOOST_AUTO_TEST_CASE(changes_of_an_aggregate_in_another_order_are_caught) {
    auto evidence = good_evidence();
    std::swap(evidence.stream[3].change, evidence.stream[4].change);
    evidence.subscriber.entries = evidence.stream;
    BOOST_TEST(wrongs(judge(evidence)) == Wrongs({0, 0, 1, 0, 0, 0, 0, 0, 0}));
    // Those of different aggregates have no order.
    evidence = good_evidence();
    evidence.sightings.clear();
    std::swap(evidence.stream[1].change, evidence.stream[2].change);
    evidence.subscriber.entries = evidence.stream;
    BOOST_TEST(judge(evidence).good());
}

BOOST_AUTO_TEST_CASE(an_id_that_went_back_is_caught) {
    auto evidence = good_evidence();
    evidence.stream[4].id = id(2, 3);
    relink(evidence);
    const Verdict verdict = judge(evidence);
    BOOST_TEST(verdict.ids_back == 2u);  // in the stream and at the subscriber
    BOOST_TEST(verdict.out_of_order == 1u);
}

BOOST_AUTO_TEST_CASE(an_id_that_stands_twice_in_the_stream_is_caught) {
    auto evidence = good_evidence();
    evidence.stream.push_back(evidence.stream.back());
    BOOST_TEST(judge(evidence).ids_back == 1u);
}

BOOST_AUTO_TEST_CASE(a_broken_link_is_caught) {
    auto evidence = good_evidence();
    evidence.stream[3].previous = id(2, 1);
    BOOST_TEST(wrongs(judge(evidence)) == Wrongs({0, 0, 0, 0, 0, 1, 0, 0, 0}));
    evidence = good_evidence();
    evidence.stream[0].previous = id(0, 7);
    BOOST_TEST(wrongs(judge(evidence)) == Wrongs({0, 0, 0, 0, 0, 1, 0, 0, 0}));
}

// A stream that was filled again says other things under the same ids.
BOOST_AUTO_TEST_CASE(an_id_that_means_something_else_later_is_caught) {
    auto evidence = good_evidence();
    evidence.sightings.push_back({id(3), id(2, 2), Change{"a", "3"}});
    BOOST_TEST(wrongs(judge(evidence)) == Wrongs({0, 0, 0, 0, 0, 0, 1, 0, 0}));
    evidence = good_evidence();
    evidence.sightings.push_back({id(3), id(2, 2), std::nullopt});
    BOOST_TEST(wrongs(judge(evidence)) == Wrongs({0, 0, 0, 0, 0, 0, 1, 0, 0}));
}

BOOST_AUTO_TEST_CASE(what_a_subscriber_missed_without_being_told_is_caught) {
    auto evidence = good_evidence();
    evidence.subscriber.entries.erase(evidence.subscriber.entries.begin() + 2);
    BOOST_TEST(wrongs(judge(evidence)) == Wrongs({0, 0, 0, 0, 0, 0, 0, 1, 0}));
    evidence.subscriber.gaps.emplace_back(id(2, 1), id(2, 2));
    BOOST_TEST(judge(evidence).good());
    BOOST_TEST(judge(evidence).gaps == 1u);
    // A gap excuses what is in it only.
    evidence.subscriber.entries.pop_back();
    BOOST_TEST(judge(evidence).unheard == 1u);
}

BOOST_AUTO_TEST_CASE(a_subscriber_that_took_an_id_twice_is_caught) {
    auto evidence = good_evidence();
    evidence.subscriber.entries.push_back(evidence.subscriber.entries.back());
    const Verdict verdict = judge(evidence);
    BOOST_TEST(verdict.heard_twice == 1u);
    BOOST_TEST(verdict.ids_back == 1u);
}

// A bounded stream forgets its oldest entries, and they were published all the same.
BOOST_AUTO_TEST_CASE(what_was_trimmed_was_published) {
    auto evidence = good_evidence();
    evidence.stream.erase(evidence.stream.begin(), evidence.stream.begin() + 2);
    const Verdict verdict = judge(evidence);
    BOOST_TEST(verdict.good());
    BOOST_TEST(verdict.trimmed == 2u);
    BOOST_TEST(verdict.in_stream == 4u);
}

// Another server took over: it lacks a change that was published, and says one again.
BOOST_AUTO_TEST_CASE(a_reset_takes_back_what_is_gone_and_nothing_more) {
    auto evidence = good_evidence();
    evidence.crashed = true;
    evidence.ledger.push_back({Told::acknowledged, false, {{"b", "gone"}}});
    evidence.ledger.push_back({Told::acknowledged, true, {{"b", "new"}}});
    evidence.table.push_back({"b", "new"});
    const auto later = [](std::uint64_t n) { return StreamId::of(2, 4, n); };
    const std::vector<Entry> more = {{id(5), {}, Change{"b", "gone"}},
                                     {later(0), {}, std::nullopt},
                                     {later(1), {}, Change{"a", "3"}},
                                     {later(2), {}, Change{"b", "new"}}};
    evidence.stream.insert(evidence.stream.end(), more.begin(), more.end());
    relink(evidence);
    Verdict verdict = judge(evidence);
    BOOST_TEST(verdict.good());
    BOOST_TEST(verdict.withdrawn == 1u);
    BOOST_TEST(verdict.repeated == 1u);
    BOOST_TEST(verdict.taken_back == 1u);
    BOOST_TEST(verdict.resets == 2u);
    // Behind the reset nothing may be a phantom, said twice or in disorder.
    auto worse = evidence;
    worse.stream.push_back({later(3), {}, Change{"b", "gone"}});
    relink(worse);
    BOOST_TEST(wrongs(judge(worse)) == Wrongs({0, 0, 0, 1, 0, 0, 0, 0, 0}));
    worse = evidence;
    worse.stream.push_back({later(3), {}, Change{"b", "new"}});
    relink(worse);
    BOOST_TEST(wrongs(judge(worse)) == Wrongs({0, 1, 0, 0, 0, 0, 0, 0, 1}));
    worse = evidence;
    worse.stream.push_back({later(3), {}, Change{"a", "2"}});
    relink(worse);
    BOOST_TEST(wrongs(judge(worse)) == Wrongs({0, 0, 1, 0, 0, 0, 0, 0, 0}));
}

BOOST_AUTO_TEST_CASE(nothing_at_all_is_good_and_silence_is_not) {
    BOOST_TEST(judge({}).good());
    auto evidence = good_evidence();
    evidence.stream.clear();
    evidence.sightings.clear();
    evidence.subscriber.entries.clear();
    BOOST_TEST(judge(evidence).lost == 4u);
}

// The findings are bounded, the counts are not.
BOOST_AUTO_TEST_CASE(findings_are_few_and_counts_are_exact) {
    Evidence evidence;
    for (int i = 0; i < 1000; ++i)
        evidence.ledger.push_back({Told::acknowledged, true, {{"a", std::to_string(i)}}});
    const Verdict verdict = judge(evidence);
    BOOST_TEST(verdict.lost == 1000u);
    BOOST_TEST(verdict.findings.size() == 20u);
}
