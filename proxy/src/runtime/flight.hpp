// One question on its way, and the coroutines of the same thread that wait for the same answer.
#pragma once

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/event.hpp"

namespace muster {

// Shared by the one who asks and those who join: hold it by shared_ptr.
template <class T>
class Flight {
  public:
    // Waits for the answer; nothing when `deadline` passes or the asker gave up without one.
    Task<std::optional<T>> join(net::io_context& context, TimePoint deadline) {
        Seat seat(*this, context);
        co_await seat.event.wait(deadline);
        co_return answer_;
    }

    // Ends the flight, with the answer or without.
    void land(std::optional<T> answer) {
        answer_ = std::move(answer);
        for (Event* waiter : waiters_) {
            waiter->set();
        }
    }

  private:
    struct Seat {
        Seat(Flight& owner, net::io_context& context) : flight(owner), event(context) {
            flight.waiters_.push_back(&event);
        }
        ~Seat() { std::erase(flight.waiters_, &event); }
        Seat(const Seat&) = delete;
        Seat& operator=(const Seat&) = delete;
        Flight& flight;
        Event event;
    };

    std::vector<Event*> waiters_;
    std::optional<T> answer_;
};

}  // namespace muster
