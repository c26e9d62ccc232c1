// Log lines and series of a breaker.
#include "breaker/circuit.hpp"

#include <spdlog/spdlog.h>

namespace muster::breaker {

std::shared_ptr<Breaker> make_circuit(const config::Breaker& config, metrics::Registry& registry,
                                      const std::string& name) {
    // Probes that fail come a few a second for as long as an outage lasts: they are not told of.
    const auto log = [name](State from, State to) {
        const bool probing = to == State::half_open || from == State::half_open;
        const auto level = probing && to != State::recovering ? spdlog::level::debug
                           : to == State::open                ? spdlog::level::warn
                                                              : spdlog::level::info;
        spdlog::log(level, "circuit breaker of {}: {}, was {}", name, name_of(to), name_of(from));
    };
    auto breaker = std::make_shared<Breaker>(
        Breaker::Options{config.failures, config.open_time, config.ramp}, log);
    const metrics::Labels labels{{"circuit", name}};
    registry.gauge("circuit_breaker_state", "0 closed, 1 recovering, 2 half-open, 3 open.", labels,
                   [breaker] { return static_cast<double>(breaker->state()); });
    registry.counter("circuit_breaker_opened_total", "Times that the circuit was opened.", labels,
                     [breaker] { return static_cast<double>(breaker->opened()); });
    registry.counter("circuit_breaker_refused_total", "Calls that were not let through.", labels,
                     [breaker] { return static_cast<double>(breaker->refused()); });
    return breaker;
}

}  // namespace muster::breaker
