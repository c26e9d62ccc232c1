// Live clients with an exact ledger: whatever breaks, each gets every event once and in order.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <random>

#include "push/world.hpp"

using namespace muster;
using namespace muster::test;
using namespace std::chrono_literals;

namespace {

enum class Kind { sse, websocket };

// A client that comes back behind the last id it has, and keeps what it was told.
class Follower {
  public:
    Follower(World& world, Kind kind, std::string filter = "")
        : world_(world), kind_(kind), filter_(std::move(filter)) {}

    // Connects, behind the last id if there is one.
    void come() {
        const std::string query = filter_.empty() ? "?" : "?" + filter_ + "&";
        if (kind_ == Kind::sse) {
            const std::string last = at_.empty() ? "" : "Last-Event-ID: " + at_ + "\r\n";
            connection_ = std::make_unique<SseConnection>(
                world_.proxy->port(), "/events/stream" + query, world_.header() + last);
        } else {
            const std::string resume = at_.empty() ? "" : "resume=" + at_;
            connection_ = std::make_unique<WebSocketConnection>(
                world_.proxy->port(), "/ws" + query + resume, world_.header());
        }
        BOOST_REQUIRE_MESSAGE(connection_->status < 300, connection_->answer);
    }
    // Hangs up in the middle of whatever it is.
    void go() { connection_.reset(); }
    bool is_here() const { return connection_ != nullptr; }

    // Takes what comes until it is told of this id, or `count` things.
    void take(std::size_t count, const std::string& until = "") {
        for (std::size_t i = 0; i < count && (until.empty() || at_ != until); ++i) {
            const auto told = connection_->next();
            if (!told) {
                go();
                come();
                continue;
            }
            at_ = told->id.empty() ? at_ : told->id;
            if (told->kind == "event") {
                ids.push_back(told->id);
            } else if (told->kind == "reset") {
                ++resets;
            }
        }
    }

    std::vector<std::string> ids;
    int resets = 0;

  private:
    World& world_;
    const Kind kind_;
    const std::string filter_;
    std::unique_ptr<LiveConnection> connection_;
    std::string at_;
};

// The ids of the stream's changes, of all aggregates or of one, behind the first `skip` entries.
std::vector<std::string> changes_of(const World& world, std::size_t skip,
                                    const std::string& aggregate = "") {
    std::vector<std::string> ids;
    const auto entries = world.stream();
    for (std::size_t i = skip; i < entries.size(); ++i) {
        if (entries[i].event_type != "reset" &&
            (aggregate.empty() || entries[i].aggregate_id == aggregate)) {
            ids.push_back(entries[i].id);
        }
    }
    return ids;
}

void check_equal(const std::vector<std::string>& got, const std::vector<std::string>& expected) {
    const auto [at, other] =
        std::mismatch(got.begin(), got.end(), expected.begin(), expected.end());
    BOOST_TEST((at == got.end() && other == expected.end()),
               "after " << at - got.begin() << " of " << expected.size() << ": "
                        << (at == got.end() ? "nothing" : *at) << " instead of "
                        << (other == expected.end() ? "nothing" : *other));
}

// Commits one more change, and has everybody hear it.
std::string mark(World& world, const std::string& aggregate = "mark") {
    const std::size_t before = world.stream_length_now();
    world.insert(aggregate, "last");
    wait_until("the mark", [&] { return world.stream_length_now() > before; });
    return world.stream().back().id;
}

}  // namespace

// Fifty times at random points, while writers write, for each kind of client.
BOOST_AUTO_TEST_CASE(clients_that_come_and_go_miss_nothing) {
    World world;
    const std::size_t begun = world.stream_length_now();
    Follower sse(world, Kind::sse);
    Follower websocket(world, Kind::websocket);
    Follower filtered(world, Kind::sse, "aggregate_id=shared1");
    const std::vector<Follower*> all{&sse, &websocket, &filtered};
    for (Follower* follower : all) {
        follower->come();
        follower->take(1);  // from here on it is told
    }
    {
        Writers writers(world.database, 3);
        std::minstd_rand random(1);
        for (int round = 0; round < 50; ++round) {
            for (Follower* follower : all) {
                follower->take(1 + random() % (follower == &filtered ? 4 : 12));
                follower->go();
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(random() % 20));
            for (Follower* follower : all) {
                follower->come();
            }
        }
        writers.stop();
    }
    check_stream(world.database, world.relay_settings(), world.redis.tcp());
    const std::string last = mark(world, "shared1");
    for (Follower* follower : all) {
        follower->take(1000000, last);
        BOOST_TEST(follower->resets == 0);
    }
    check_equal(sse.ids, changes_of(world, begun));
    check_equal(websocket.ids, changes_of(world, begun));
    check_equal(filtered.ids, changes_of(world, begun, "shared1"));
    BOOST_TEST(sse.ids.size() > 200U);
    BOOST_TEST(world.proxy->metric("push_replays_total") >= 150);
}

// The clients stay, and notice nothing.
BOOST_AUTO_TEST_CASE(redis_is_killed_and_forgets_everything) {
    World world;
    const std::size_t begun = world.stream_length_now();
    Follower sse(world, Kind::sse);
    Follower websocket(world, Kind::websocket);
    sse.come();
    sse.take(1);
    websocket.come();
    websocket.take(1);
    Writers writers(world.database, 3);
    for (int round = 0; round < 5; ++round) {
        sse.take(60);
        if (round % 2 == 0) {
            world.redis.kill();
            std::this_thread::sleep_for(200ms);
            world.redis.start();
        } else {
            world.redis.cli({"FLUSHALL"});
        }
        websocket.take(60);
    }
    // The relay is not at it: nothing is lost with what it has not published yet.
    world.redis.kill();
    world.relay.reset();
    std::this_thread::sleep_for(300ms);
    world.redis.start();
    world.relay = std::make_unique<RelayThread>(world.relay_settings(), world.redis.tcp());
    writers.stop();
    check_stream(world.database, world.relay_settings(), world.redis.tcp());
    const std::string last = mark(world);
    sse.take(1000000, last);
    websocket.take(1000000, last);
    BOOST_TEST(sse.resets == 0);
    BOOST_TEST(websocket.resets == 0);
    check_equal(sse.ids, changes_of(world, begun));
    check_equal(websocket.ids, changes_of(world, begun));
}

// Subscribers that Redis drops, or that miss messages, read them from the stream.
BOOST_AUTO_TEST_CASE(the_hubs_subscription_is_broken_again_and_again) {
    World world;
    const std::size_t begun = world.stream_length_now();
    Follower sse(world, Kind::sse);
    sse.come();
    sse.take(1);
    Writers writers(world.database, 3);
    for (int round = 0; round < 20; ++round) {
        sse.take(20);
        world.redis.cli({"CLIENT", "KILL", "TYPE", "pubsub"});
    }
    writers.stop();
    check_stream(world.database, world.relay_settings(), world.redis.tcp());
    sse.take(1000000, mark(world));
    BOOST_TEST(sse.resets == 0);
    check_equal(sse.ids, changes_of(world, begun));
}

// Redis and the database are both made anew, and the relay too: it counts from the beginning.
BOOST_AUTO_TEST_CASE(another_stream_takes_the_place_of_the_one_before) {
    World world;
    for (int i = 0; i < 30; ++i) {
        mark(world);
    }
    SseConnection sse(world.proxy->port(), "/events/stream", world.header());
    WebSocketConnection filtered(world.proxy->port(), "/ws?aggregate_id=after", world.header());
    for (LiveConnection* one : std::initializer_list<LiveConnection*>{&sse, &filtered}) {
        BOOST_TEST(one->next_news()->kind == "subscribed");
    }
    const std::string before = world.stream().back().id;

    const std::string another = make_database();
    world.relay.reset();
    world.redis.cli({"FLUSHALL"});
    world.relay = std::make_unique<RelayThread>(relay_config(another), world.redis.tcp());
    for (LiveConnection* one : std::initializer_list<LiveConnection*>{&sse, &filtered}) {
        const auto reset = one->next_news();
        BOOST_REQUIRE(reset);
        BOOST_TEST(reset->kind == "reset", reset->text);
        BOOST_TEST(member(reset->text, "reason") == "lost");
    }
    BOOST_REQUIRE(Session(another).insert("after", "there"));
    for (LiveConnection* one : std::initializer_list<LiveConnection*>{&sse, &filtered}) {
        const auto event = one->next_news();
        BOOST_REQUIRE(event);
        BOOST_TEST(parse(event->text).key == "there");
    }
    BOOST_TEST((*push::StreamId::parse(world.stream().back().id) < *push::StreamId::parse(before)));
}

BOOST_AUTO_TEST_CASE(who_was_away_too_long_is_reset) {
    World world("", 1000);
    const std::string first = world.stream().front().id;
    world.session->run(
        "INSERT INTO things (aggregate, key) SELECT 'a', i::text FROM generate_series(1, 3000) i");
    wait_until("the stream to be trimmed", [&] {
        const auto entries = world.stream();
        return entries.size() < 2000 && entries.back().key == "3000";
    });
    const auto kept = world.stream();
    for (const std::string& resume : {first, std::string("0-0")}) {
        SseConnection sse(world.proxy->port(), "/events/stream?resume=" + resume, world.header());
        BOOST_REQUIRE(sse.status == 200);
        BOOST_TEST(sse.next()->kind == "subscribed");
        const auto reset = sse.next_news();
        BOOST_TEST(reset->kind == "reset");
        BOOST_TEST(reset->id == kept.front().prev_id);
        BOOST_TEST(member(reset->text, "reason") == "retention");
        for (const Message& entry : kept) {
            const auto told = sse.next_news();
            BOOST_REQUIRE(told);
            BOOST_REQUIRE(told->id == entry.id);
        }
    }
    // An id that there never was is waited for a little, then it is a reset too.
    WebSocketConnection websocket(world.proxy->port(), "/ws?resume=99999999999999-1",
                                  world.header());
    BOOST_REQUIRE(websocket.status == 101);
    BOOST_TEST(websocket.next()->kind == "subscribed");
    const auto reset = websocket.next_news();
    BOOST_REQUIRE(reset);
    BOOST_TEST(reset->kind == "reset");
    BOOST_TEST(reset->id == kept.back().id);
    BOOST_TEST(member(reset->text, "reason") == "lost");
    world.insert("a", "new");
    BOOST_TEST(websocket.next_news()->kind == "event");
}
