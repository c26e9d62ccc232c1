// Live updates without I/O: reading messages, filters, the bounded queue, and the way from an id to
// live events, however the two interleave.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "push/archive.hpp"
#include "push/filter.hpp"
#include "push/json_reader.hpp"
#include "push/queue.hpp"
#include "push/replay.hpp"
#include "push/station.hpp"

using muster::Clock;
using muster::TimePoint;
namespace metrics = muster::metrics;
namespace push = muster::push;
using namespace muster::push;
using namespace std::chrono_literals;

namespace {

std::string message(const std::string& id, const std::string& previous,
                    const std::string& type = "agent.created",
                    const std::string& aggregate = "agent", const std::string& key = "a1") {
    return R"({"id":")" + id + R"(","prev_id":")" + previous +
           R"(","epoch":"e","xid":"7","tags":["agents","agents:[1]"],"event_type":")" + type +
           R"(","aggregate_type":")" + aggregate + R"(","aggregate_id":")" + key +
           R"(","payload":{"id":"no"},"metadata":{},"timestamp":"t"})";
}

EventPtr event(std::uint64_t tick, std::uint64_t previous) {
    return Event::parse(message(std::to_string(tick) + "-1",
                                previous == 0 ? "0-0" : std::to_string(previous) + "-1"));
}

EventPtr typed(const std::string& type, const std::string& aggregate, const std::string& key) {
    return push::Event::parse(message("2-1", "1-1", type, aggregate, key));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(messages)

BOOST_AUTO_TEST_CASE(what_matters_is_read) {
    const std::string text =
        message("1099511627778-12", "1099511627777-0", "a\\\"b", "ag\\u00e9nt", "x");
    const EventPtr read = Event::parse(text);
    BOOST_REQUIRE(read);
    BOOST_TEST(read->id.text() == "1099511627778-12");
    BOOST_TEST(read->previous.text() == "1099511627777-0");
    BOOST_TEST(read->event_type == "a\"b");
    BOOST_TEST(read->aggregate_type == "ag\xc3\xa9nt");
    BOOST_TEST(read->aggregate_id == "x");
    BOOST_TEST(read->json == text);
    BOOST_TEST(!read->reset);
}

BOOST_AUTO_TEST_CASE(line_breaks_of_a_payload_do_not_end_an_event) {
    std::string text = message("1-1", "0-0");
    text.insert(text.find(R"("id":"no")"), "\r\n  ");
    const EventPtr read = push::Event::parse(text);
    BOOST_REQUIRE(read);
    BOOST_TEST(read->json.find_first_of("\r\n") == std::string::npos);
    BOOST_TEST(read->json.size() == text.size());
}

BOOST_AUTO_TEST_CASE(a_heartbeat_says_up_to_where_all_is_published) {
    const auto tick = [](const char* message) { return push::tick_of_heartbeat(message); };
    BOOST_TEST((tick(R"({"epoch":"00ff","tick":12,"snapshot":"3:5:4"})") == 12U));
    BOOST_TEST((tick(R"( {"epoch" : "" , "tick" : 0})") == 0U));
    for (const char* wrong : {"", "{}", R"({"epoch":"00ff"})", R"({"tick":12,"epoch":"00ff"})",
                              R"({"epoch":"00ff","tick":"12"})", R"({"epoch":"00ff","tick":-1})",
                              R"({"epoch":"00ff","tick":99999999999999999999})"}) {
        BOOST_TEST(!tick(wrong), wrong);
    }
}

BOOST_AUTO_TEST_CASE(a_reset_of_the_relay_is_one_for_clients) {
    const EventPtr reset =
        Event::parse(message("2199023255552-0", "1099511627778-3", "reset", "muster"));
    BOOST_REQUIRE(reset);
    BOOST_TEST(reset->reset);
    BOOST_TEST(reset->json == R"({"type":"reset","id":"2199023255552-0","reason":"history"})");
    // A user's event may have that name.
    BOOST_TEST(!push::Event::parse(message("5-1", "4-1", "reset", "muster"))->reset);
}

BOOST_AUTO_TEST_CASE(what_is_no_message_is_none) {
    const std::string good = message("2-1", "1-1");
    for (std::size_t length = 0; length < good.find(R"(,"payload")"); ++length) {
        BOOST_TEST(!push::Event::parse(good.substr(0, length)), length);
    }
    BOOST_TEST(!push::Event::parse(message("2", "1-1")));
    BOOST_TEST(!push::Event::parse(message("2-1-1", "1-1")));
    BOOST_TEST(!push::Event::parse(message("2-1", "")));
    BOOST_TEST(!push::Event::parse("{\"event_type\":\"agent.created\"}"));
    BOOST_TEST(!push::Event::parse("[]"));
}

BOOST_AUTO_TEST_CASE(json_is_read_by_its_grammar) {
    const auto skips = [](std::string_view text) {
        JsonReader reader(text);
        return reader.skip_value() && reader.at_end();
    };
    for (const char* good :
         {"null", " true ", "-0.5e+3", "0", "[]", "{}", "[1, [2], {\"a\": null}]",
          R"({"a":{"b":[1,"\u0000"]},"c":""})", R"("\ud83d\ude00")"}) {
        BOOST_TEST(skips(good), good);
    }
    for (const char* bad :
         {"",          "nul",    "01",      "1.",          "1e",           "-",
          "+1",        "[1,]",   "[1",      "{\"a\"}",     "{a:1}",        "{\"a\":1,}",
          "\"",        "\"\n\"", R"("\x")", R"("\ud83d")", R"("\ud83dx")", R"("\ude00")",
          R"("\u12")", "[1]]",   "1 2",     "'a'"}) {
        BOOST_TEST(!skips(bad), bad);
    }
    BOOST_TEST(skips(std::string(32, '[') + std::string(32, ']')));
    BOOST_TEST(!skips(std::string(33, '[') + std::string(33, ']')));
    BOOST_TEST(!skips(std::string(100000, '[')));
    BOOST_TEST(*JsonReader(R"("\ud83d\ude00\u20ac\/")").string() ==
               "\xf0\x9f\x98\x80\xe2\x82\xac/");
}

BOOST_AUTO_TEST_SUITE_END()
BOOST_AUTO_TEST_SUITE(filters)

BOOST_AUTO_TEST_CASE(an_empty_one_takes_everything) {
    BOOST_TEST(Filter().matches(*typed("agent.created", "agent", "a1")));
}

BOOST_AUTO_TEST_CASE(one_of_each_kind_must_fit) {
    Filter filter;
    BOOST_TEST(!filter.add_list("event_type", "agent.created,goal.*"));
    BOOST_TEST(!filter.add("aggregate_type", "agent"));
    BOOST_TEST(filter.matches(*typed("agent.created", "agent", "a1")));
    BOOST_TEST(filter.matches(*typed("goal.updated", "agent", "a1")));
    BOOST_TEST(!filter.matches(*typed("goal", "agent", "a1")));
    BOOST_TEST(!filter.matches(*typed("agent.updated", "agent", "a1")));
    BOOST_TEST(!filter.matches(*typed("agent.created", "goal", "a1")));
    BOOST_TEST(!filter.add("aggregate_id", "a2"));
    BOOST_TEST(!filter.matches(*typed("agent.created", "agent", "a1")));
    BOOST_TEST(filter.matches(*typed("agent.created", "agent", "a2")));
    BOOST_TEST(filter.matches(*push::Event::make_reset({}, {}, "lost")));
}

BOOST_AUTO_TEST_CASE(it_is_bounded) {
    Filter filter;
    BOOST_TEST(*filter.add("event_type", "") == "event_type must have values of 1 to 512 bytes");
    BOOST_TEST(filter.add("event_type", std::string(513, 'x')).has_value());
    BOOST_TEST(filter.add_list("aggregate_id", "a,,b").has_value());
    for (std::size_t i = 0; i < Filter::most_values; ++i) {
        BOOST_TEST(!filter.add("event_type", "x"));
    }
    BOOST_TEST(*filter.add("event_type", "x") == "event_type must have at most 64 values");
}

BOOST_AUTO_TEST_SUITE_END()
BOOST_AUTO_TEST_SUITE(queues)

BOOST_AUTO_TEST_CASE(it_overflows_by_number_and_lets_go_of_everything) {
    metrics::Gauge bytes;
    Queue queue({3, 1 << 20}, bytes);
    for (std::uint64_t i = 1; i <= 3; ++i) {
        queue.push(event(i, i - 1));
    }
    BOOST_TEST(bytes.value() == static_cast<std::int64_t>(3 * event(1, 0)->weight()));
    BOOST_TEST((queue.pop()->id == event(1, 0)->id));
    queue.push(event(4, 3));
    BOOST_TEST(!queue.overflowed());
    queue.push(event(5, 4));
    BOOST_TEST(queue.overflowed());
    BOOST_TEST(queue.empty());
    BOOST_TEST(bytes.value() == 0);
    queue.push(event(6, 5));
    BOOST_TEST(queue.empty());
    queue.clear();
    queue.push(event(6, 5));
    BOOST_TEST(queue.messages() == 1U);
}

BOOST_AUTO_TEST_CASE(it_overflows_by_size_but_takes_any_event_when_empty) {
    metrics::Gauge bytes;
    const EventPtr one = event(1, 0);
    {
        Queue queue({100, one->weight() - 1}, bytes);
        queue.push(one);
        BOOST_TEST(!queue.overflowed());
        queue.push(event(2, 1));
        BOOST_TEST(queue.overflowed());
    }
    {
        Queue queue({100, 2 * one->weight()}, bytes);
        queue.push(one);
        queue.push(event(2, 1));
        BOOST_TEST(queue.messages() == 2U);
        BOOST_TEST(bytes.value() > 0);
    }
    BOOST_TEST(bytes.value() == 0);
}

BOOST_AUTO_TEST_SUITE_END()
BOOST_AUTO_TEST_SUITE(places)

BOOST_AUTO_TEST_CASE(an_event_is_known_next_or_behind_a_gap) {
    const Place place(StreamId{5, 1});
    BOOST_TEST((place.judge(*event(5, 4)) == Place::Step::known));
    BOOST_TEST((place.judge(*event(3, 2)) == Place::Step::known));
    BOOST_TEST((place.judge(*event(6, 5)) == Place::Step::next));
    BOOST_TEST((place.judge(*event(9, 4)) == Place::Step::next));
    BOOST_TEST((place.judge(*event(7, 6)) == Place::Step::gap));
}

BOOST_AUTO_TEST_CASE(missing_entries_become_a_reset) {
    Replay replay(StreamId{2, 1});
    std::vector<EventPtr> entries{event(5, 4), event(6, 5)};
    const auto out = replay.take(entries);
    BOOST_REQUIRE(out.size() == 3U);
    BOOST_TEST(out[0]->reset);
    BOOST_TEST(out[0]->json == R"({"type":"reset","id":"4-1","reason":"retention"})");
    BOOST_TEST((out[1]->id == StreamId{5, 1}));
    BOOST_TEST((replay.at() == StreamId{6, 1}));
    // A reset that is in the stream says so itself.
    entries = {push::Event::parse(message("9-0", "8-1", "reset"))};
    const auto reset = replay.take(entries);
    BOOST_REQUIRE(reset.size() == 1U);
    BOOST_TEST((reset[0]->id == StreamId{9, 0}));
}

BOOST_AUTO_TEST_CASE(it_arrives_or_waits_or_gives_up) {
    const TimePoint now = Clock::now();
    Replay replay(StreamId{5, 1});
    using Next = Replay::Next;
    BOOST_TEST((replay.next(true, {5, 1}, {}, now) == Next::live));
    BOOST_TEST((replay.next(false, {5, 1}, {}, now) == Next::live));
    BOOST_TEST((replay.next(true, {6, 1}, {}, now) == Next::read));
    // Ahead of what is known here: another proxy was told a little sooner.
    BOOST_TEST((replay.next(true, {4, 1}, {}, now) == Next::live));
    BOOST_TEST((replay.next(false, {4, 1}, StreamId{5, 1}, now) == Next::live));
    // Ahead of everything: the stream has lost its end, or there never was such an id.
    BOOST_TEST((replay.next(false, {4, 1}, StreamId{4, 1}, now) == Next::wait));
    BOOST_TEST((replay.next(false, {4, 1}, StreamId{4, 1}, now + 9s) == Next::wait));
    BOOST_TEST((replay.next(false, {4, 1}, StreamId{4, 1}, now + 10s) == Next::lost));
    Replay behind(StreamId{5, 1});
    BOOST_TEST((behind.next(false, {6, 1}, {}, now) == Next::wait));
    std::vector<EventPtr> entries{event(6, 5)};
    behind.take(entries);
    BOOST_TEST((behind.next(false, {7, 1}, {}, now + 11s) == Next::wait));
    BOOST_TEST((behind.next(false, {7, 1}, {}, now + 21s) == Next::lost));
}

BOOST_AUTO_TEST_CASE(pieces_are_as_large_as_events_allow) {
    PieceSize size;
    auto large = std::make_shared<push::Event>(*event(1, 0));
    large->json.resize(1 << 20);
    size.learn({large});
    BOOST_TEST(size.count() == 1U);
    size.learn({});
    BOOST_TEST(size.count() == 1U);
    size.learn({event(1, 0)});
    BOOST_TEST(size.count() > 100U);
    BOOST_TEST(size.count() <= PieceSize::most);
}

// A stream, a hub that hears some of what is published, some of it twice and late, and clients that
// come at any time, behind any id. Whatever happens in whatever order, each client gets every entry
// behind its id once and in order, but for those a reset stands for.
BOOST_AUTO_TEST_CASE(random_interleavings_lose_nothing_and_repeat_nothing) {
    struct Client {
        Counters counters;
        Listener listener{{1000000, std::size_t{1} << 40}, counters, [] {}};
        std::optional<Replay> replay;
        StreamId from;
        std::vector<EventPtr> got;
    };
    for (unsigned seed = 1; seed <= 300; ++seed) {
        std::minstd_rand random(seed);
        const auto chance = [&](unsigned one_in) { return random() % one_in == 0; };
        std::vector<EventPtr> stream;
        std::size_t trimmed = 0;
        std::vector<EventPtr> channel;  // published, not heard yet
        Station station;
        Place hub;
        station.deliver({}, hub.at());
        std::vector<std::unique_ptr<Client>> clients;
        const auto pass_on = [&](std::vector<EventPtr> events) {
            station.deliver(events, hub.at());
        };
        // Entries behind an id, a few of them.
        const auto read = [&](StreamId id) {
            std::vector<EventPtr> piece;
            for (std::size_t i = trimmed; i < stream.size() && piece.size() < 1 + random() % 5;
                 ++i) {
                if (stream[i]->id > id) {
                    piece.push_back(stream[i]);
                }
            }
            return piece;
        };
        const auto hear = [&](const EventPtr& heard) {
            if (hub.judge(*heard) == Place::Step::gap) {
                Replay fill(hub.at());
                for (bool more = true; more;) {
                    auto piece = read(fill.at());
                    const bool brought = !piece.empty();
                    auto events = fill.take(std::move(piece));
                    hub.go(fill.at());
                    pass_on(std::move(events));
                    more = fill.next(brought, heard->previous, {}, {}) == Replay::Next::read;
                }
            }
            if (hub.judge(*heard) != Place::Step::known) {
                hub.go(heard->id);
                pass_on({heard});
            }
        };
        const auto step = [&](Client& client) {
            while (!client.listener.queue.empty() && !chance(3)) {
                client.got.push_back(client.listener.queue.pop());
            }
            if (!client.replay) {
                return;
            }
            auto piece = read(client.replay->at());
            const bool brought = !piece.empty();
            for (EventPtr& one : client.replay->take(std::move(piece))) {
                client.got.push_back(std::move(one));
            }
            const auto newest = stream.empty() ? StreamId{} : stream.back()->id;
            if (client.replay->next(brought, station.live(), newest, {}) == Replay::Next::live) {
                station.add(client.listener, client.replay->at());
                client.replay.reset();
            }
        };
        for (int turn = 0; turn < 400; ++turn) {
            switch (random() % 6) {
                case 0:
                case 1: {
                    const std::uint64_t last = stream.empty() ? 0 : stream.back()->id.major_part;
                    stream.push_back(event(last + 1 + random() % 3, last));
                    if (!chance(8)) {
                        channel.push_back(stream.back());
                    }
                    break;
                }
                case 2:
                    if (!channel.empty()) {
                        hear(channel.front());
                        if (!chance(10)) {  // else it comes again
                            channel.erase(channel.begin());
                        }
                    }
                    break;
                case 3:
                    if (clients.size() < 8 && chance(3)) {
                        auto client = std::make_unique<Client>();
                        client->from = station.live();
                        if (chance(2) && !stream.empty()) {
                            client->from = stream[random() % stream.size()]->id;
                            client->replay.emplace(client->from);
                        } else {
                            station.add(client->listener, client->from);
                        }
                        clients.push_back(std::move(client));
                    }
                    break;
                case 4:
                    if (!clients.empty()) {
                        step(*clients[random() % clients.size()]);
                    }
                    break;
                default:
                    if (chance(10)) {
                        trimmed += random() % (1 + (stream.size() - trimmed) / 2);
                    }
            }
        }
        stream.push_back(event(1000000, stream.empty() ? 0 : stream.back()->id.major_part));
        channel.push_back(stream.back());
        for (const EventPtr& heard : channel) {
            hear(heard);
        }
        for (const auto& client : clients) {
            for (int i = 0; i < 1000; ++i) {
                step(*client);
            }
            StreamId at = client->from;
            auto expected =
                std::upper_bound(stream.begin(), stream.end(), at,
                                 [](StreamId id, const EventPtr& entry) { return id < entry->id; });
            bool good = true;
            for (const EventPtr& got : client->got) {
                if (got->reset) {  // it stands for what is up to its id
                    good = good && got->id > at;
                    while (expected != stream.end() && (*expected)->id <= got->id) {
                        ++expected;
                    }
                } else {
                    good = good && expected != stream.end() && (*expected)->id == got->id;
                    ++expected;
                }
                at = got->id;
            }
            BOOST_REQUIRE_MESSAGE(good && expected == stream.end(), "seed " << seed);
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
