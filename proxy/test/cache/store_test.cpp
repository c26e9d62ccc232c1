// L1's bounds and order, and entries in the form of L2.
#include <boost/test/unit_test.hpp>

#include <string>
#include <thread>
#include <vector>

#include "cache/entry.hpp"
#include "cache/store.hpp"

using namespace muster::cache;

namespace {

constexpr std::size_t MiB = 1024 * 1024;

EntryPtr entry(std::size_t size, std::string_view snapshot = "10:10:", Fence::Era era = 1) {
    Entry made;
    made.snapshot = Snapshot::parse(snapshot).value();
    made.era = era;
    made.body = std::string(size, 'x');
    return std::make_shared<const Entry>(std::move(made));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(store)

BOOST_AUTO_TEST_CASE(never_holds_more_than_its_bytes) {
    Store store(16 * MiB);
    for (int i = 0; i < 5000; ++i) {
        store.put("key " + std::to_string(i), entry(10000));
        BOOST_REQUIRE(store.bytes() <= 16 * MiB);
    }
    BOOST_CHECK(store.bytes() > 14 * MiB);
    BOOST_CHECK_EQUAL(store.evictions() + store.entries(), 5000U);
    store.put("large", entry(2 * MiB));  // more than a shard's part
    BOOST_CHECK(!store.get("large"));
    store.clear();
    BOOST_CHECK_EQUAL(store.bytes(), 0U);
    BOOST_CHECK_EQUAL(store.entries(), 0U);
}

BOOST_AUTO_TEST_CASE(keeps_what_is_used) {
    Store store(1 * MiB);
    store.put("used", entry(1000));
    for (int i = 0; i < 5000; ++i) {
        store.put("key " + std::to_string(i), entry(1000));
        BOOST_REQUIRE(store.get("used"));
    }
    BOOST_CHECK(!store.get("key 0"));
    BOOST_CHECK(store.get("key 4999"));
}

BOOST_AUTO_TEST_CASE(a_late_answer_does_not_replace_one_that_saw_more) {
    Store store(1 * MiB);
    store.put("k", entry(1, "20:20:"));
    store.put("k", entry(2, "10:10:"));
    BOOST_CHECK_EQUAL(store.get("k")->body.size(), 1U);
    store.put("k", entry(3, "20:20:"));  // read again
    BOOST_CHECK_EQUAL(store.get("k")->body.size(), 3U);
    store.put("k", entry(4, "5:5:", 2));  // of a new era
    BOOST_CHECK_EQUAL(store.get("k")->body.size(), 4U);
    store.put("k", entry(5, "30:30:", 1));
    BOOST_CHECK_EQUAL(store.get("k")->body.size(), 4U);
    const auto old = store.get("k");
    store.put("k", entry(6, "6:6:", 2));
    store.erase("k", old);
    BOOST_CHECK(store.get("k"));
    store.erase("k", store.get("k"));
    BOOST_CHECK(!store.get("k"));
    BOOST_CHECK_EQUAL(store.bytes(), 0U);
}

BOOST_AUTO_TEST_CASE(may_be_used_by_many_threads) {
    Store store(1 * MiB);
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 4; ++t) {
        threads.emplace_back([&store, t] {
            for (unsigned i = 0; i < 20000; ++i) {
                const std::string key = std::to_string((i * 7 + t) % 500);
                if (const auto found = store.get(key); !found || i % 10 == 0) {
                    store.put(key, entry(i % 5000));
                } else if (i % 17 == 0) {
                    store.erase(key, found);
                }
            }
        });
    }
    for (auto& thread : threads) {
        thread.join();
    }
    BOOST_CHECK(store.bytes() <= 1 * MiB);
    store.clear();
    BOOST_CHECK_EQUAL(store.bytes(), 0U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(packed_entries)

BOOST_AUTO_TEST_CASE(come_back_as_they_were) {
    Entry made;
    made.snapshot = Snapshot::parse("5:900:5,77").value();
    made.status = 203;
    made.body = std::string("{\"a\":\n\0 1}", 10);
    made.next = "cursor\n1";
    made.etag = "\"e\"";
    const auto back = Entry::unpack(made.packed());
    BOOST_REQUIRE(back);
    BOOST_CHECK(back->snapshot == made.snapshot);
    BOOST_CHECK_EQUAL(back->status, 203U);
    BOOST_CHECK_EQUAL(back->body, made.body);
    BOOST_CHECK_EQUAL(back->next, made.next);
    BOOST_CHECK_EQUAL(back->etag, made.etag);
}

BOOST_AUTO_TEST_CASE(are_refused_when_malformed) {
    Entry made;
    made.snapshot = Snapshot::parse("5:5:").value();
    made.next = "next";
    made.etag = "\"etag\"";
    const std::string whole = made.packed();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        BOOST_CHECK(!Entry::unpack(whole.substr(0, size)));
    }
    for (const char* text :
         {"2 200 5:5: 0 0\n", "1 99 5:5: 0 0\n", "1 200 5 0 0\n", "1 200 5:5: 1 0\n",
          "1 200 5:5: 0 18446744073709551615\n", "1 200 5:5: -1 0\n", "\n"}) {
        BOOST_CHECK_MESSAGE(!Entry::unpack(text), text);
    }
}

BOOST_AUTO_TEST_SUITE_END()
