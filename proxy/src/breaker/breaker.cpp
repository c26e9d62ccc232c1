// The states and what leads from one to another.
#include "breaker/breaker.hpp"

namespace muster::breaker {
namespace {

constexpr double first_share = 0.1;
// Multiples of the golden ratio fall evenly into [0, 1): of any run of calls about the wanted share
// passes.
constexpr std::uint64_t golden = 0x9e3779b97f4a7c15U;

double fraction(std::uint64_t n) {
    return static_cast<double>((n * golden) >> 11) * 0x1p-53;
}

Clock::rep ticks(TimePoint time) {
    return time.time_since_epoch().count();
}

Clock::rep ticks(std::chrono::milliseconds duration) {
    return std::chrono::duration_cast<Clock::duration>(duration).count();
}

}  // namespace

std::string_view name_of(State state) {
    switch (state) {
        case State::closed:
            return "closed";
        case State::recovering:
            return "recovering";
        case State::half_open:
            return "half-open";
        case State::open:
            break;
    }
    return "open";
}

Breaker::Breaker(Options options, Observer observer)
    : options_(options), observer_(std::move(observer)) {}

std::optional<Breaker::Pass> Breaker::admit(TimePoint now) {
    const std::uint64_t word = word_.load(std::memory_order_acquire);
    switch (state_of(word)) {
        case State::closed:
            return Pass(generation_of(word));
        case State::recovering:
            return ramp(word, now);
        case State::half_open:
        case State::open:
            break;
    }
    return probe(now);
}

// While open or half-open: one call each open_time.
std::optional<Breaker::Pass> Breaker::probe(TimePoint now) {
    const auto due = [&] {
        return ticks(now) - since_.load(std::memory_order_acquire) >= ticks(options_.open_time);
    };
    if (!due()) {
        return refuse();
    }
    const std::lock_guard lock(mutex_);
    const std::uint64_t word = word_.load(std::memory_order_relaxed);
    if (!due() || state_of(word) < State::half_open) {
        return refuse();
    }
    if (state_of(word) == State::open) {
        return enter(State::half_open, now);
    }
    since_.store(ticks(now), std::memory_order_release);
    return Pass(generation_of(word));
}

std::optional<Breaker::Pass> Breaker::ramp(std::uint64_t word, TimePoint now) {
    const Clock::rep elapsed = ticks(now) - since_.load(std::memory_order_acquire);
    if (elapsed >= ticks(options_.ramp)) {
        const std::lock_guard lock(mutex_);
        if (word_.load(std::memory_order_relaxed) == word) {
            return enter(State::closed, now);
        }
        return refuse();  // it has just failed, or another call has just closed it
    }
    const double share = first_share + (1 - first_share) * static_cast<double>(elapsed) /
                                           static_cast<double>(ticks(options_.ramp));
    if (fraction(asked_.fetch_add(1, std::memory_order_relaxed)) < share) {
        return Pass(generation_of(word));
    }
    return refuse();
}

std::optional<Breaker::Pass> Breaker::refuse() {
    refused_.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
}

void Breaker::succeeded(Pass pass, TimePoint now) {
    const std::uint64_t word = word_.load(std::memory_order_acquire);
    if (generation_of(word) != pass.generation_) {
        return;
    }
    if (state_of(word) == State::closed && failures_.load(std::memory_order_relaxed) != 0) {
        failures_.store(0, std::memory_order_relaxed);
    } else if (state_of(word) == State::half_open) {
        enter_from(word, options_.ramp.count() > 0 ? State::recovering : State::closed, now);
    }
}

void Breaker::failed(Pass pass, TimePoint now) {
    const std::uint64_t word = word_.load(std::memory_order_acquire);
    if (generation_of(word) != pass.generation_ || options_.failures == 0) {
        return;
    }
    if (state_of(word) == State::closed &&
        failures_.fetch_add(1, std::memory_order_relaxed) + 1 < options_.failures) {
        return;
    }
    enter_from(word, State::open, now);
}

bool Breaker::overtaken(Pass pass) const {
    const std::uint64_t word = word_.load(std::memory_order_acquire);
    return generation_of(word) != pass.generation_ && state_of(word) >= State::half_open;
}

Breaker::Pass Breaker::enter(State state, TimePoint now) {
    const std::uint64_t word = word_.load(std::memory_order_relaxed);
    const std::uint64_t generation = generation_of(word) + 1;
    failures_.store(0, std::memory_order_relaxed);
    asked_.store(0, std::memory_order_relaxed);
    since_.store(ticks(now), std::memory_order_release);
    if (state == State::open) {
        opened_.fetch_add(1, std::memory_order_relaxed);
    }
    word_.store(generation << 2 | static_cast<std::uint64_t>(state), std::memory_order_release);
    if (observer_) {
        observer_(state_of(word), state);
    }
    return Pass(generation);
}

// Unless another call has changed it meanwhile.
void Breaker::enter_from(std::uint64_t word, State state, TimePoint now) {
    const std::lock_guard lock(mutex_);
    if (word_.load(std::memory_order_relaxed) == word) {
        enter(state, now);
    }
}

}  // namespace muster::breaker
