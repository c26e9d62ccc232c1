// The stage of requests for live updates, and for the tickets to them.
#include "http/client_address.hpp"
#include "http/limit_headers.hpp"
#include "http/problem.hpp"
#include "http/request_handler.hpp"

namespace muster::http {
namespace {

constexpr const char* redis_away = "tickets need Redis, which cannot be reached";

std::optional<LiveEndpoint> live_endpoint(const std::vector<std::string>& path) {
    if (path.size() == 1 && path[0] == "ws") {
        return LiveEndpoint::websocket;
    }
    if (path.size() == 2 && path[0] == "events" && path[1] == "stream") {
        return LiveEndpoint::sse;
    }
    if (path.size() == 1 && path[0] == "tickets") {
        return LiveEndpoint::tickets;
    }
    return std::nullopt;
}

}  // namespace

// Stage: the endpoints of live updates, which are the proxy's own, but need a key or a ticket.
Task<std::optional<Response>> RequestHandler::live(Passage& passage) {
    const auto endpoint = live_ ? live_endpoint(passage.target.segments) : std::nullopt;
    if (!endpoint) {
        co_return std::nullopt;
    }
    live_->belong_to(weak_from_this());
    passage.endpoint = shared_->routes.size() + static_cast<std::size_t>(OtherEndpoint::live);
    const Exchange& exchange = passage.exchange;
    const bool ticket_wanted = *endpoint == LiveEndpoint::tickets;
    const std::string_view method = ticket_wanted ? "POST" : "GET";
    if (exchange.method != method) {
        Response refused = respond(405, "this path is used with " + std::string(method));
        refused.headers.emplace_back("Allow", std::string(method));
        co_return refused;
    }
    if (*endpoint == LiveEndpoint::websocket && !websocket::is_upgrade(exchange)) {
        Response refused = respond(426, "this path speaks WebSocket");
        refused.headers.emplace_back("Upgrade", "websocket");
        co_return refused;
    }
    const std::string* const ticket = ticket_wanted ? nullptr : passage.target.find("ticket");
    // What a page's script reads by its own means, with a key in a header, is CORS' business.
    if ((*endpoint == LiveEndpoint::websocket || ticket != nullptr) &&
        !live_->is_welcome(exchange)) {
        co_return respond(403, "live updates are not for pages of this origin");
    }
    if (ticket != nullptr) {
        if (auto refused = co_await redeem(passage, *ticket)) {
            co_return *std::move(refused);
        }
    }
    if (auto refused = co_await identify(passage)) {
        co_return *std::move(refused);
    }
    if (auto refused = co_await limit(passage)) {
        co_return *std::move(refused);
    }
    if (!passage.identity->may_read) {
        co_return respond(403, "the API key lacks the scope \"read\"");
    }
    const Digest key = passage.ticket_key ? *passage.ticket_key : Keys::presented(exchange).value();
    if (!ticket_wanted) {
        const bool websocket = *endpoint == LiveEndpoint::websocket;
        co_return live_->open(exchange, passage.target, websocket, key, passage.identity);
    }
    auto issued = co_await live_->tickets().issue(key, exchange.deadline);
    if (!issued) {
        co_return respond(503, redis_away);
    }
    Response response;
    response.status = 201;
    response.headers.emplace_back("Cache-Control", "no-store");
    response.text = "{\"ticket\":\"" + issued.value() +
                    "\",\"expires_in\":" + std::to_string(Tickets::lifetime.count()) + "}";
    co_return response;
}

// Takes the ticket for the key that it stands for. Who has none that is good is a stranger.
Task<std::optional<Response>> RequestHandler::redeem(Passage& passage, std::string ticket) {
    const Exchange& exchange = passage.exchange;
    limit::Limiter& limiter = shared_->limiter;
    net::ip::address client;
    if (limiter.enabled()) {
        client = client_address(exchange.peer, exchange.headers("X-Forwarded-For"),
                                shared_->http.trusted_proxies);
        passage.verdict = limiter.charge(thread_, client);
        if (!passage.verdict->admitted) {
            co_return too_many_requests(*passage.verdict);
        }
    }
    const auto key = co_await live_->tickets().redeem(std::move(ticket), exchange.deadline);
    if (!key) {
        co_return respond(503, redis_away);
    }
    if (!key.value()) {
        co_return respond(
            401, "the ticket is not valid: it was used, is older than 30 s, or never was one");
    }
    if (passage.verdict) {
        limiter.forgive(client);
        passage.verdict.reset();
    }
    passage.ticket_key = *key.value();
    co_return std::nullopt;
}

}  // namespace muster::http
