// What the leader does: find its place in the stream, publish what is behind, then keep up.
#pragma once

#include <optional>
#include <string>

#include "config/config.hpp"
#include "relay/outbox.hpp"
#include "relay/pause.hpp"
#include "relay/publisher.hpp"
#include "relay/stats.hpp"
#include "relay/stream.hpp"
#include "relay/upkeep.hpp"

namespace muster::relay {

// Why following ended, and what there is to log.
struct End {
    enum class Cause {
        stopped,
        postgres,  // the session to PostgreSQL failed
        redis,     // the connection to Redis failed, or Redis refused: what it took is unknown
        resync,    // the stream is not where it was expected: find the place again
    };
    Cause cause;
    std::string message;
};

// What is known of the publishing beyond one Follower.
struct Progress {
    // The greatest id known to have been published by any relay: what is put into a Redis that lost
    // it goes to the stream, not to the channel again.
    StreamId known;
    // Everything up to this tick is published; 0 if that is not known. Of one session to
    // PostgreSQL: another one may meet another history of ticks.
    std::uint64_t tick = 0;
};

class Follower {
  public:
    // All that is referred to outlives it.
    Follower(const config::Relay& config, Outbox& outbox, Stream& stream, Upkeep& upkeep,
             Pause& pause, Stats& stats, std::string epoch, Progress& progress)
        : config_(config),
          outbox_(outbox),
          stream_(stream),
          upkeep_(upkeep),
          pause_(pause),
          stats_(stats),
          epoch_(std::move(epoch)),
          progress_(progress) {}

    // Follows until it cannot go on.
    Task<End> run();

    // It found its place and published what was behind.
    bool kept_up() const { return kept_up_; }

  private:
    using Stop = std::optional<End>;

    Task<Stop> locate();
    Task<Stop> publish_reset();
    Task<Stop> catch_up();
    Task<Stop> keep_up();
    Task<Stop> publish(const Tick& tick);
    Task<Stop> arm();
    Task<Stop> wait(TimePoint started, bool busy);
    Task<Stop> beat(const std::string& snapshot);
    bool upkeep_due() const;
    Task<Stop> keep_up_chores(const std::string& snapshot);
    Task<Stop> catch_up_chores();
    Task<Stop> notify();
    void published(const Tick& tick);
    Stop judge();

    const config::Relay& config_;
    Outbox& outbox_;
    Stream& stream_;
    Upkeep& upkeep_;
    Pause& pause_;
    Stats& stats_;
    const std::string epoch_;
    Progress& progress_;

    std::optional<Publisher> publisher_;
    Generation generation_;
    Tick base_;                 // published to its end, but for ...
    std::uint64_t skip_ = 0;    // ... the next tick's first entries, which are published too
    TimePoint beat_at_{};       // of the last heartbeat
    TimePoint upkeep_at_{};     // of the last upkeep
    std::uint64_t upkept_ = 0;  // messages published by then
    TimePoint notify_at_{};     // of the last notification
    bool notify_due_ = false;
    std::uint64_t told_ = 0;      // the tick that the session last told of
    Clock::duration interval_{};  // of polling
    bool kept_up_ = false;
};

}  // namespace muster::relay
