// Matching origins, and the headers of both kinds of answer.
#include "http/cors.hpp"

#include <algorithm>

namespace muster::http {
namespace {

constexpr std::string_view methods = "GET, HEAD, POST, PUT, PATCH, DELETE";
constexpr std::string_view request_headers =
    "Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Muster-Token, "
    "Prefer, X-API-Key, X-Request-Id, traceparent, tracestate";
constexpr std::string_view response_headers =
    "Cache-Status, ETag, Idempotency-Replayed, Link, Location, Muster-Token, RateLimit, "
    "RateLimit-Policy, Retry-After, Server-Timing, X-RateLimit-Limit, X-RateLimit-Remaining, "
    "X-RateLimit-Reset, X-Request-Id, traceparent";
constexpr std::string_view max_age = "7200";  // the most that Chromium believes

}  // namespace

Cors::Cors(std::vector<std::string> origins)
    : origins_(std::move(origins)), all_(origins_.size() == 1 && origins_.front() == "*") {}

bool Cors::allows(std::string_view origin) const {
    return all_ || std::find(origins_.begin(), origins_.end(), origin) != origins_.end();
}

std::optional<Response> Cors::preflight(const Exchange& exchange) const {
    const auto origin = exchange.header("Origin");
    if (origins_.empty() || exchange.method != "OPTIONS" || !origin ||
        !exchange.header("Access-Control-Request-Method")) {
        return std::nullopt;
    }
    Response response;
    response.status = 204;
    if (allows(*origin)) {
        response.headers.emplace_back("Access-Control-Allow-Methods", methods);
        response.headers.emplace_back("Access-Control-Allow-Headers", request_headers);
        response.headers.emplace_back("Access-Control-Max-Age", max_age);
    }
    response.vary("Access-Control-Request-Method, Access-Control-Request-Headers");
    return response;
}

void Cors::add_headers(const Exchange& exchange, Response& response) const {
    if (origins_.empty()) {
        return;
    }
    if (!all_) {
        response.vary("Origin");  // of the answer without one, too: caches keep that
    }
    const auto origin = exchange.header("Origin");
    if (!origin || !allows(*origin)) {
        return;
    }
    response.headers.emplace_back("Access-Control-Allow-Origin", all_ ? "*" : *origin);
    if (exchange.method != "OPTIONS") {
        response.headers.emplace_back("Access-Control-Expose-Headers", response_headers);
    }
}

}  // namespace muster::http
