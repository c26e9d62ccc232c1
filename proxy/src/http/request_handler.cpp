// The stages of a request, in the order of pass().
#include "http/request_handler.hpp"

#include <spdlog/spdlog.h>

#include "http/client_address.hpp"
#include "runtime/json.hpp"
#include "http/limit_headers.hpp"
#include "http/problem.hpp"

namespace muster::http {
namespace {

// A route that the cache has to do with asks for what the cache has to know of the answer.
std::vector<BoundCall> bind_all(const std::vector<config::Route>& routes, bool cached) {
    std::vector<BoundCall> calls;
    for (const config::Route& route : routes) {
        calls.emplace_back(route, cached && (route.cache || !route.writes.empty()));
    }
    return calls;
}

std::vector<std::string> texts_of(const std::vector<BoundCall>& calls) {
    std::vector<std::string> texts;
    for (const BoundCall& call : calls) {
        texts.push_back(call.sql());
    }
    return texts;
}

// Whether a Content-Type header says JSON: "application/json", with any parameters.
bool is_json(std::string_view content_type) {
    std::string type(content_type.substr(0, content_type.find(';')));
    while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) {
        type.pop_back();
    }
    for (char& c : type) {
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return type == "application/json";
}

std::size_t other(const Shared& shared, OtherEndpoint endpoint) {
    return shared.routes.size() + static_cast<std::size_t>(endpoint);
}

// Counts a request as in flight for as long as it lives.
class InFlight {
  public:
    explicit InFlight(metrics::Gauge& gauge) : gauge_(gauge) { gauge_.add(1); }
    ~InFlight() { gauge_.add(-1); }
    InFlight(const InFlight&) = delete;
    InFlight& operator=(const InFlight&) = delete;

  private:
    metrics::Gauge& gauge_;
};

}  // namespace

Shared::Shared(const config::Config& config, metrics::Registry& whole, unsigned threads,
               std::shared_ptr<limit::Limiter> limiter_, std::shared_ptr<KnownKeys> known,
               timing::Timing& timing, cache::Cache* shared_cache, push::Hub* shared_hub,
               AccessLog* access)
    : registry(whole),
      http(config.http),
      caching(config.cache),
      kept_limiter(std::move(limiter_)),
      limiter(*kept_limiter),
      routes(config.routes),
      router(routes),
      cache(shared_cache),
      hub(shared_hub),
      calls(bind_all(routes, shared_cache != nullptr)),
      idempotent_calls(routes.begin(), routes.end()),
      plans(routes.begin(), routes.end()),
      cors(config.http.cors_origins),
      openapi(config),
      access_log(access),
      route_state(routes.size()),
      circuits(config.breaker, routes, registry),
      known_keys(std::move(known)),
      metrics(registry, routes, threads, timing.enabled()),
      time_keeper(config, registry, timing, texts_of(calls), threads) {}

RequestHandler::RequestHandler(net::io_context& context, unsigned thread,
                               const config::Database& database, std::shared_ptr<Shared> shared,
                               RedisProbe redis)
    : context_(context),
      thread_(thread),
      shared_(std::move(shared)),
      counters_(shared_->metrics.thread(thread)),
      pool_(context, {database.conninfo, database.pool_size, database.pool_queue,
                      database.connect_timeout, wait_recorder()}),
      keys_(context, pool_, shared_->limiter, shared_->circuits.database(), *shared_->known_keys),
      health_(context, pool_, {std::move(redis), shared_->route_state, shared_->stopping}),
      compressor_(shared_->http.gzip_from) {
    if (shared_->cache != nullptr) {
        cached_reads_ =
            std::make_unique<CachedReads>(context, *shared_->cache, shared_->caching, thread);
    }
    if (shared_->hub != nullptr) {
        live_ = std::make_shared<Live>(context, thread, *shared_->hub, keys_, shared_->limiter,
                                       shared_->http.write_timeout);
    }
}

Task<Response> RequestHandler::handle(Exchange& exchange) {
    const InFlight in_flight(counters_->in_flight);
    Passage passage{exchange,
                    {},
                    other(*shared_, OtherEndpoint::none),
                    {shared_->time_keeper, thread_, exchange}};
    Response response = co_await pass(passage);
    if (passage.verdict) {
        add_limit_headers(response, *passage.verdict);
    }
    finish(passage, response);
    co_return response;
}

// What the pool tells of each wait; nothing with timing off.
std::function<void(std::chrono::nanoseconds)> RequestHandler::wait_recorder() {
    if (!shared_->time_keeper.enabled()) {
        return nullptr;
    }
    return [this](std::chrono::nanoseconds waited) {
        counters_->pool_wait.record(waited);
        if (waited.count() > 0) {
            counters_->observe(pool_);
        }
    };
}

void RequestHandler::stop() {
    pool_.close();
    if (cached_reads_) {
        cached_reads_->close();
    }
    if (live_) {
        live_->stop();
    }
}

// The whole way of a request: each stage may answer it, and the last one does.
Task<Response> RequestHandler::pass(Passage& passage) {
    auto target = parse_target(passage.exchange.target);
    if (!target) {
        co_return respond(target.error().status, target.error().detail);
    }
    passage.target = std::move(target).value();

    if (auto answered = co_await built_in(passage)) {
        co_return *std::move(answered);
    }
    if (auto answered = co_await live(passage)) {
        co_return *std::move(answered);
    }
    if (auto refused = find_route(passage)) {
        co_return *std::move(refused);
    }
    if (auto refused = co_await identify(passage)) {
        co_return *std::move(refused);
    }
    if (auto refused = co_await limit(passage)) {
        co_return *std::move(refused);
    }
    if (auto refused = permit(passage)) {
        co_return *std::move(refused);
    }
    if (auto refused = co_await receive(passage)) {
        co_return *std::move(refused);
    }
    co_return co_await call(passage);
}

// Stage: the endpoints that are the proxy's own, and need no key.
Task<std::optional<Response>> RequestHandler::built_in(Passage& passage) {
    if (auto preflight = shared_->cors.preflight(passage.exchange)) {
        co_return preflight;
    }
    const auto& segments = passage.target.segments;
    const bool describes = segments.size() == 1 && segments[0] == "openapi.json";
    if (segments.empty() || describes) {
        passage.endpoint = other(*shared_, OtherEndpoint::root);
        if (passage.exchange.reads()) {
            co_return describes ? shared_->openapi.answer(passage.exchange)
                                : describe_service(shared_->routes, live_ != nullptr);
        }
        Response refused = respond(405, "this path is read with GET or HEAD");
        refused.headers.emplace_back("Allow", "GET, HEAD");
        co_return refused;
    }
    if (segments[0] != "health") {
        co_return std::nullopt;
    }
    auto response = co_await health_.answer(segments, passage.exchange.method, false);
    if (response) {
        passage.endpoint = other(*shared_, OtherEndpoint::health);
    }
    co_return response;
}

// Stage: which route this is.
std::optional<Response> RequestHandler::find_route(Passage& passage) {
    passage.match = shared_->router.match(passage.exchange.method, passage.target.segments);
    switch (passage.match->kind) {
        case Router::Match::Kind::no_path:
            return respond(404, "there is nothing at this path");
        case Router::Match::Kind::no_method: {
            Response refused =
                respond(405, "this path has no method " + std::string(passage.exchange.method) +
                                 "; it has " + passage.match->allow);
            refused.headers.emplace_back("Allow", passage.match->allow);
            return refused;
        }
        case Router::Match::Kind::found:
            break;
    }
    passage.endpoint = passage.match->route;
    if (shared_->route_state.is_refused(passage.match->route)) {
        spdlog::error("request {}: route \"{}\" does not fit the database",
                      passage.exchange.request_id, shared_->routes[passage.match->route].name);
        return respond(500, "this route does not fit the database it is served from");
    }
    return std::nullopt;
}

// Stage: who sends this. Those who have no valid key are limited by their address, before the
// database is asked about what they bring; a key found valid a moment ago is spared that, for its
// owner may share the address with others.
Task<std::optional<Response>> RequestHandler::identify(Passage& passage) {
    const Exchange& exchange = passage.exchange;
    const auto digest = passage.ticket_key ? Result<Digest, Problem>(*passage.ticket_key)
                                           : Keys::presented(exchange);
    std::optional<Keys::Answer> answer =
        digest ? keys_.recall(digest.value()) : Keys::Answer(digest.error());
    const bool stranger = answer ? !answer->has_value() : !keys_.recognizes(digest.value());
    limit::Limiter& limiter = shared_->limiter;
    net::ip::address client;
    if (stranger && limiter.enabled()) {
        client = client_address(exchange.peer, exchange.headers("X-Forwarded-For"),
                                shared_->http.trusted_proxies);
        passage.verdict = limiter.charge(thread_, client);
        if (!passage.verdict->admitted) {
            co_return too_many_requests(*passage.verdict);
        }
    }
    if (!answer) {
        answer = co_await keys_.verify(digest.value(), exchange.deadline, shared_from_this());
        const bool blameless = answer->has_value() || answer->error().status != 401;
        if (passage.verdict && blameless) {
            limiter.forgive(client);
            passage.verdict.reset();
        }
    }
    if (*answer) {
        passage.identity = std::move(*answer).value();
        co_return std::nullopt;
    }
    Response refused = respond(answer->error());
    if (answer->error().status == 401) {
        refused.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"muster\"");
    }
    co_return refused;
}

// Stage: whether the key's quota has room for this.
Task<std::optional<Response>> RequestHandler::limit(Passage& passage) {
    const auto& bucket = passage.identity->bucket;
    if (!bucket) {
        co_return std::nullopt;
    }
    const std::int64_t cost = passage.match ? shared_->routes[passage.match->route].cost : 1;
    passage.verdict = shared_->limiter.decide(thread_, bucket, cost);
    if (!passage.verdict) {
        passage.verdict = co_await shared_->limiter.admit(thread_, context_, bucket, cost);
    }
    if (!passage.verdict->admitted) {
        co_return too_many_requests(*passage.verdict);
    }
    co_return std::nullopt;
}

// Stage: whether the key's scopes allow it.
std::optional<Response> RequestHandler::permit(const Passage& passage) const {
    const bool reads = passage.exchange.reads();
    if (reads ? passage.identity->may_read : passage.identity->may_write) {
        return std::nullopt;
    }
    return respond(
        403, std::string("the API key lacks the scope ") + (reads ? "\"read\"" : "\"write\""));
}

// Stage: the body, if the route takes one.
Task<std::optional<Response>> RequestHandler::receive(Passage& passage) {
    Exchange& exchange = passage.exchange;
    if (!shared_->calls[passage.match->route].needs_body()) {
        co_return std::nullopt;
    }
    if (!exchange.has_body()) {
        co_return respond(422, "the request has no body; a JSON document is expected");
    }
    const auto type = exchange.header("Content-Type");
    if (type && !is_json(*type)) {
        Response refused = respond(415, "the body must be application/json");
        refused.headers.emplace_back("Accept", "application/json");
        co_return refused;
    }
    co_return co_await exchange.receive_body();
}

}  // namespace muster::http
