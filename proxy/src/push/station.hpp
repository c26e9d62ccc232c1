// One thread's live clients, and what they count.
#pragma once

#include <functional>
#include <unordered_set>
#include <vector>

#include "metrics/histogram.hpp"
#include "push/filter.hpp"
#include "push/queue.hpp"
#include "push/replay.hpp"

namespace muster::push {

// Written by one thread.
struct Counters {
    metrics::Gauge websocket_clients;
    metrics::Gauge sse_clients;
    metrics::Gauge queue_bytes;
    metrics::Counter messages;   // sent
    metrics::Counter overflows;  // clients that did not take them fast enough
    metrics::Counter replays;    // clients that began behind an id
    metrics::Counter resets;     // sent
};

// What one client hears. It belongs to the thread of its station.
class Listener {
  public:
    // `wake` is called when there is something in `queue`, or it has overflowed.
    Listener(Queue::Bounds bounds, Counters& counters, std::function<void()> wake)
        : queue(bounds, counters.queue_bytes), wake_(std::move(wake)) {}

    void hear(const std::vector<EventPtr>& events);
    // Goes to the place of a reset, wherever that is.
    void begin_anew(const EventPtr& reset);

    // Everything up to this was put into the queue, or not wanted.
    StreamId heard() const { return place_.at(); }
    void begin_behind(StreamId id) { place_.go(id); }

    Filter filter;
    Queue queue;

  private:
    std::function<void()> wake_;
    Place place_;
};

class Station {
  public:
    Station() = default;
    Station(const Station&) = delete;
    Station& operator=(const Station&) = delete;

    // Whether it is known yet where the stream is.
    bool knows() const { return knows_; }
    // All up to this id have been passed on to the listeners there were.
    StreamId live() const { return live_; }

    // Has the listener hear everything behind `id`, which must be live() or later, from now on.
    void add(Listener& listener, StreamId id);
    void remove(Listener& listener) { listeners_.erase(&listener); }

    // Passes on what came; the stream is at `live` then.
    void deliver(const std::vector<EventPtr>& events, StreamId live);
    // Another stream has taken the place of the one that was passed on, and is at the reset's id.
    void begin_anew(const EventPtr& reset);

    Counters counters;

  private:
    bool knows_ = false;
    StreamId live_;
    std::unordered_set<Listener*> listeners_;
};

}  // namespace muster::push
