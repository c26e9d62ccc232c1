// What of the database's errors concerns which breaker.
#include "http/circuits.hpp"

#include "breaker/circuit.hpp"

namespace muster::http {

bool is_outage(const postgres::Error& error) {
    const std::string_view sqlstate = error.sqlstate;
    return error.connection_lost || sqlstate.starts_with("08") || sqlstate.starts_with("57P");
}

Circuits::Circuits(const config::Breaker& config, const std::vector<config::Route>& routes,
                   metrics::Registry& registry)
    : database_(breaker::make_circuit(config, registry, "database")) {
    for (const config::Route& route : routes) {
        routes_.push_back(breaker::make_circuit(config, registry, "route " + route.name));
    }
}

Problem Circuits::unavailable() {
    return {503, "the database is not available", {}, {}};
}

Result<Circuits::Pass, Problem> Circuits::admit(std::size_t route) const {
    const TimePoint now = Clock::now();
    const auto of_route = routes_[route]->admit(now);
    if (!of_route) {
        return Problem{503, "the database has not answered this in time lately", {}, {}};
    }
    const auto of_database = database_->admit(now);
    if (!of_database) {
        return unavailable();
    }
    return Pass{*of_route, *of_database};
}

// A statement that the server cancelled in time says that the server is there. One that was refused
// for what it asked was answered.
void Circuits::settle(std::size_t route, const Pass& pass, const postgres::Error* error) const {
    const TimePoint now = Clock::now();
    const bool late = error != nullptr && error->sqlstate == "57014";
    const bool away = error != nullptr && (is_outage(*error) || error->sqlstate.starts_with("53"));
    if (away) {
        database_->failed(pass.database, now);
    } else {
        database_->succeeded(pass.database, now);
    }
    if (late) {
        routes_[route]->failed(pass.route, now);
    } else if (!away) {
        routes_[route]->succeeded(pass.route, now);
    }
}

bool Circuits::overtaken(std::size_t route, const Pass& pass) const {
    return database_->overtaken(pass.database) || routes_[route]->overtaken(pass.route);
}

}  // namespace muster::http
