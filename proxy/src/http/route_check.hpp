// Whether the routes' calls fit the database: each is described there, once, before it is trusted.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "postgres/connection.hpp"

namespace muster::http {

// A route whose call the database refuses or whose result is none of a route's.
struct RouteMistake {
    std::size_t route;    // index
    std::string message;  // "route \"x\": function f(text) does not exist"
};

// Describes every call. Fails only when the database cannot be asked.
Task<postgres::Outcome<std::vector<RouteMistake>>> check_routes(
    postgres::Connection& connection, std::span<const config::Route> routes, TimePoint deadline);

// What is wrong with the columns of a route's result; empty if nothing is.
std::string column_mistake(const std::vector<postgres::Description::Column>& columns);

// What the check found, as far as it has been made; shared by all threads.
class RouteState {
  public:
    explicit RouteState(std::size_t routes) : refused_(routes) {}

    void checked(const std::vector<RouteMistake>& mistakes);
    bool is_checked() const { return checked_.load(std::memory_order_acquire); }
    bool is_refused(std::size_t route) const {
        return refused_[route].load(std::memory_order_relaxed);
    }
    // Why the process is not ready for its routes; empty if it is.
    std::string reason() const;

  private:
    std::atomic<bool> checked_{false};
    std::vector<std::atomic<bool>> refused_;
    mutable std::mutex mutex_;  // of reason_
    std::string reason_ = "the routes have not been checked against the database yet";
};

}  // namespace muster::http
