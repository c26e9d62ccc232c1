// A one-shot wake-up from one coroutine to another of the same thread.
#pragma once

#include "runtime/asio.hpp"

namespace muster {

// One waiter at most; a set() before the wait is not lost.
class Event {
  public:
    explicit Event(net::io_context& context) : timer_(context.get_executor()) {}

    // Waits for set(); false when `deadline` passes first.
    Task<bool> wait(TimePoint deadline) {
        if (!set_) {
            timer_.expires_at(deadline);
            error_code ignored;
            co_await timer_.async_wait(capture(ignored));
        }
        co_return set_;
    }

    void set() {
        set_ = true;
        timer_.cancel();
    }

    bool is_set() const { return set_; }

  private:
    Timer timer_;
    bool set_ = false;
};

}  // namespace muster
