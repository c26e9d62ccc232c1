// What waits to be sent to one client, bounded.
#pragma once

#include <deque>

#include "metrics/histogram.hpp"
#include "push/event.hpp"

namespace muster::push {

class Queue {
  public:
    struct Bounds {
        std::size_t messages;
        std::size_t bytes;  // of events that other queues may hold, too
    };

    // `bytes` sums up the queues of one thread, which it belongs to.
    Queue(Bounds bounds, metrics::Gauge& bytes) : bounds_(bounds), gauge_(bytes) {}
    ~Queue() { clear(); }
    Queue(const Queue&) = delete;
    Queue& operator=(const Queue&) = delete;

    // Adds an event. If there is no room for it, everything is dropped and nothing taken until
    // clear(): the client has to come back. An event larger than the bound finds room when nothing
    // else waits.
    void push(EventPtr event) {
        if (overflowed_) {
            return;
        }
        const std::size_t weight = event->weight();
        if (!events_.empty() &&
            (events_.size() >= bounds_.messages || bytes_ + weight > bounds_.bytes)) {
            clear();
            overflowed_ = true;
            return;
        }
        bytes_ += weight;
        gauge_.add(static_cast<std::int64_t>(weight));
        events_.push_back(std::move(event));
    }

    // Takes the event that came first; there must be one.
    EventPtr pop() {
        EventPtr event = std::move(events_.front());
        events_.pop_front();
        bytes_ -= event->weight();
        gauge_.add(-static_cast<std::int64_t>(event->weight()));
        return event;
    }

    void clear() {
        gauge_.add(-static_cast<std::int64_t>(bytes_));
        bytes_ = 0;
        std::deque<EventPtr>().swap(events_);
        overflowed_ = false;
    }

    bool empty() const { return events_.empty(); }
    bool overflowed() const { return overflowed_; }
    std::size_t messages() const { return events_.size(); }
    std::size_t bytes() const { return bytes_; }

  private:
    const Bounds bounds_;
    metrics::Gauge& gauge_;
    std::deque<EventPtr> events_;
    std::size_t bytes_ = 0;
    bool overflowed_ = false;
};

}  // namespace muster::push
