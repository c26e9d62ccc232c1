// A circuit breaker: keeps callers away from what has been failing, and lets them back bit by bit.
//
//   CLOSED      everybody passes; `failures` failures in a row open it
//   OPEN        nobody passes for `open_time`
//   HALF_OPEN   one passes, and another each `open_time` that brings no outcome: a probe that hangs
//               holds nothing up. Its success begins the recovery, its failure opens again
//   RECOVERING  a share passes that grows from a tenth to all within `ramp`; a failure opens again
//
// Only what was let through in the present state has a say in it: an outcome that comes late, as
// those of an outage's hanging calls do, is about another time.
//
// Thread-safe; while it is closed nothing is locked or written. Time is passed in.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>

#include "runtime/asio.hpp"

namespace muster::breaker {

enum class State : std::uint8_t { closed, recovering, half_open, open };

std::string_view name_of(State state);

class Breaker {
  public:
    struct Options {
        std::uint32_t failures = 5;  // in a row; 0: it never opens
        std::chrono::milliseconds open_time{250};
        std::chrono::milliseconds ramp{500};
    };
    // Told of each change, one at a time. Must not call the breaker.
    using Observer = std::function<void(State from, State to)>;

    // A call that was let through. To be told of by succeeded() or failed(), unless its outcome
    // says nothing.
    class Pass {
        friend class Breaker;
        explicit Pass(std::uint64_t generation) : generation_(generation) {}
        std::uint64_t generation_;
    };

    explicit Breaker(Options options, Observer observer = {});

    // Lets a call through, or not.
    std::optional<Pass> admit(TimePoint now);
    void succeeded(Pass pass, TimePoint now);
    void failed(Pass pass, TimePoint now);

    // Whether calls are kept away now, but for probes.
    bool refuses() const { return state() >= State::half_open; }
    // Whether it has opened since this was let through: what has not been done yet had better not
    // be.
    bool overtaken(Pass pass) const;

    State state() const { return state_of(word_.load(std::memory_order_acquire)); }
    std::uint64_t opened() const { return opened_.load(std::memory_order_relaxed); }
    std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

  private:
    // State and generation are one word, so that they change together.
    static State state_of(std::uint64_t word) { return static_cast<State>(word & 3); }
    static std::uint64_t generation_of(std::uint64_t word) { return word >> 2; }

    std::optional<Pass> probe(TimePoint now);
    std::optional<Pass> ramp(std::uint64_t word, TimePoint now);
    std::optional<Pass> refuse();
    Pass enter(State state, TimePoint now);  // with mutex_ held
    void enter_from(std::uint64_t word, State state, TimePoint now);

    const Options options_;
    const Observer observer_;
    std::atomic<std::uint64_t> word_{0};
    std::atomic<Clock::rep> since_{0};        // of the state, or the last probe
    std::atomic<std::uint32_t> failures_{0};  // in a row, while closed
    std::atomic<std::uint64_t> asked_{0};     // while recovering
    std::atomic<std::uint64_t> opened_{0};
    std::atomic<std::uint64_t> refused_{0};
    std::mutex mutex_;  // of changes
};

}  // namespace muster::breaker
