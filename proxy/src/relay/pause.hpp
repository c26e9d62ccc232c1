// Waiting that stop() interrupts, and pauses that grow.
#pragma once

#include <algorithm>
#include <atomic>

#include "runtime/asio.hpp"

namespace muster::relay {

class Pause {
  public:
    explicit Pause(net::io_context& context) : timer_(context) {}

    // Returns after `duration`, or at once when stopped.
    Task<> sleep(Clock::duration duration) {
        if (stopped())
            co_return;
        timer_.expires_after(duration);
        error_code ignored;
        co_await timer_.async_wait(capture(ignored));
    }
    bool stopped() const { return stopped_.load(std::memory_order_relaxed); }
    // From any thread; wake() then on the context's.
    void stop() { stopped_.store(true, std::memory_order_relaxed); }
    void wake() { timer_.cancel(); }

  private:
    Timer timer_;
    std::atomic<bool> stopped_{false};
};

// The pause before the next try: doubles with every use, from 50 ms to 1 s.
class Backoff {
  public:
    std::chrono::milliseconds next() {
        const auto now = pause_;
        pause_ = std::min(pause_ * 2, std::chrono::milliseconds(1000));
        return now;
    }
    void reset() { pause_ = shortest; }

  private:
    static constexpr std::chrono::milliseconds shortest{50};
    std::chrono::milliseconds pause_ = shortest;
};

}  // namespace muster::relay
