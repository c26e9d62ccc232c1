// The breakers between the door and the database: one for the database, and one a route, whose
// statements may be too slow while the database is well.
#pragma once

#include <memory>
#include <vector>

#include "breaker/breaker.hpp"
#include "config/config.hpp"
#include "http/problem.hpp"
#include "metrics/registry.hpp"
#include "postgres/connection.hpp"
#include "runtime/result.hpp"

namespace muster::http {

// Whether this says that the database is away, not that it is busy or has refused something.
bool is_outage(const postgres::Error& error);

// Shared by all threads.
class Circuits {
  public:
    Circuits(const config::Breaker& config, const std::vector<config::Route>& routes,
             metrics::Registry& registry);

    // A statement that was let through.
    struct Pass {
        breaker::Breaker::Pass route;
        breaker::Breaker::Pass database;
    };

    // Lets a route's statement through, or says what to answer instead.
    Result<Pass, Problem> admit(std::size_t route) const;
    // What became of it; `error` is null if it was answered.
    void settle(std::size_t route, const Pass& pass, const postgres::Error* error) const;
    // Whether one of the two has opened since: the statement had better not be sent any more.
    bool overtaken(std::size_t route, const Pass& pass) const;

    // Whether the route's statements are kept away now.
    bool refuses(std::size_t route) const {
        return database_->refuses() || routes_[route]->refuses();
    }
    breaker::Breaker& database() const { return *database_; }
    // What is answered for want of a database.
    static Problem unavailable();

  private:
    std::shared_ptr<breaker::Breaker> database_;
    std::vector<std::shared_ptr<breaker::Breaker>> routes_;
};

}  // namespace muster::http
