// L2: entries in Redis, shared by all proxies. It can only help: a Redis that is away or slow costs
// a few reads one short wait, then a breaker keeps the others away from it.
//
// What comes out of it is judged by the fence like anything else.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "breaker/breaker.hpp"
#include "cache/entry.hpp"
#include "config/config.hpp"
#include "metrics/histogram.hpp"
#include "redis/connection.hpp"

namespace muster::cache {

// One thread's part.
class Remote {
  public:
    // `errors` counts those of Redis and its silences. It and the breaker, which is all threads',
    // outlive the context's run.
    Remote(net::io_context& context, config::Redis redis, std::chrono::milliseconds timeout,
           metrics::Counter& errors, breaker::Breaker& breaker);
    ~Remote();
    Remote(const Remote&) = delete;
    Remote& operator=(const Remote&) = delete;

    // The entry of a key and how long it will live; nothing if there is none or it is not to be
    // had in time.
    Task<std::optional<Entry>> get(const std::string& key);
    // Stores an entry until it expires. Does not wait. What is larger than `most_bytes` is not
    // stored: Redis does nothing else while it takes it.
    void put(const std::string& key, const EntryPtr& entry);

    // Drops the connection, for good. On the context's thread.
    void close();

    static constexpr std::size_t most_bytes = std::size_t{1} << 20;

  private:
    // Shared with coroutines that are under way.
    struct State {
        State(net::io_context& c, config::Redis r, std::chrono::milliseconds t, metrics::Counter& e,
              breaker::Breaker& b)
            : context(c), redis(std::move(r)), timeout(t), errors(e), breaker(b) {}
        net::io_context& context;
        const config::Redis redis;
        const std::chrono::milliseconds timeout;
        metrics::Counter& errors;
        breaker::Breaker& breaker;
        std::shared_ptr<redis::Connection> connection;
        bool connecting = false;
        bool closed = false;
    };
    // A connection that one command may be sent on.
    struct Way {
        std::shared_ptr<redis::Connection> connection;
        breaker::Breaker::Pass pass;
    };

    static std::optional<Way> way(const std::shared_ptr<State>& state);
    static Task<> connect(std::shared_ptr<State> state, breaker::Breaker::Pass pass);
    static Task<> store(std::shared_ptr<State> state, Way way, std::string key, EntryPtr entry);
    static void failed(State& state, breaker::Breaker::Pass pass);

    std::shared_ptr<State> state_;
};

}  // namespace muster::cache
