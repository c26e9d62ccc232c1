// Registration of the door's series: one per route, method and class of status that can occur.
#include "http/door_metrics.hpp"

#include <algorithm>

namespace muster::http {
namespace {

// Methods are the client's text: what is not among these is one series.
constexpr std::array<std::string_view, 7> method_names{"GET",   "HEAD",   "POST", "PUT",
                                                       "PATCH", "DELETE", "other"};

std::size_t method_index(std::string_view method) {
    const auto last = method_names.end() - 1;
    return static_cast<std::size_t>(std::find(method_names.begin(), last, method) -
                                    method_names.begin());
}

std::size_t class_index(unsigned status) {
    return std::clamp(status / 100, 1U, 5U) - 1;
}

// Those that occur: 2xx, 3xx, 4xx, 5xx.
constexpr std::array<std::size_t, 4> status_classes{1, 2, 3, 4};

std::string class_name(std::size_t status_class) {
    return std::to_string(status_class + 1) + "xx";
}

double sum(const std::vector<std::shared_ptr<DoorMetrics::Thread>>& threads,
           metrics::Gauge DoorMetrics::Thread::*gauge) {
    double all = 0;
    for (const auto& thread : threads) {
        all += static_cast<double>((thread.get()->*gauge).value());
    }
    return all;
}

}  // namespace

void DoorMetrics::Thread::count(std::size_t endpoint, std::string_view method, unsigned status,
                                std::optional<std::chrono::nanoseconds> duration) {
    const std::size_t status_class = class_index(status);
    requests[endpoint][method_index(method)][status_class].add();
    if (duration) {
        durations[endpoint][status_class].record(*duration);
    }
}

void DoorMetrics::Thread::observe(const postgres::Pool& pool) {
    pool_open.set(static_cast<std::int64_t>(pool.open()));
    pool_idle.set(static_cast<std::int64_t>(pool.idle()));
    pool_waiting.set(static_cast<std::int64_t>(pool.waiting()));
}

DoorMetrics::DoorMetrics(metrics::Registry& registry, const std::vector<config::Route>& routes,
                         unsigned threads, bool timed) {
    for (unsigned i = 0; i < threads; ++i) {
        threads_.push_back(std::make_shared<Thread>(routes.size()));
    }
    for (std::size_t i = 0; i < routes.size(); ++i) {
        add_requests(registry, i, routes[i].name, method_index(routes[i].method));
        if (timed) {
            add_durations(registry, i, routes[i].name);
        }
        if (routes[i].method == "GET") {
            add_requests(registry, i, routes[i].name, method_index("HEAD"));
        }
    }
    constexpr std::array<std::string_view, 4> others{"none", "root", "health", "live"};
    for (std::size_t other = 0; other < others.size(); ++other) {
        if (timed) {
            add_durations(registry, routes.size() + other, others[other]);
        }
        for (std::size_t method = 0; method < method_names.size(); ++method) {
            add_requests(registry, routes.size() + other, others[other], method);
        }
    }
    registry.gauge("http_requests_in_flight", "Requests being answered.", {},
                   [all = threads_] { return sum(all, &Thread::in_flight); });
    if (timed) {
        add_pool_wait(registry);
    }
    const char* const help = "Database connections of the HTTP door.";
    registry.gauge("database_pool_connections", help, {{"state", "open"}},
                   [all = threads_] { return sum(all, &Thread::pool_open); });
    registry.gauge("database_pool_connections", help, {{"state", "idle"}},
                   [all = threads_] { return sum(all, &Thread::pool_idle); });
    registry.gauge("database_pool_waiting", "Requests waiting for a database connection.", {},
                   [all = threads_] { return sum(all, &Thread::pool_waiting); });
}

void DoorMetrics::add_requests(metrics::Registry& registry, std::size_t endpoint,
                               std::string_view name, std::size_t method) const {
    for (const std::size_t status_class : status_classes) {
        registry.counter("http_requests_total", "Requests answered.",
                         {{"route", std::string(name)},
                          {"method", std::string(method_names[method])},
                          {"status", class_name(status_class)}},
                         [all = threads_, endpoint, method, status_class] {
                             std::uint64_t count = 0;
                             for (const auto& thread : all) {
                                 count += thread->requests[endpoint][method][status_class].value();
                             }
                             return static_cast<double>(count);
                         });
    }
}

void DoorMetrics::add_durations(metrics::Registry& registry, std::size_t endpoint,
                                std::string_view name) const {
    for (const std::size_t status_class : status_classes) {
        registry.histogram("http_request_duration_seconds",
                           "Time from the last byte of a request to its answer.",
                           {{"route", std::string(name)}, {"status", class_name(status_class)}},
                           [all = threads_, endpoint, status_class] {
                               metrics::HistogramValue value;
                               for (const auto& thread : all) {
                                   value += thread->durations[endpoint][status_class].value();
                               }
                               return value;
                           });
    }
}

void DoorMetrics::add_pool_wait(metrics::Registry& registry) const {
    registry.histogram("database_pool_wait_seconds",
                       "Time that requests waited for a database connection.", {},
                       [all = threads_] {
                           metrics::HistogramValue value;
                           for (const auto& thread : all) {
                               value += thread->pool_wait.value();
                           }
                           return value;
                       });
}

}  // namespace muster::http
