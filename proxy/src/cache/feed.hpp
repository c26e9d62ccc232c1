// From one subscription's messages to the fence: in their order if they come in order, and noticing
// when they do not.
#pragma once

#include <string>
#include <string_view>

#include "cache/fence.hpp"
#include "metrics/histogram.hpp"

namespace muster::cache {

// What a feed counts; written by its thread.
struct FeedCounters {
    metrics::Counter changes;
    metrics::Counter heartbeats;
    metrics::Counter gaps;       // messages that were missed, or may have been
    metrics::Counter malformed;  // what could not be read
};

class Feed {
  public:
    // Both outlive it.
    Feed(Fence& fence, FeedCounters& counters) : fence_(fence), counters_(counters) {}

    // The subscription is new, or has ended: what was published meanwhile is not known.
    void lose_touch();

    // A message of the channel of changes. One that cannot be read may have said anything.
    void change(std::string_view message);
    // A message of the channel of heartbeats.
    void heartbeat(std::string_view message, TimePoint now);

  private:
    void gap();

    Fence& fence_;
    FeedCounters& counters_;
    std::string last_id_;     // empty: none since touch was lost
    std::uint64_t tick_ = 0;  // that was heard of last
};

}  // namespace muster::cache
