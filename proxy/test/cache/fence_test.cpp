// The cache's rule, without servers: what may be served after which news, and the feed that brings
// them.
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "cache/feed.hpp"
#include "cache/fence.hpp"
#include "cache/message.hpp"

using namespace muster;
using namespace muster::cache;
using namespace std::chrono_literals;
using Verdict = Fence::Verdict;

namespace muster::cache {
std::ostream& operator<<(std::ostream& out, Verdict verdict) {
    return out << static_cast<int>(verdict);
}
}  // namespace muster::cache

namespace {

const TimePoint start{1h};
using Tags = std::vector<std::string>;
const Tags agents{"agents"};
const Tags one{"agents:1"};

Snapshot snapshot(std::string_view text) {
    return Snapshot::parse(text).value();
}

// A fence that has heard of epoch "a" up to 100.
struct Alive {
    Fence fence;
    explicit Alive(std::size_t tags_per_shard = 1024) : fence(tags_per_shard) {
        fence.heartbeat("a", snapshot("100:100:"), start);
    }
    Verdict judge(std::string_view text, const Tags& tags, TimePoint now = start) const {
        return fence.judge(snapshot(text), fence.era(), tags, now);
    }
};

std::string event(int id, int prev, const std::string& epoch, int xid,
                  const std::string& tags = R"("agents","agents:1")") {
    return R"({"id":")" + std::to_string(id) + R"(-1","prev_id":")" + std::to_string(prev) +
           R"(-1","epoch":")" + epoch + R"(","xid":")" + std::to_string(xid) + R"(","tags":[)" +
           tags + R"(],"event_type":"x","payload":{"id":1}})";
}

std::string beat(const std::string& epoch, int tick, const std::string& text) {
    return R"({"epoch":")" + epoch + R"(","tick":)" + std::to_string(tick) + R"(,"snapshot":")" +
           text + R"("})";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(fence)

BOOST_AUTO_TEST_CASE(serves_nothing_before_the_first_heartbeat_and_a_second_after_the_last) {
    Fence fence;
    BOOST_CHECK_EQUAL(fence.judge(snapshot("200:200:"), fence.era(), agents, start),
                      Verdict::no_heartbeat);
    fence.heartbeat("a", snapshot("100:100:"), start);
    const auto at = [&](TimePoint now) {
        return fence.judge(snapshot("200:200:"), fence.era(), agents, now);
    };
    BOOST_CHECK_EQUAL(at(start), Verdict::serve);
    BOOST_CHECK_EQUAL(at(start + 999ms), Verdict::serve);
    BOOST_CHECK_EQUAL(at(start + 1s), Verdict::no_heartbeat);
    // After a silence, what was read before it has to cover what was published meanwhile.
    fence.heartbeat("a", snapshot("300:300:"), start + 2s);
    BOOST_CHECK_EQUAL(at(start + 2s), Verdict::floor);
    BOOST_CHECK_EQUAL(fence.judge(snapshot("300:300:"), fence.era(), agents, start + 2s),
                      Verdict::serve);
}

BOOST_AUTO_TEST_CASE(serves_what_has_seen_every_known_change_of_its_tags) {
    Alive a;
    a.fence.change("a", Tags{"agents", "agents:1"}, 110);
    BOOST_CHECK_EQUAL(a.judge("105:105:", agents), Verdict::changed);
    BOOST_CHECK_EQUAL(a.judge("105:105:", one), Verdict::changed);
    BOOST_CHECK_EQUAL(a.judge("105:105:", {"agents:2"}), Verdict::serve);
    BOOST_CHECK_EQUAL(a.judge("105:105:", {"agents:2", "agents:1"}), Verdict::changed);
    BOOST_CHECK_EQUAL(a.judge("110:115:110", agents), Verdict::changed);
    BOOST_CHECK_EQUAL(a.judge("112:115:112", agents), Verdict::serve);
    // An older change that is heard of later counts just as much.
    a.fence.change("a", agents, 103);
    BOOST_CHECK_EQUAL(a.judge("103:115:103", agents), Verdict::changed);
    BOOST_CHECK_EQUAL(a.judge("111:111:", agents), Verdict::serve);
}

BOOST_AUTO_TEST_CASE(is_not_spoilt_by_a_transaction_that_stays_open) {
    Fence fence;
    fence.heartbeat("a", snapshot("50:100:50"), start);
    for (Xid xid = 100; xid < 200; ++xid) {
        fence.change("a", agents, xid);
    }
    BOOST_CHECK_EQUAL(fence.judge(snapshot("50:200:50"), fence.era(), agents, start),
                      Verdict::serve);
    // When it ends after all, it counts.
    fence.change("a", agents, 50);
    BOOST_CHECK_EQUAL(fence.judge(snapshot("50:200:50"), fence.era(), agents, start),
                      Verdict::changed);
    for (Xid xid = 200; xid < 220; ++xid) {
        fence.change("a", agents, xid);
    }
    BOOST_CHECK(fence.judge(snapshot("50:220:50"), fence.era(), agents, start) != Verdict::serve);
    BOOST_CHECK_EQUAL(fence.judge(snapshot("220:220:"), fence.era(), agents, start),
                      Verdict::serve);
}

BOOST_AUTO_TEST_CASE(begins_an_era_with_each_epoch_and_never_goes_back) {
    Alive a;
    const auto era = a.fence.era();
    a.fence.change("b", agents, 60);
    BOOST_CHECK(a.fence.era() != era);
    BOOST_CHECK_EQUAL(a.fence.judge(snapshot("200:200:"), era, agents, start),
                      Verdict::no_heartbeat);
    a.fence.heartbeat("b", snapshot("50:50:"), start);
    BOOST_CHECK_EQUAL(a.fence.judge(snapshot("200:200:"), era, agents, start), Verdict::other_era);
    BOOST_CHECK_EQUAL(a.judge("61:61:", agents), Verdict::serve);
    BOOST_CHECK_EQUAL(a.judge("55:55:", agents), Verdict::changed);
    const auto second = a.fence.era();
    a.fence.change("a", agents, 500);
    a.fence.heartbeat("a", snapshot("500:500:"), start + 10h);
    BOOST_CHECK_EQUAL(a.fence.era(), second);
    BOOST_CHECK_EQUAL(a.fence.epoch(), "b");
    BOOST_CHECK(!a.fence.alive(start + 10h));
    BOOST_CHECK(!a.fence.era_of("a"));
    BOOST_CHECK(a.fence.era_of("b") == second);
    BOOST_CHECK(!a.fence.era_of(""));
}

BOOST_AUTO_TEST_CASE(needs_a_heartbeat_after_losing_touch) {
    Alive a;
    a.fence.lose_touch();
    BOOST_CHECK_EQUAL(a.judge("200:200:", agents), Verdict::no_heartbeat);
    a.fence.heartbeat("a", snapshot("150:160:150"), start + 100ms);
    const TimePoint now = start + 100ms;
    BOOST_CHECK_EQUAL(a.judge("159:159:", agents, now), Verdict::floor);
    BOOST_CHECK_EQUAL(a.judge("150:170:150,165", agents, now), Verdict::serve);
    BOOST_CHECK_EQUAL(a.judge("155:170:155", agents, now), Verdict::floor);
}

BOOST_AUTO_TEST_CASE(a_write_counts_at_once_and_gives_a_token) {
    Alive a;
    BOOST_CHECK(a.fence.observe("i", a.fence.era(), start) == a.fence.era());
    BOOST_CHECK_EQUAL(a.fence.wrote("i", a.fence.era(), agents, 120, start), "a");
    BOOST_CHECK_EQUAL(a.judge("119:119:", agents), Verdict::changed);
    BOOST_CHECK_EQUAL(a.judge("121:121:", agents), Verdict::serve);
}

BOOST_AUTO_TEST_CASE(a_restarted_server_begins_an_era_before_its_relay_is_heard) {
    Alive a;
    const auto before = a.fence.era();
    BOOST_CHECK(a.fence.observe("i", before, start) == before);
    // A write of the new server, whose transaction id the old one had given too.
    BOOST_CHECK_EQUAL(a.fence.wrote("j", before, agents, 90, start), "");
    const auto after = a.fence.era();
    BOOST_CHECK(after != before);
    // The old relay's heartbeats, still under way, say nothing.
    a.fence.heartbeat("a", snapshot("101:101:"), start + 1ms);
    BOOST_CHECK(!a.fence.alive(start + 1ms));
    // A late answer of the old server belongs to no era that counts.
    BOOST_CHECK(!a.fence.observe("i", before, start));
    BOOST_CHECK_EQUAL(a.fence.era(), after);
    // The new relay is heard: the write is still known.
    a.fence.heartbeat("b", snapshot("80:80:"), start + 2ms);
    BOOST_CHECK_EQUAL(a.fence.era(), after);
    BOOST_CHECK_EQUAL(a.fence.judge(snapshot("85:85:"), after, agents, start + 2ms),
                      Verdict::changed);
    BOOST_CHECK_EQUAL(a.fence.judge(snapshot("91:91:"), after, agents, start + 2ms),
                      Verdict::serve);
    BOOST_CHECK_EQUAL(a.fence.wrote("j", after, agents, 95, start + 2ms), "b");
    // A late write of the old server changes nothing here.
    BOOST_CHECK_EQUAL(a.fence.wrote("i", before, agents, 1000, start + 2ms), "");
    BOOST_CHECK_EQUAL(a.fence.judge(snapshot("96:96:"), after, agents, start + 2ms),
                      Verdict::serve);
}

BOOST_AUTO_TEST_CASE(an_epoch_that_goes_on_is_believed_again_after_the_quarantine) {
    Alive a;
    a.fence.observe("i", a.fence.era(), start);
    a.fence.observe("j", a.fence.era(), start);  // statistics were reset, nothing else
    a.fence.heartbeat("a", snapshot("101:101:"), start + 4s);
    BOOST_CHECK(!a.fence.alive(start + 4s));
    a.fence.heartbeat("a", snapshot("101:101:"), start + 5s);
    BOOST_CHECK(a.fence.alive(start + 5s));
    BOOST_CHECK_EQUAL(a.judge("101:101:", agents, start + 5s), Verdict::serve);
}

BOOST_AUTO_TEST_CASE(a_new_relay_tells_of_a_restart_before_any_answer_does) {
    Alive a;
    a.fence.observe("i", a.fence.era(), start);
    const auto before = a.fence.era();
    a.fence.heartbeat("b", snapshot("90:90:"), start);
    const auto after = a.fence.era();
    BOOST_CHECK(!a.fence.observe("i", before, start));  // late
    BOOST_CHECK(a.fence.observe("j", after, start) == after);
    BOOST_CHECK_EQUAL(a.fence.era(), after);
    BOOST_CHECK_EQUAL(a.fence.epoch(), "b");
}

BOOST_AUTO_TEST_CASE(says_whether_tags_have_changed_since) {
    Alive a;
    const auto moment = a.fence.now_known();
    BOOST_CHECK(a.fence.unchanged_since(moment, agents));
    a.fence.change("a", Tags{"goals"}, 110);
    BOOST_CHECK(a.fence.unchanged_since(moment, agents));
    a.fence.change("a", agents, 111);
    BOOST_CHECK(!a.fence.unchanged_since(moment, agents));
    BOOST_CHECK(a.fence.unchanged_since(a.fence.now_known(), agents));
    const auto later = a.fence.now_known();
    a.fence.lose_touch();
    a.fence.heartbeat("a", snapshot("120:120:"), start);
    BOOST_CHECK(!a.fence.unchanged_since(later, agents));
}

// Random changes of more tags than fit, in random order, with heartbeats: whatever is served has
// seen every change of its tags, and what has seen everything is served.
BOOST_AUTO_TEST_CASE(forgets_single_changes_but_never_their_effect) {
    std::mt19937 random(1);
    for (int round = 0; round < 200; ++round) {
        Alive a(2);
        std::vector<std::pair<std::string, Xid>> known;
        for (Xid xid = 100; xid < 160; ++xid) {
            const std::string tag = "agents:" + std::to_string(random() % 400);
            const Xid changed = 100 + random() % (xid - 99);
            a.fence.change("a", Tags{"agents", tag}, changed);
            known.emplace_back(tag, changed);
            if (random() % 16 == 0) {
                a.fence.heartbeat(
                    "a", snapshot(std::to_string(xid) + ":" + std::to_string(xid) + ":"), start);
            }
            const Xid xmax = 100 + random() % 61;
            const Xid open = 100 + random() % 60;
            const Snapshot e =
                snapshot(open < xmax ? std::to_string(open) + ":" + std::to_string(xmax) + ":" +
                                           std::to_string(open)
                                     : std::to_string(xmax) + ":" + std::to_string(xmax) + ":");
            const auto& [asked, ignored] = known[random() % known.size()];
            for (const Tags& tags : {Tags{asked}, agents}) {
                if (a.fence.judge(e, a.fence.era(), tags, start) != Verdict::serve) {
                    continue;
                }
                for (const auto& [changed_tag, change] : known) {
                    if (changed_tag == tags[0] || tags == agents) {
                        BOOST_REQUIRE(e.sees(change));
                    }
                }
            }
            BOOST_REQUIRE_EQUAL(a.judge("161:161:", {asked}), Verdict::serve);
        }
        BOOST_REQUIRE(a.fence.tags_known() <= 64 * 2);
    }
}

// Readers judge while the era changes: an entry is never served once a change of it was known.
BOOST_AUTO_TEST_CASE(is_safe_between_threads) {
    Alive a;
    std::atomic<bool> stop{false};
    std::string epoch = "a";
    a.fence.change(epoch, agents, 100);  // before anybody takes it for known
    std::atomic<Xid> known{100};
    std::atomic<int> wrong{0};
    std::vector<std::thread> readers;
    for (int i = 0; i < 2; ++i) {
        readers.emplace_back([&] {
            while (!stop) {
                const auto era = a.fence.era();
                const Xid before = known;
                const Snapshot old =
                    snapshot(std::to_string(before) + ":" + std::to_string(before) + ":");
                if (a.fence.era() == era &&
                    a.fence.judge(old, era, agents, start) == Verdict::serve) {
                    ++wrong;  // `before` was known, and this has not seen it
                }
            }
        });
    }
    for (int i = 0; i < 20000; ++i) {
        const Xid xid = 101 + static_cast<Xid>(i);
        if (i % 100 == 0) {
            epoch = "e" + std::to_string(i);
        }
        a.fence.change(epoch, agents, xid);
        known = xid;
        a.fence.heartbeat(
            epoch, snapshot(std::to_string(xid + 1) + ":" + std::to_string(xid + 1) + ":"), start);
    }
    stop = true;
    for (auto& reader : readers) {
        reader.join();
    }
    BOOST_CHECK_EQUAL(wrong, 0);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(messages)

BOOST_AUTO_TEST_CASE(are_read_as_the_relay_writes_them) {
    const auto change = Change::parse(
        R"({"id":"1099511627778-3","prev_id":"1099511627778-2","epoch":"ab","xid":"737",)"
        R"("tags":["agents", "agents:a\"b\\c\u0009d","größe"],"event_type":"x","payload":{"id":"9"}})");
    BOOST_REQUIRE(change);
    BOOST_CHECK_EQUAL(change->id, "1099511627778-3");
    BOOST_CHECK_EQUAL(change->prev_id, "1099511627778-2");
    BOOST_CHECK_EQUAL(change->epoch, "ab");
    BOOST_CHECK_EQUAL(change->xid, 737U);
    const Tags tags{"agents", "agents:a\"b\\c\td", "größe"};
    BOOST_CHECK(change->tags == tags);
    BOOST_CHECK_EQUAL(Change::tick_of(change->id).value(), 2U);
    BOOST_CHECK(!Change::tick_of("x-1"));
    const auto heartbeat = Heartbeat::parse(R"({"epoch":"ab","tick":12,"snapshot":"5:9:7"})");
    BOOST_REQUIRE(heartbeat);
    BOOST_CHECK_EQUAL(heartbeat->tick, 12U);
    BOOST_CHECK_EQUAL(heartbeat->snapshot.text(), "5:9:7");
}

BOOST_AUTO_TEST_CASE(that_are_cut_off_anywhere_are_refused) {
    const std::string whole = event(2, 1, "a", 5);
    const std::size_t end = whole.find(']') + 1;
    for (std::size_t size = 0; size < end; ++size) {
        BOOST_CHECK(!Change::parse(whole.substr(0, size)));
    }
    BOOST_CHECK(Change::parse(whole.substr(0, end)));
    const std::string heartbeat = beat("a", 1, "5:9:7");
    for (std::size_t size = 0; size < heartbeat.size() - 1; ++size) {
        BOOST_CHECK(!Heartbeat::parse(heartbeat.substr(0, size)));
    }
    for (const char* text : {R"({"epoch":"","tick":1,"snapshot":"1:1:"})",
                             R"({"epoch":"a","tick":-1,"snapshot":"1:1:"})",
                             R"({"epoch":"a","tick":1,"snapshot":"x"})", "[]", "null"}) {
        BOOST_CHECK(!Heartbeat::parse(text));
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(feed)

struct Feeding {
    Fence fence;
    FeedCounters counters;
    Feed feed{fence, counters};
    Feeding() {
        feed.lose_touch();
        feed.heartbeat(beat("a", 1, "100:100:"), start);
    }
    Verdict judge(std::string_view text) const {
        return fence.judge(snapshot(text), fence.era(), agents, start);
    }
};

BOOST_AUTO_TEST_CASE(a_gap_stops_serving_until_the_next_heartbeat) {
    Feeding f;
    f.feed.change(event(2, 1, "a", 101));
    f.feed.change(event(3, 2, "a", 102));
    BOOST_CHECK_EQUAL(f.judge("103:103:"), Verdict::serve);
    f.feed.change(event(5, 4, "a", 104));
    BOOST_CHECK_EQUAL(f.judge("105:105:"), Verdict::no_heartbeat);
    BOOST_CHECK_EQUAL(f.counters.gaps.value(), 1U);
    f.feed.heartbeat(beat("a", 5, "106:106:"), start);
    BOOST_CHECK_EQUAL(f.judge("105:105:"), Verdict::floor);
    BOOST_CHECK_EQUAL(f.judge("106:106:"), Verdict::serve);
}

BOOST_AUTO_TEST_CASE(a_heartbeat_tells_of_a_tick_that_was_not_heard_of) {
    Feeding f;
    f.feed.change(event(2, 1, "a", 101));
    f.feed.heartbeat(beat("a", 2, "103:103:"), start);
    BOOST_CHECK_EQUAL(f.judge("102:102:"), Verdict::serve);
    f.feed.heartbeat(beat("a", 3, "105:105:"), start);
    BOOST_CHECK_EQUAL(f.judge("102:102:"), Verdict::floor);
    BOOST_CHECK_EQUAL(f.judge("105:105:"), Verdict::serve);
    BOOST_CHECK_EQUAL(f.counters.gaps.value(), 1U);
}

BOOST_AUTO_TEST_CASE(a_change_of_a_whole_table_is_one_of_each_of_its_keys) {
    const auto judged = [](const std::string& tags) {
        Feeding f;
        f.feed.change(event(2, 1, "a", 101, tags));
        return f.fence.judge(snapshot("101:101:"), f.fence.era(),
                             Tags{"agents:1", whole_table("agents:")}, start);
    };
    BOOST_CHECK_EQUAL(judged(R"("agents")"), Verdict::changed);
    BOOST_CHECK_EQUAL(judged(R"("agents","goals:1")"), Verdict::changed);
    BOOST_CHECK_EQUAL(judged(R"("agents","agents:1")"), Verdict::changed);
    BOOST_CHECK_EQUAL(judged(R"("agents","agents:2")"), Verdict::serve);
    BOOST_CHECK_EQUAL(judged(R"("agents","agents:")"), Verdict::serve);  // an empty key
    BOOST_CHECK_EQUAL(judged(R"("goals","goals:1","agents:2")"), Verdict::serve);
    BOOST_CHECK_EQUAL(judged(R"("agents_old")"), Verdict::serve);
}

BOOST_AUTO_TEST_CASE(resets_and_what_cannot_be_read_count_as_gaps) {
    for (const std::string& message :
         {event(2, 1, "a", 0, ""), event(2, 1, "a", 101, ""), std::string("{}"), std::string()}) {
        Feeding f;
        f.feed.change(message);
        BOOST_CHECK_EQUAL(f.judge("200:200:"), Verdict::no_heartbeat);
        f.feed.heartbeat(beat("a", 2, "150:150:"), start);
        BOOST_CHECK_EQUAL(f.judge("149:149:"), Verdict::floor);
        BOOST_CHECK_EQUAL(f.judge("150:150:"), Verdict::serve);
    }
}

BOOST_AUTO_TEST_CASE(what_comes_in_another_order_is_known_all_the_same) {
    Feeding f;
    f.feed.change(event(3, 2, "a", 102));
    f.feed.change(event(2, 1, "a", 101));
    f.feed.heartbeat(beat("a", 3, "103:103:"), start);
    BOOST_CHECK_EQUAL(f.judge("101:104:101"), Verdict::floor);
    BOOST_CHECK_EQUAL(f.judge("104:104:"), Verdict::serve);
}

BOOST_AUTO_TEST_SUITE_END()
