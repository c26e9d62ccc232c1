// Passing on what came.
#include "push/station.hpp"

namespace muster::push {

void Listener::hear(const std::vector<EventPtr>& events) {
    bool wanted = false;
    for (const EventPtr& event : events) {
        if (place_.judge(*event) == Place::Step::known) {
            continue;
        }
        place_.go(event->id);
        if (filter.matches(*event)) {
            queue.push(event);
            wanted = true;
        }
    }
    if (wanted) {
        wake_();
    }
}

void Listener::begin_anew(const EventPtr& reset) {
    place_.go(reset->id);
    queue.push(reset);
    wake_();
}

void Station::add(Listener& listener, StreamId id) {
    listener.begin_behind(id);
    listeners_.insert(&listener);
}

void Station::deliver(const std::vector<EventPtr>& events, StreamId live) {
    for (Listener* listener : listeners_) {
        listener->hear(events);
    }
    live_ = live;
    knows_ = true;
}

void Station::begin_anew(const EventPtr& reset) {
    for (Listener* listener : listeners_) {
        listener->begin_anew(reset);
    }
    live_ = reset->id;
}

}  // namespace muster::push
