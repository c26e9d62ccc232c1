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

double sum(const std::vector<std::shared_ptr<DoorMetrics::Thread>>& threads,
           metrics::Gauge DoorMetrics::Thread::*gauge) {
    double all = 0;
    for (const auto& thread : threads) {
        all += static_cast<double>((thread.get()->*gauge).value());
    }
    return all;
}

}  // namespace

void DoorMetrics::Thread::count(std::size_t endpoint, std::string_view method, unsigned status) {
    const std::size_t status_class = std::clamp(status / 100, 1U, 5U) - 1;
    requests[endpoint][method_index(method)][status_class].add();
}

void DoorMetrics::Thread::observe(const postgres::Pool& pool) {
    pool_open.set(static_cast<std::int64_t>(pool.open()));
    pool_idle.set(static_cast<std::int64_t>(pool.idle()));
    pool_waiting.set(static_cast<std::int64_t>(pool.waiting()));
}

DoorMetrics::DoorMetrics(metrics::Registry& registry, const std::vector<config::Route>& routes,
                         unsigned threads) {
    for (unsigned i = 0; i < threads; ++i) {
        threads_.push_back(std::make_shared<Thread>(routes.size()));
    }
    for (std::size_t i = 0; i < routes.size(); ++i) {
        add_requests(registry, i, routes[i].name, method_index(routes[i].method));
        if (routes[i].method == "GET") {
            add_requests(registry, i, routes[i].name, method_index("HEAD"));
        }
    }
    constexpr std::array<std::string_view, 4> others{"none", "root", "health", "live"};
    for (std::size_t other = 0; other < others.size(); ++other) {
        for (std::size_t method = 0; method < method_names.size(); ++method) {
            add_requests(registry, routes.size() + other, others[other], method);
        }
    }
    registry.gauge("http_requests_in_flight", "Requests being answered.", {},
                   [all = threads_] { return sum(all, &Thread::in_flight); });
    registry.histogram("database_pool_wait_seconds",
                       "Time that requests waited for a database connection.", {},
                       [all = threads_] {
                           metrics::HistogramValue value;
                           for (const auto& thread : all) {
                               value += thread->pool_wait.value();
                           }
                           return value;
                       });
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
    for (const std::size_t status_class : {1U, 3U, 4U}) {  // 2xx, 4xx, 5xx
        registry.counter("http_requests_total", "Requests answered.",
                         {{"route", std::string(name)},
                          {"method", std::string(method_names[method])},
                          {"status", std::to_string(status_class + 1) + "xx"}},
                         [all = threads_, endpoint, method, status_class] {
                             std::uint64_t count = 0;
                             for (const auto& thread : all) {
                                 count += thread->requests[endpoint][method][status_class].value();
                             }
                             return static_cast<double>(count);
                         });
    }
}

}  // namespace muster::http
