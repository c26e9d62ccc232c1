// A crowd of live clients, some of whom stand still: the others get everything, and those are told
// where to go on.
#include <boost/test/unit_test.hpp>

#include "push/crowd.hpp"
#include "push/world.hpp"

using namespace muster;
using namespace muster::test;
using namespace std::chrono_literals;

BOOST_AUTO_TEST_CASE(five_hundred_clients_of_whom_fifty_are_stalled) {
    prepare_process();  // a thousand sockets
    constexpr std::size_t readers = 450;
    constexpr std::size_t stalled = 50;
    constexpr std::size_t events = 1500;
    constexpr std::size_t lead = 50;
    constexpr double queue_bytes = 256 * 1024;
    World world("write_timeout = \"120s\"\n[push]\nqueue_bytes = \"256KiB\"\n");
    Crowd crowd({world.proxy->port(), world.key, readers, stalled}, [](std::string_view) {});
    crowd.come();
    BOOST_TEST(world.proxy->metric("push_clients{kind=\"websocket\"}") == readers / 2);
    BOOST_TEST(world.proxy->metric("push_clients{kind=\"sse\"}") == readers / 2 + stalled);

    const std::size_t begun = world.stream_length_now();
    double most_waiting = 0;
    for (std::size_t i = 0; i < events; ++i) {
        world.session->run("INSERT INTO things (aggregate, key, fill) VALUES ('a', '" +
                           std::to_string(i) + "', repeat('x', 1000))");
        most_waiting = std::max(most_waiting, world.proxy->metric("push_queue_bytes"));
        // However busy the machine is, readers that read are not overrun.
        if (i % lead == 0 && i > lead) {
            wait_until("the readers to keep up",
                       [&] { return crowd.readers_with(i - lead) == readers; });
        }
    }
    wait_until("all readers to have all events",
               [&] { return crowd.readers_with(events) == readers; });
    wait_until("the stalled to be given up",
               [&] { return world.proxy->metric("push_queue_bytes") == 0; });
    crowd.wake_stalled();
    wait_until("the stalled to have heard it", [&] { return crowd.stalled_ended(); });

    // What waits is bounded, and at once forgotten when it is too much.
    BOOST_TEST(most_waiting <= (readers + stalled) * queue_bytes);
    BOOST_TEST(world.proxy->metric("push_overflows_total") == stalled);
    const auto entries = world.stream();
    std::size_t ids = 0;
    for (std::size_t i = begun; i < entries.size(); ++i) {
        ids = Crowd::hash(ids, entries[i].id);
    }
    for (const Crowd::Ledger& ledger : crowd.readers()) {
        BOOST_REQUIRE(ledger.events == events);
        BOOST_REQUIRE(ledger.ids == ids);
        BOOST_REQUIRE(!ledger.ended);
    }
    for (const Crowd::Ledger& ledger : crowd.stalled()) {
        BOOST_REQUIRE(ledger.events > 0U);
        BOOST_REQUIRE(ledger.events < events);
        BOOST_REQUIRE(ledger.overflow == ledger.last);
    }
    // Who goes on from there misses nothing.
    const Crowd::Ledger one = crowd.stalled().front();
    SseConnection again(world.proxy->port(), "/events/stream?resume=" + one.overflow,
                        world.header());
    BOOST_REQUIRE(again.status == 200);
    BOOST_TEST(again.next()->kind == "subscribed");
    std::size_t all = one.ids;
    for (std::size_t i = one.events; i < events; ++i) {
        all = Crowd::hash(all, again.next_news()->id);
    }
    BOOST_TEST(all == ids);
}
