// Listening again and again, and filling what was missed.
#include "push/hub.hpp"

#include <algorithm>

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

#include "redis/subscription.hpp"
#include "runtime/runtime.hpp"

namespace muster::push {
namespace {

using namespace std::chrono_literals;

// Heartbeats of the relay come every 200 ms. A connection over which nothing has come for so long
// may be dead without a sign of it.
constexpr auto silence = 5s;
constexpr std::chrono::milliseconds shortest_pause = 50ms;
constexpr std::chrono::milliseconds longest_pause = 1s;
constexpr auto stop_interval = 250ms;  // how often a wait looks whether it has been stopped
constexpr auto refill_pause = 20ms;    // for a stream that has lost its end
// Passed on at one time: clients send in between, so that a burst does not fill their queues.
constexpr std::size_t most_at_once = 64;

}  // namespace

// What one batch waits for: all threads to have passed it on.
struct Hub::Passing {
    Passing(net::io_context& context, std::size_t threads) : left(threads), done(context) {}
    std::size_t left;
    ::muster::Event done;
};

struct Hub::State {
    State(std::vector<net::io_context*> all, const config::Config& config)
        : contexts(std::move(all)),
          home(*contexts.front()),
          settings(config.push),
          redis(config.redis),
          relay(config.relay),
          dialer(home, config.redis, "muster-push"),
          archive(home, dialer, config.relay.stream),
          pause(home.get_executor()) {
        for (std::size_t i = 0; i < contexts.size(); ++i) {
            stations.push_back(std::make_unique<Station>());
        }
    }

    const std::vector<net::io_context*> contexts;
    net::io_context& home;
    const config::Push settings;
    const config::Redis redis;
    const config::Relay relay;
    redis::Dialer dialer;
    Archive archive;
    Timer pause;
    std::vector<std::unique_ptr<Station>> stations;
    std::atomic<std::size_t> clients{0};
    std::atomic<bool> stopped{false};
    std::atomic<bool> connected{false};
    std::optional<Place> place;  // up to where everything was passed on; none before it is known
    std::shared_ptr<Passing> passing;
    metrics::Counter events;
    metrics::Counter gaps;
    metrics::Counter malformed;
};

Hub::Hub(std::vector<net::io_context*> contexts, const config::Config& config,
         metrics::Registry& registry)
    : state_(std::make_shared<State>(std::move(contexts), config)) {
    publish(state_, registry);
}

Hub::~Hub() = default;

void Hub::start() {
    spawn(state_->home, "the hub of live updates", run(state_));
}

void Hub::stop() {
    state_->stopped = true;
    net::post(state_->home, [state = state_] {
        state->pause.cancel();
        state->dialer.close();
        if (state->passing) {
            state->passing->done.set();
        }
    });
}

const config::Push& Hub::settings() const {
    return state_->settings;
}

const config::Redis& Hub::redis() const {
    return state_->redis;
}

const std::string& Hub::stream() const {
    return state_->relay.stream;
}

std::shared_ptr<Station> Hub::station(unsigned thread) {
    return {state_, state_->stations[thread].get()};
}

std::shared_ptr<std::atomic<std::size_t>> Hub::clients() {
    return {state_, &state_->clients};
}

Task<> Hub::run(std::shared_ptr<State> state) {
    std::string last_report;
    auto pause = shortest_pause;
    while (!state->stopped) {
        const TimePoint begun = Clock::now();
        const std::string failure = co_await listen(state);
        state->connected = false;
        if (state->stopped) {
            break;
        }
        if (Clock::now() - begun > 2 * silence) {
            pause = shortest_pause;
            last_report.clear();
        }
        if (failure != last_report) {
            spdlog::warn("push: no live updates, Redis: {}", failure);
            last_report = failure;
        }
        state->pause.expires_after(pause);
        error_code ignored;
        co_await state->pause.async_wait(capture(ignored));
        pause = std::min(pause * 2, longest_pause);
    }
}

// One subscription to its end. Returns why it ended.
Task<std::string> Hub::listen(std::shared_ptr<State> state) {
    std::vector<std::string> channels;
    channels.push_back(state->relay.channel);
    channels.push_back(state->relay.heartbeat_channel);
    auto opened = co_await redis::Subscription::open(state->home, state->redis, "muster-push",
                                                     std::move(channels),
                                                     Clock::now() + state->redis.connect_timeout);
    if (!opened) {
        co_return opened.error().message;
    }
    redis::Subscription& subscription = *opened.value();
    // What is published from here on will be heard; what was before is read.
    if (std::string failure = co_await begin(*state); !failure.empty()) {
        co_return failure;
    }
    state->connected = true;
    TimePoint give_up = Clock::now() + silence;
    while (!state->stopped) {
        std::vector<EventPtr> batch;
        bool heard = false;
        bool elsewhere = false;
        std::optional<std::string> broken;
        TimePoint deadline = std::min<TimePoint>(give_up, Clock::now() + stop_interval);
        while (batch.size() < most_at_once) {
            auto message = co_await subscription.next(deadline);
            if (!message) {
                if (message.error().kind != redis::Error::Kind::timed_out) {
                    broken = message.error().message;
                }
                break;
            }
            heard = true;
            deadline = {};  // what else is there already
            if (message.value().channel == state->relay.heartbeat_channel) {
                const auto tick = tick_of_heartbeat(message.value().payload);
                elsewhere = tick && *tick < state->place->at().tick();
                break;
            }
            auto event = Event::parse(message.value().payload);
            if (!event) {
                state->malformed.add();
                continue;
            }
            if (state->place->judge(*event) == Place::Step::gap && !event->reset) {
                state->gaps.add();
                co_await deliver(*state, std::exchange(batch, {}));
                std::string failure = co_await catch_up(*state, event->previous);
                if (!failure.empty()) {
                    co_return failure;
                }
            }
            if (state->place->judge(*event) != Place::Step::known) {
                state->place->go(event->id);
                batch.push_back(std::move(event));
            }
        }
        co_await deliver(*state, std::move(batch));  // what came before it broke, too
        if (broken) {
            co_return *std::move(broken);
        }
        if (elsewhere) {
            if (std::string failure = co_await begin_anew(*state); !failure.empty()) {
                co_return failure;
            }
        }
        if (heard) {
            give_up = Clock::now() + silence;
        } else if (Clock::now() >= give_up) {
            co_return "the relay's heartbeats do not come";
        }
    }
    co_return "stopped";
}

// Finds out where the stream is, and reads what was missed of it.
Task<std::string> Hub::begin(State& state) {
    auto newest = co_await state.archive.newest(Clock::now() + state.redis.command_timeout);
    if (!newest) {
        co_return newest.error().message;
    }
    if (state.place) {
        co_return co_await catch_up(state, newest.value());
    }
    state.place.emplace(newest.value());
    co_await deliver(state, {});
    co_return "";
}

// Reads the stream up to this id, at least. Returns why it could not.
Task<std::string> Hub::catch_up(State& state, StreamId until) {
    Replay replay(state.place->at());
    PieceSize size;
    while (!state.stopped) {
        auto piece = co_await state.archive.after(replay.at(), size.count(),
                                                  Clock::now() + state.redis.command_timeout);
        if (!piece) {
            co_return piece.error().message;
        }
        size.learn(piece.value());
        const bool brought = !piece.value().empty();
        std::vector<EventPtr> events = replay.take(std::move(piece).value());
        state.place->go(replay.at());
        co_await deliver(state, std::move(events));
        switch (replay.next(brought, until, std::nullopt, Clock::now())) {
            case Replay::Next::live:
                co_return "";
            case Replay::Next::read:
                break;
            case Replay::Next::wait: {
                state.pause.expires_after(refill_pause);
                error_code ignored;
                co_await state.pause.async_wait(capture(ignored));
                break;
            }
            case Replay::Next::lost: {
                std::vector<EventPtr> reset;
                reset.push_back(Event::make_reset(until, replay.at(), "lost"));
                state.place->go(until);
                co_await deliver(state, std::move(reset));
                co_return "";
            }
        }
    }
    co_return "stopped";
}

// The relay has published everything, and that ends before our place: unless a later generation has
// begun, this is not the stream that we know. Returns why that could not be found out.
Task<std::string> Hub::begin_anew(State& state) {
    const auto newest = co_await state.archive.newest(Clock::now() + state.redis.command_timeout);
    if (!newest) {
        co_return newest.error().message;
    }
    const StreamId before = state.place->at();
    if (newest.value() >= before) {
        co_return "";
    }
    spdlog::warn(
        "push: the stream ends at {}, live updates were at {}: another has taken its place",
        newest.value().text(), before.text());
    state.place->go(newest.value());
    const EventPtr reset = Event::make_reset(newest.value(), before, "lost");
    const Pass pass = [reset](Station& station) { station.begin_anew(reset); };
    co_await everywhere(state, pass);
    co_return "";
}

// Has every thread pass the events on, and waits until all have.
Task<> Hub::deliver(State& state, std::vector<EventPtr> events) {
    if (events.empty() && state.stations.front()->knows()) {
        co_return;
    }
    state.events.add(events.size());
    const auto shared = std::make_shared<const std::vector<EventPtr>>(std::move(events));
    const Pass pass = [shared, live = state.place->at()](Station& station) {
        station.deliver(*shared, live);
    };
    co_await everywhere(state, pass);
}

// Has every thread do something with its station, and waits until all have.
Task<> Hub::everywhere(State& state, const Pass& pass) {
    const auto passing = std::make_shared<Passing>(state.home, state.contexts.size());
    state.passing = passing;
    for (std::size_t i = 0; i < state.contexts.size(); ++i) {
        net::post(*state.contexts[i],
                  [station = state.stations[i].get(), pass, passing, home = &state.home] {
                      pass(*station);
                      net::post(*home, [passing] {
                          if (--passing->left == 0) {
                              passing->done.set();
                          }
                      });
                  });
    }
    while (!state.stopped && !co_await passing->done.wait(Clock::now() + stop_interval)) {
    }
    state.passing.reset();
}

void Hub::publish(const std::shared_ptr<State>& state, metrics::Registry& registry) {
    const auto gauge = [&](const char* name, const char* help, metrics::Labels labels,
                           metrics::Gauge Counters::*which) {
        registry.gauge(name, help, std::move(labels), [state, which] {
            std::int64_t sum = 0;
            for (const auto& station : state->stations) {
                sum += (station->counters.*which).value();
            }
            return static_cast<double>(sum);
        });
    };
    const auto counter = [&](const char* name, const char* help,
                             metrics::Counter Counters::*which) {
        registry.counter(name, help, {}, [state, which] {
            std::uint64_t sum = 0;
            for (const auto& station : state->stations) {
                sum += (station->counters.*which).value();
            }
            return static_cast<double>(sum);
        });
    };
    const char* const clients = "Live clients.";
    gauge("push_clients", clients, {{"kind", "websocket"}}, &Counters::websocket_clients);
    gauge("push_clients", clients, {{"kind", "sse"}}, &Counters::sse_clients);
    gauge("push_queue_bytes", "Size of the events that wait in queues of live clients.", {},
          &Counters::queue_bytes);
    counter("push_messages_total", "Events sent to live clients.", &Counters::messages);
    counter("push_overflows_total", "Live clients ended because they did not take their events.",
            &Counters::overflows);
    counter("push_replays_total", "Times that live clients went on behind an id.",
            &Counters::replays);
    counter("push_resets_total", "Resets sent to live clients.", &Counters::resets);
    registry.counter("push_events_total", "Events heard of from the relay.", {},
                     [state] { return static_cast<double>(state->events.value()); });
    registry.counter("push_gaps_total", "Times that messages were missed and read from the stream.",
                     {}, [state] { return static_cast<double>(state->gaps.value()); });
    registry.counter("push_malformed_total", "Messages that could not be read.", {},
                     [state] { return static_cast<double>(state->malformed.value()); });
    registry.gauge("push_connected", "Whether the relay's channel is listened to.", {},
                   [state] { return state->connected.load() ? 1.0 : 0.0; });
}

}  // namespace muster::push
