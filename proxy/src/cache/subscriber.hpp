// Listens to the relay, for as long as the process runs: one subscription after the other, each of
// which begins with touch lost. What was published before a subscription was acknowledged is
// visible in the snapshot of the first heartbeat after it, which becomes everything's floor.
#pragma once

#include <memory>

#include "cache/feed.hpp"
#include "cache/store.hpp"
#include "config/config.hpp"
#include "runtime/asio.hpp"

namespace muster::cache {

class Subscriber {
  public:
    // Everything referred to outlives the context's run. All of it is on the context's thread, but
    // for the stop, which may be called from any.
    Subscriber(net::io_context& context, const config::Redis& redis, const config::Relay& relay,
               Fence& fence, Store& store);

    void start();
    void stop();

    const FeedCounters& counters() const { return state_->counters; }

  private:
    struct State {
        State(net::io_context& c, const config::Redis& r, const config::Relay& l, Fence& f,
              Store& s)
            : context(c), redis(r), relay(l), fence(f), store(s), pause(c) {}
        net::io_context& context;
        const config::Redis redis;
        const config::Relay relay;
        Fence& fence;
        Store& store;
        Timer pause;
        std::atomic<bool> stopped{false};
        FeedCounters counters;
    };

    static Task<> run(std::shared_ptr<State> state);
    static Task<std::string> listen(State& state);

    std::shared_ptr<State> state_;
};

}  // namespace muster::cache
