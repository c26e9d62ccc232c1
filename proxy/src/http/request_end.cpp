// What is done about a request that has its answer.
#include <spdlog/spdlog.h>

#include "http/client_address.hpp"
#include "http/request_handler.hpp"
#include "http/trace.hpp"

namespace muster::http {
namespace {

// What may stand in a log: nothing of the query string.
std::string_view path_of(std::string_view target) {
    return target.substr(0, target.find('?'));
}

}  // namespace

void RequestHandler::finish(const Passage& passage, Response& response) {
    const Exchange& exchange = passage.exchange;
    if (const auto trace = exchange.header("traceparent"); trace && is_traceparent(*trace)) {
        response.headers.emplace_back("traceparent", *trace);
    }
    shared_->cors.add_headers(exchange, response);
    compressor_.apply(exchange, response);
    count(passage, response);
    if (shared_->access_log != nullptr) {
        log(passage, response);
    }
    spdlog::debug("{} {} {} {}", exchange.request_id, exchange.method, path_of(exchange.target),
                  response.status);
}

// Counts and times it. Those without a key are not told its times.
void RequestHandler::count(const Passage& passage, Response& response) {
    Exchange& exchange = passage.exchange;
    exchange.answered = Clock::now();
    std::optional<std::chrono::nanoseconds> total;
    if (shared_->time_keeper.enabled()) {
        total = exchange.answered - exchange.begun;
    }
    counters_->count(passage.endpoint, exchange.method, response.status, total);
    counters_->observe(pool_);
    if (total && passage.identity && passage.times.wanted()) {
        response.headers.emplace_back("Server-Timing", passage.times.header(*total, response));
    }
}

void RequestHandler::log(const Passage& passage, const Response& response) const {
    const Exchange& exchange = passage.exchange;
    const std::string client = client_address(exchange.peer, exchange.headers("X-Forwarded-For"),
                                              shared_->http.trusted_proxies)
                                   .to_string();
    const auto trace = exchange.header("traceparent");
    AccessLine line{.method = exchange.method,
                    .path = path_of(exchange.target),
                    .status = response.status,
                    .bytes = exchange.method == "HEAD" ? 0 : response.body().size(),
                    .duration = exchange.answered - exchange.begun,
                    .request_id = exchange.request_id,
                    .trace_id = trace && is_traceparent(*trace) ? trace_id(*trace) : "",
                    .client = client,
                    .route = {},
                    .key_id = {},
                    .key_name = {}};
    if (passage.match && passage.match->kind == Router::Match::Kind::found) {
        line.route = shared_->routes[passage.match->route].name;
    }
    if (passage.identity) {
        line.key_id = passage.identity->id;
        line.key_name = passage.identity->name;
    }
    shared_->access_log->write(line);
}

}  // namespace muster::http
