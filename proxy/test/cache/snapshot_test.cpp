// Snapshots and tokens: every pair of small snapshots against the definition.
#include <boost/test/unit_test.hpp>

#include <string>
#include <vector>

#include "cache/origin.hpp"
#include "cache/snapshot.hpp"
#include "cache/token.hpp"

using namespace muster::cache;

namespace {

constexpr Xid beyond = 9;  // above every xid of the small snapshots

// Every snapshot with xmax up to 7: all sets of transactions in progress below it.
std::vector<Snapshot> small_snapshots() {
    std::vector<Snapshot> all;
    for (Xid xmax = 1; xmax <= 7; ++xmax) {
        for (unsigned open = 0; open < 1U << (xmax - 1); ++open) {
            std::string xip;
            Xid xmin = xmax;
            for (Xid xid = xmax - 1; xid >= 1; --xid) {
                if ((open >> (xid - 1) & 1) != 0) {
                    xip = std::to_string(xid) + (xip.empty() ? "" : ",") + xip;
                    xmin = xid;
                }
            }
            const std::string text = std::to_string(xmin) + ':' + std::to_string(xmax) + ':' + xip;
            auto snapshot = Snapshot::parse(text);
            BOOST_REQUIRE_MESSAGE(snapshot, text);
            BOOST_REQUIRE_EQUAL(snapshot->text(), text);
            all.push_back(*std::move(snapshot));
        }
    }
    return all;
}

Snapshot snapshot(std::string_view text) {
    auto parsed = Snapshot::parse(text);
    BOOST_REQUIRE(parsed);
    return *std::move(parsed);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(snapshots)

BOOST_AUTO_TEST_CASE(see_what_ended_before_them) {
    const Snapshot s = snapshot("10:20:10,14,15");
    for (const Xid seen : {1, 9, 11, 13, 16, 19}) {
        BOOST_CHECK(s.sees(seen));
    }
    for (const Xid unseen : {10, 14, 15, 20, 21}) {
        BOOST_CHECK(!s.sees(unseen));
    }
    const Snapshot large =
        snapshot("18446744073709551600:18446744073709551610:18446744073709551601");
    BOOST_CHECK(large.sees(18446744073709551600U));
    BOOST_CHECK(!large.sees(18446744073709551601U));
    BOOST_CHECK(!Snapshot().sees(1));
}

BOOST_AUTO_TEST_CASE(of_a_standby_are_certain_below_xmin_only) {
    const Snapshot s = snapshot("10:20:").certain_on_standby();
    BOOST_CHECK(s.sees(9));
    BOOST_CHECK(!s.sees(10));
    BOOST_CHECK(!s.sees(19));
    BOOST_CHECK(!s.covers(snapshot("20:20:")));
    BOOST_CHECK(s.covers(snapshot("8:10:8")));
}

BOOST_AUTO_TEST_CASE(cover_and_join_as_sets_do) {
    const auto all = small_snapshots();
    for (const Snapshot& a : all) {
        for (const Snapshot& b : all) {
            bool contains = true;
            const Snapshot joined = a.joined(b);
            for (Xid xid = 1; xid <= beyond; ++xid) {
                contains = contains && (!b.sees(xid) || a.sees(xid));
                BOOST_REQUIRE_EQUAL(joined.sees(xid), a.sees(xid) || b.sees(xid));
            }
            // The server's xmax is right behind a transaction that has ended, so that the
            // comparison of the two xmax demands nothing beyond the definition.
            const bool of_server = b.xmax() == 1 || b.sees(b.xmax() - 1);
            BOOST_REQUIRE_MESSAGE(a.covers(b) == contains || (!of_server && !a.covers(b)),
                                  a.text() << " covers " << b.text());
            BOOST_REQUIRE(joined.covers(a) && joined.covers(b));
            BOOST_REQUIRE(Snapshot::parse(joined.text()) == joined);
        }
    }
}

BOOST_AUTO_TEST_CASE(include_transactions_and_keep_what_they_saw) {
    for (const Snapshot& base : small_snapshots()) {
        for (Xid first = 1; first <= 8; ++first) {
            for (Xid second = 1; second <= 8; ++second) {
                const std::vector<Xid> xids{first, second};
                const Snapshot more = base.including(xids);
                BOOST_REQUIRE(more.covers(base));
                BOOST_REQUIRE(more.sees(first) && more.sees(second));
                // What was open before stays open, unless it is named.
                for (const Xid open : base.in_progress()) {
                    BOOST_REQUIRE_EQUAL(more.sees(open), open == first || open == second);
                }
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(are_refused_when_malformed) {
    for (const char* text : {"",
                             "1",
                             "1:2",
                             ":",
                             "::",
                             "0:1:",
                             "2:1:",
                             "1:2:3",
                             "1:5:0",
                             "2:5:1",
                             "1:5:2,2",
                             "1:5:3,2",
                             "1:5:2,",
                             "1:5:,2",
                             "1:5:2 ",
                             " 1:5:",
                             "1:5:2;3",
                             "-1:5:",
                             "1:99999999999999999999:",
                             "a:b:c"}) {
        BOOST_CHECK_MESSAGE(!Snapshot::parse(text), text);
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(tokens)

BOOST_AUTO_TEST_CASE(are_an_epoch_and_a_transaction) {
    const auto token = Token::parse("a2fd757b8ba0a59b:737");
    BOOST_REQUIRE(token);
    BOOST_CHECK_EQUAL(token->epoch, "a2fd757b8ba0a59b");
    BOOST_CHECK_EQUAL(token->xid, 737U);
    BOOST_CHECK_EQUAL(token->text(), "a2fd757b8ba0a59b:737");
    for (const char* text : {"", ":", "a:", ":1", "a:0", "a:-1", "a:1x", "a:1:2", "A:1", "a b:1",
                             "a:99999999999999999999"}) {
        BOOST_CHECK_MESSAGE(!Token::parse(text), text);
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(origins)

BOOST_AUTO_TEST_CASE(say_snapshot_transaction_and_server) {
    const auto read = Origin::parse("5:9:7|0|primary|1.5|2.5|muster");
    BOOST_REQUIRE(read);
    BOOST_CHECK_EQUAL(read->snapshot.text(), "5:9:7");
    BOOST_CHECK_EQUAL(read->xid, 0U);
    BOOST_CHECK_EQUAL(read->incarnation, "1.5|2.5|muster");
    const auto write = Origin::parse("5:9:|12|primary|1|2|d|b");
    BOOST_REQUIRE(write);
    BOOST_CHECK_EQUAL(write->xid, 12U);
    const auto standby = Origin::parse("5:9:|0|standby|1|2|d");
    BOOST_REQUIRE(standby);
    BOOST_CHECK(!standby->snapshot.sees(6));
    for (const char* text : {"", "5:9:", "5:9:|x|primary|1", "5:9:|0|third|1", "5|0|primary|1",
                             "5:9:|0|primary|", "5:9:|0|primary"}) {
        BOOST_CHECK_MESSAGE(!Origin::parse(text), text);
    }
}

BOOST_AUTO_TEST_SUITE_END()
