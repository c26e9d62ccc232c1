// The relay: carries every committed change from the outbox to Redis, once and in order.
//
// It ticks: commits a row with the current snapshot, then publishes what became visible between the
// previous tick and this one, under ids that follow from the tick (DESIGN, "The fence"). It keeps
// no position of its own; the last id of the stream is the position, read at each start and after
// each doubt. One relay per database is the leader; the others wait.
//
// Files: stream_id, message, plan are pure; outbox is the session to PostgreSQL, stream the one to
// Redis, publisher the chunks between them.
#pragma once

#include <memory>

#include "config/config.hpp"
#include "relay/stats.hpp"
#include "runtime/asio.hpp"

namespace muster::relay {

class Relay {
  public:
    // Everything runs as coroutines on `context`, which must be run by one thread.
    Relay(net::io_context& context, const config::Relay& relay, const config::Redis& redis);
    // Stops. What is under way holds its own state and ends by itself.
    ~Relay();
    Relay(const Relay&) = delete;
    Relay& operator=(const Relay&) = delete;

    // Starts once; nothing is thrown for servers that are down: the relay keeps trying.
    void start();
    // May be called from any thread. What is under way ends within its deadlines; both sessions are
    // closed then.
    void stop();

    // Readable from any thread.
    const Stats& stats() const;

  private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace muster::relay
