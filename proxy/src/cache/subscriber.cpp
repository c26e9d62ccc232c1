// Subscribing again and again.
#include "cache/subscriber.hpp"

#include <algorithm>

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

#include "redis/subscription.hpp"
#include "runtime/runtime.hpp"

namespace muster::cache {
namespace {

using namespace std::chrono_literals;

// Heartbeats come every 200 ms. A connection over which nothing has come for so long may be dead
// without a sign of it.
constexpr auto silence = 5s;
constexpr std::chrono::milliseconds shortest_pause = 50ms;
constexpr std::chrono::milliseconds longest_pause = 1s;
constexpr auto stop_interval = 250ms;  // how often a wait looks whether it has been stopped

}  // namespace

Subscriber::Subscriber(net::io_context& context, const config::Redis& redis,
                       const config::Relay& relay, Fence& fence, Store& store)
    : state_(std::make_shared<State>(context, redis, relay, fence, store)) {}

void Subscriber::start() {
    spawn(state_->context, "the cache's subscriber", run(state_));
}

void Subscriber::stop() {
    state_->stopped = true;
    net::post(state_->context, [state = state_] { state->pause.cancel(); });
}

Task<> Subscriber::run(std::shared_ptr<State> state) {
    std::string last_report;
    auto pause = shortest_pause;
    while (!state->stopped) {
        const std::uint64_t heard = state->counters.heartbeats.value();
        const std::string failure = co_await listen(*state);
        if (state->counters.heartbeats.value() > heard) {
            pause = shortest_pause;
            last_report.clear();
        }
        if (state->stopped) {
            break;
        }
        if (failure != last_report) {
            spdlog::warn("cache: nothing is served from it, Redis: {}", failure);
            last_report = failure;
        }
        state->pause.expires_after(pause);
        error_code ignored;
        co_await state->pause.async_wait(capture(ignored));
        pause = std::min(pause * 2, longest_pause);
    }
}

// One subscription to its end. Returns why it ended.
Task<std::string> Subscriber::listen(State& state) {
    Feed feed(state.fence, state.counters);
    feed.lose_touch();
    std::vector<std::string> channels;
    channels.push_back(state.relay.channel);
    channels.push_back(state.relay.heartbeat_channel);
    auto opened = co_await redis::Subscription::open(state.context, state.redis, "muster-cache",
                                                     std::move(channels),
                                                     Clock::now() + state.redis.connect_timeout);
    if (!opened) {
        co_return opened.error().message;
    }
    Fence::Era era = state.fence.era();
    TimePoint give_up = Clock::now() + silence;
    std::string failure = "the cache is stopped";
    while (!state.stopped) {
        auto message = co_await opened.value()->next(
            std::min<TimePoint>(give_up, Clock::now() + stop_interval));
        const TimePoint now = Clock::now();
        if (message) {
            give_up = now + silence;
            if (message.value().channel == state.relay.heartbeat_channel) {
                feed.heartbeat(message.value().payload, now);
            } else {
                feed.change(message.value().payload);
            }
        } else if (message.error().kind != redis::Error::Kind::timed_out) {
            failure = message.error().message;
            break;
        } else if (now >= give_up) {
            failure = "the relay's heartbeats do not come";
            break;
        }
        if (state.fence.era() != era) {
            era = state.fence.era();
            state.store.clear();
        }
    }
    feed.lose_touch();
    co_return failure;
}

}  // namespace muster::cache
