// The stage that calls a route's function: once, by way of the cache, or plainly.
#include <charconv>

#include <spdlog/spdlog.h>

#include "http/idempotency.hpp"
#include "http/problem.hpp"
#include "http/request_handler.hpp"
#include "http/route_answer.hpp"
#include "runtime/json.hpp"

namespace muster::http {

// Stage: the function call and its answer.
Task<Response> RequestHandler::call(Passage& passage) {
    const std::size_t route = passage.match->route;
    const BoundCall& call = shared_->calls[route];
    std::optional<IdempotentRequest> once;
    if (shared_->routes[route].idempotent) {
        auto key = idempotency_key(passage.exchange);
        if (!key) {
            co_return respond(key.error());
        }
        if (key.value()) {
            once.emplace(*std::move(key).value(), passage.exchange, passage.target);
        }
    }
    const auto values = call.bind(passage.match->values, passage.target, passage.exchange.body);
    if (!values) {
        co_return respond(values.error());
    }
    if (once) {
        co_return co_await call_once(passage, values.value(), *once);
    }
    if (cached_reads_ && shared_->plans[route].caches()) {
        co_return co_await read_cached(passage, values.value());
    }
    const cache::Fence::Era era = call.traced() ? cached_reads_->era() : 0;
    auto rows = co_await query(passage, call.sql(), values.value(), false);
    if (!rows) {
        co_return respond(rows.error());
    }
    std::string token;
    if (call.traced()) {
        const auto found = read_answer(rows.value(), 200, true);
        const auto origin = found && found.value().origin
                                ? cache::Origin::parse(*found.value().origin)
                                : std::nullopt;
        if (origin && origin->xid != 0) {
            token = cached_reads_->wrote(*origin, era,
                                         shared_->plans[route].written_tags(values.value()));
        }
    }
    Response response = answer(passage, std::move(rows).value(), call.traced());
    if (!token.empty()) {
        response.headers.emplace_back("Muster-Token", std::move(token));
    }
    co_return response;
}

// A write that is carried out once, however often it is sent.
Task<Response> RequestHandler::call_once(Passage& passage,
                                         const std::vector<postgres::Parameter>& values,
                                         const IdempotentRequest& request) {
    const std::size_t route = passage.match->route;
    const cache::Fence::Era era = cached_reads_ ? cached_reads_->era() : 0;
    auto rows = co_await query(passage, shared_->idempotent_calls[route].sql(),
                               IdempotentCall::bind(values, passage.identity->id, request), true);
    if (!rows) {
        co_return respond(rows.error());
    }
    // A function that returns more than one row has failed: its second answer cannot be stored.
    const postgres::Rows& row = rows.value();
    const std::string_view outcome =
        row.size() == 1 ? row.get(0, row.find("outcome")) : std::string_view();
    if (outcome == "busy") {
        Response refused = respond(409, "a request with this Idempotency-Key is being carried out");
        refused.headers.emplace_back("Retry-After", "1");
        co_return refused;
    }
    if (outcome == "mismatch") {
        co_return respond(422,
                          "this Idempotency-Key was used for another request, with another "
                          "body or query");
    }
    std::string token;
    if (cached_reads_ && shared_->plans[route].writes()) {
        // Whoever did it, what it wrote has ended what was cached before this answer is seen.
        const auto found = read_answer(row, 200, true);
        auto origin = found && found.value().origin ? cache::Origin::parse(*found.value().origin)
                                                    : std::nullopt;
        if (origin && !row.is_null(0, row.find("xid"))) {
            const std::string_view xid = row.get(0, row.find("xid"));
            std::from_chars(xid.data(), xid.data() + xid.size(), origin->xid);
        }
        if (origin && origin->xid != 0) {
            token = cached_reads_->wrote(*origin, era, shared_->plans[route].written_tags(values));
        }
    }
    const bool replayed = outcome == "replay";
    Response response = answer(passage, std::move(rows).value(), true);
    if (!token.empty()) {
        response.headers.emplace_back("Muster-Token", std::move(token));
    }
    if (replayed) {
        response.headers.emplace_back("Idempotency-Replayed", "true");
    }
    co_return response;
}

Task<Response> RequestHandler::read_cached(Passage& passage,
                                           const std::vector<postgres::Parameter>& values) {
    const std::size_t route = passage.match->route;
    const CachedReads::Question question{passage.exchange,
                                         passage.target,
                                         shared_->plans[route],
                                         values,
                                         [&] { return ask(passage, values); },
                                         [&] { return shared_->circuits.refuses(route); }};
    passage.times.looking();
    Response response = co_await cached_reads_->answer(question);
    passage.times.looked();
    co_return response;
}

// A cached route's question to the database.
Task<CachedReads::Answer> RequestHandler::ask(Passage& passage,
                                              const std::vector<postgres::Parameter>& values) {
    const auto rows =
        co_await query(passage, shared_->calls[passage.match->route].sql(), values, true);
    if (!rows) {
        co_return rows.error();
    }
    const auto answer =
        read_answer(rows.value(), shared_->routes[passage.match->route].success, true);
    if (!answer) {
        co_return broken(passage, answer.error());
    }
    auto origin = cache::Origin::parse(answer.value().origin.value_or(""));
    if (!origin || answer.value().location) {
        co_return broken(passage, origin ? "a location, which a cached route cannot have"
                                         : "no origin, which the proxy asked for");
    }
    CachedReads::Fresh fresh;
    fresh.origin = *std::move(origin);
    fresh.entry.status = answer.value().found ? answer.value().status : 404;
    fresh.entry.body = answer.value().body;
    fresh.entry.next = answer.value().next.value_or("");
    fresh.storable = fresh.entry.status < 300 || !answer.value().found;
    co_return fresh;
}

// Runs a statement of the route. One that is `repeatable`, and any of a read, is tried once more
// when it finds its connection dead: the server may have closed it since it was last used, and
// nothing can have been done twice.
Task<Result<postgres::Rows, Problem>> RequestHandler::query(
    Passage& passage, const std::string& sql, const std::vector<postgres::Parameter>& values,
    bool repeatable) {
    const TimePoint deadline = passage.exchange.deadline;
    const std::size_t route = passage.match->route;
    const Circuits& circuits = shared_->circuits;
    for (bool retried = false;; retried = true) {
        const auto pass = circuits.admit(route);
        if (!pass) {
            co_return pass.error();
        }
        const bool resting = pool_.resting();
        passage.times.waiting();
        auto lease = co_await pool_.acquire(deadline);
        if (!lease) {
            if (is_outage(lease.error()) && !resting) {
                circuits.settle(route, pass.value(), &lease.error());
            }
            co_return unavailable(lease.error());
        }
        if (circuits.overtaken(route, pass.value())) {
            co_return Circuits::unavailable();
        }
        passage.times.asking();
        auto rows = co_await lease.value()->query(sql.c_str(), values, deadline);
        const auto outcome = passage.times.answered(passage.match->route, rows);
        circuits.settle(route, pass.value(), rows ? nullptr : &rows.error());
        const bool again = !rows && rows.error().connection_lost &&
                           outcome == timing::Outcome::error && !retried &&
                           (repeatable || passage.exchange.reads());
        if (rows) {
            co_return std::move(rows).value();
        }
        if (!again) {
            co_return failed(passage, rows.error());
        }
    }
}

// Turns the function's row into the answer.
Response RequestHandler::answer(const Passage& passage, postgres::Rows rows, bool traced) const {
    const std::size_t route = passage.match->route;
    const auto kept = std::make_shared<const postgres::Rows>(std::move(rows));
    const auto found = read_answer(*kept, shared_->routes[route].success, traced);
    if (!found) {
        return respond(broken(passage, found.error()));
    }
    const RouteAnswer& answer = found.value();
    if (!answer.found) {
        return respond(404, "there is no such thing");
    }
    Response response;
    response.status = answer.status;
    if (answer.next) {
        response.headers.emplace_back(
            "Link", "<" + next_page(passage.target, *answer.next) + ">; rel=\"next\"");
    }
    if (answer.location) {
        response.headers.emplace_back("Location", *answer.location);
    }
    response.view = answer.body;
    response.kept = kept;
    return response;
}

// The problem of a function that returned what no answer can be made of.
Problem RequestHandler::broken(const Passage& passage, const std::string& why) const {
    spdlog::error("request {}: route \"{}\" returned {}", passage.exchange.request_id,
                  shared_->routes[passage.match->route].name, why);
    return {500, "the route's function returned what no answer can be made of", {}, {}};
}

// The problem of a failed statement; what clients are not told goes to the log, where a request's
// own text cannot start a new line.
Problem RequestHandler::failed(const Passage& passage, const postgres::Error& error) const {
    Problem problem = problem_of(error, !passage.exchange.reads());
    if (problem.status >= 500) {
        std::string message;
        append_json_string(message, error.message);
        if (!error.detail.empty()) {
            message += ", ";
            append_json_string(message, error.detail);
        }
        spdlog::error("request {}: route \"{}\" failed with {}: {}", passage.exchange.request_id,
                      shared_->routes[passage.match->route].name, error.sqlstate, message);
    }
    return problem;
}

}  // namespace muster::http
