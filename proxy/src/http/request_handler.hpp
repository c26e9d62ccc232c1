// What happens to a request, stage by stage.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "cache/cache.hpp"
#include "http/access_log.hpp"
#include "http/binding.hpp"
#include "http/cache_plan.hpp"
#include "http/cached_reads.hpp"
#include "http/circuits.hpp"
#include "http/compress.hpp"
#include "http/cors.hpp"
#include "http/door_metrics.hpp"
#include "http/exchange.hpp"
#include "http/health.hpp"
#include "http/idempotency.hpp"
#include "http/keys.hpp"
#include "http/live.hpp"
#include "http/openapi.hpp"
#include "http/request_times.hpp"
#include "http/route_check.hpp"
#include "http/router.hpp"
#include "limit/limiter.hpp"
#include "postgres/pool.hpp"
#include "timing/timing.hpp"

namespace muster::http {

// What all threads' handlers share; nothing of it changes while they run, but for its atomics. A
// reload makes another, with handlers of its own, and this one goes with its last request.
struct Shared {
    // `cache`, `hub` and `access_log` may be null: then nothing is cached, there are no live
    // updates, or nothing is logged. Its series are a part of `whole`.
    Shared(const config::Config& config, metrics::Registry& whole, unsigned threads,
           std::shared_ptr<limit::Limiter> limiter, std::shared_ptr<KnownKeys> known_keys,
           timing::Timing& timing, cache::Cache* cache, push::Hub* hub, AccessLog* access_log);
    ~Shared() { registry.leave(); }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;

    metrics::Registry registry;
    const config::Http http;
    const config::Cache caching;
    const std::shared_ptr<limit::Limiter> kept_limiter;
    limit::Limiter& limiter;
    const std::vector<config::Route> routes;
    const Router router;
    cache::Cache* const cache;                           // null: none
    push::Hub* const hub;                                // likewise
    const std::vector<BoundCall> calls;                  // by route
    const std::vector<IdempotentCall> idempotent_calls;  // likewise
    const std::vector<CachePlan> plans;                  // likewise
    const Cors cors;
    const OpenApi openapi;
    AccessLog* const access_log;  // null: none
    RouteState route_state;
    const Circuits circuits;
    const std::shared_ptr<KnownKeys> known_keys;  // of all configurations
    DoorMetrics metrics;
    TimeKeeper time_keeper;
    std::atomic<bool> stopping{false};
    std::atomic<bool> replaced{false};  // by a reload
};

// One thread's part of the door, without its sockets.
class RequestHandler : public std::enable_shared_from_this<RequestHandler> {
  public:
    RequestHandler(net::io_context& context, unsigned thread, const config::Database& database,
                   std::shared_ptr<Shared> shared, RedisProbe redis);

    // Answers a request, whatever it is, and counts it.
    Task<Response> handle(Exchange& exchange);

    // Keeps no connection from now on that no request needs. On the handler's thread.
    void stop();

    postgres::Pool& pool() { return pool_; }
    Health& health() { return health_; }

  private:
    // A request on its way through the stages.
    struct Passage {
        Exchange& exchange;
        Target target;
        std::size_t endpoint;  // for the count
        RequestTimes times;
        std::optional<Router::Match> match = {};
        std::shared_ptr<const Identity> identity = {};
        std::optional<limit::Verdict> verdict = {};  // of the rate limits, once they were asked
        std::optional<Digest> ticket_key = {};       // of the key that a ticket stood for
    };

    std::function<void(std::chrono::nanoseconds)> wait_recorder();
    void finish(const Passage& passage, Response& response);
    void count(const Passage& passage, Response& response);
    void log(const Passage& passage, const Response& response) const;
    Task<Response> pass(Passage& passage);
    Task<std::optional<Response>> built_in(Passage& passage);
    Task<std::optional<Response>> live(Passage& passage);
    Task<std::optional<Response>> redeem(Passage& passage, std::string ticket);
    std::optional<Response> find_route(Passage& passage);
    Task<std::optional<Response>> identify(Passage& passage);
    Task<std::optional<Response>> limit(Passage& passage);
    std::optional<Response> permit(const Passage& passage) const;
    Task<std::optional<Response>> receive(Passage& passage);
    Task<Response> call(Passage& passage);
    Task<Response> call_once(Passage& passage, const std::vector<postgres::Parameter>& values,
                             const IdempotentRequest& request);
    Task<Result<postgres::Rows, Problem>> query(Passage& passage, const std::string& sql,
                                                const std::vector<postgres::Parameter>& values,
                                                bool repeatable);
    Task<Response> read_cached(Passage& passage, const std::vector<postgres::Parameter>& values);
    Task<CachedReads::Answer> ask(Passage& passage, const std::vector<postgres::Parameter>& values);
    Response answer(const Passage& passage, postgres::Rows rows, bool traced) const;
    Problem broken(const Passage& passage, const std::string& why) const;
    Problem failed(const Passage& passage, const postgres::Error& error) const;

    net::io_context& context_;
    const unsigned thread_;
    const std::shared_ptr<Shared> shared_;
    const std::shared_ptr<DoorMetrics::Thread> counters_;
    postgres::Pool pool_;
    Keys keys_;
    Health health_;
    std::unique_ptr<CachedReads> cached_reads_;  // null: no cache
    Compressor compressor_;
    std::shared_ptr<Live> live_;  // null: no live updates
};

}  // namespace muster::http
