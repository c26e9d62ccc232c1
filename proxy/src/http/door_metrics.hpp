// What the HTTP door counts of its requests, per thread, and how it is read.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "metrics/histogram.hpp"
#include "metrics/registry.hpp"
#include "postgres/pool.hpp"

namespace muster::http {

// Requests are counted under a route's index, or one of these added to the number of routes.
enum class OtherEndpoint : std::size_t { none, root, health, live };

class DoorMetrics {
  public:
    // One thread's counters.
    struct Thread {
        explicit Thread(std::size_t routes) : requests(routes + 4), durations(routes + 4) {}

        // Counts a request, and its duration if that was timed.
        void count(std::size_t endpoint, std::string_view method, unsigned status,
                   std::optional<std::chrono::nanoseconds> duration);
        // Copies the pool's sizes to where a scrape may read them.
        void observe(const postgres::Pool& pool);

        metrics::Gauge in_flight;
        metrics::Histogram pool_wait;
        metrics::Gauge pool_open;
        metrics::Gauge pool_idle;
        metrics::Gauge pool_waiting;

      private:
        friend class DoorMetrics;
        static constexpr std::size_t methods = 7;
        static constexpr std::size_t classes = 5;
        using Requests = std::array<std::array<metrics::Counter, classes>, methods>;
        std::vector<Requests> requests;
        std::vector<std::array<metrics::Histogram, classes>> durations;
    };

    // `timed` says whether durations and pool_wait are used.
    DoorMetrics(metrics::Registry& registry, const std::vector<config::Route>& routes,
                unsigned threads, bool timed);

    std::shared_ptr<Thread> thread(unsigned i) const { return threads_[i]; }

  private:
    using Threads = std::vector<std::shared_ptr<Thread>>;

    void add_requests(metrics::Registry& registry, std::size_t endpoint, std::string_view name,
                      std::size_t method) const;
    void add_durations(metrics::Registry& registry, std::size_t endpoint,
                       std::string_view name) const;
    void add_pool_wait(metrics::Registry& registry) const;

    Threads threads_;
};

}  // namespace muster::http
