// Where somebody stands in the stream of events, and how to get from there to where it is now.
// Without I/O.
//
// The stream is a chain: each entry names the one before it. Its ids are the same whoever publishes
// an entry and however often, so that what was seen is known by its id, and what was not by a link
// that does not fit.
#pragma once

#include <optional>
#include <vector>

#include "push/event.hpp"
#include "runtime/asio.hpp"

namespace muster::push {

// A place in the stream: everything up to an id has been seen.
class Place {
  public:
    explicit Place(StreamId at = {}) : at_(at) {}

    enum class Step {
        known,  // it was seen
        next,   // nothing is between
        gap,    // at least the entry before it is missing
    };
    Step judge(const Event& event) const {
        return event.id <= at_ ? Step::known : event.previous <= at_ ? Step::next : Step::gap;
    }

    void go(StreamId to) { at_ = to; }
    StreamId at() const { return at_; }

  private:
    StreamId at_;
};

// Reading the stream from a place up to where live events are known from.
class Replay {
  public:
    // How long it waits for a stream that has lost its end to be filled again by the relay.
    static constexpr std::chrono::seconds patience{10};

    explicit Replay(StreamId from) : place_(from) {}

    StreamId at() const { return place_.at(); }

    // Takes the entries that follow at(), as far as they were read, in order. Returns what to pass
    // on, which has a reset wherever entries are missing.
    std::vector<EventPtr> take(std::vector<EventPtr> entries);

    enum class Next {
        read,  // there is more
        live,  // it has arrived: what comes live and is behind at() comes next
        wait,  // it is not there yet: read again in a moment
        lost,  // it does not come: a reset to the live events' place is due
    };
    // What to do after a read that brought something or nothing. Live events are known from behind
    // `live` on; `newest` is the stream's last entry, if it was asked for: a place behind both was
    // never one.
    Next next(bool brought, StreamId live, std::optional<StreamId> newest, TimePoint now);

  private:
    Place place_;
    std::optional<TimePoint> give_up_;
};

}  // namespace muster::push
