// Keeps the outbox within its bounds, whether or not anything can be published.
#pragma once

#include <string>

#include "config/config.hpp"
#include "relay/outbox.hpp"
#include "relay/stats.hpp"

namespace muster::relay {

class Upkeep {
  public:
    Upkeep(const config::Relay& config, Stats& stats) : config_(config), stats_(stats) {}

    // Takes the steps that are due; the session must lead. Everything up to `published` is (0:
    // unknown). Returns whether changes were dropped: then a new generation is due.
    Task<Outbox::Outcome<bool>> rotate(Outbox& outbox, std::uint64_t published);

    // The same while publishing is behind, or impossible: makes a tick first, since only what a
    // tick has seen can go, and tells how far behind it is.
    Task<Outbox::Outcome<bool>> tend(Outbox& outbox, std::uint64_t published);

  private:
    void log(const Outbox::Rotation& rotation);
    Task<Outbox::Failure> measure(Outbox& outbox, std::uint64_t published);

    const config::Relay& config_;
    Stats& stats_;
    std::string last_step_;
    TimePoint backlog_due_{};
};

}  // namespace muster::relay
