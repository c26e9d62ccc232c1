// Limits for doors of tests.
#pragma once

#include <memory>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>

#include "limit/limiter.hpp"
#include "timing/timing.hpp"
#include "wire/door.hpp"

namespace muster::test {

// A proxy's limiter, with Redis or without, whose home is a thread of its own.
class Quotas {
  public:
    explicit Quotas(const config::WireLimits& limits, const config::Redis& redis = {},
                    bool shared = false)
        : limiter(std::make_shared<limit::Limiter>(home_, config::Limits{}, redis, registry_, 2,
                                                   limits)),
          guard_(net::make_work_guard(home_)),
          shared_(shared) {
        if (shared_)
            limiter->start();
        thread_ = std::thread([this] { home_.run(); });
    }
    ~Quotas() {
        if (shared_)
            limiter->stop();
        guard_.reset();
        thread_.join();
    }
    Quotas(const Quotas&) = delete;
    Quotas& operator=(const Quotas&) = delete;

  private:
    net::io_context home_;
    metrics::Registry registry_;

  public:
    std::shared_ptr<limit::Limiter> limiter;

  private:
    net::executor_work_guard<Executor> guard_;
    std::thread thread_;
    bool shared_;
};

// Of every kind, so that each is charged, and so high that none is reached.
inline config::WireLimits never_reached() {
    config::WireLimits limits;
    limits.address = limits.user = limits.database = {1000000, 1000000};
    limits.address_connections = limits.user_connections = 1000000;
    return limits;
}

// A door as a deployed one is: it limits and times.
class FullDoor {
  public:
    explicit FullDoor(config::Wire settings, const config::WireLimits& limits = never_reached())
        : quotas_(limits),
          timing_(timing::Timing::make(config(), registry_, 2).value()),
          door_(std::move(settings), timing_.get()) {
        door_.server().limit(quotas_.limiter);
    }
    Door& operator*() { return door_; }
    Door* operator->() { return &door_; }
    const timing::Timing& timing() const { return *timing_; }

  private:
    static config::Config config() {
        config::Config config;
        config.log.slow_query = "off";
        return config;
    }

    Quotas quotas_;
    metrics::Registry registry_;
    std::unique_ptr<timing::Timing> timing_;
    Door door_;
};

}  // namespace muster::test
