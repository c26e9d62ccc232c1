// What happens to a request, stage by stage.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "cache/cache.hpp"
#include "http/binding.hpp"
#include "http/cache_plan.hpp"
#include "http/cached_reads.hpp"
#include "http/circuits.hpp"
#include "http/door_metrics.hpp"
#include "http/exchange.hpp"
#include "http/health.hpp"
#include "http/idempotency.hpp"
#include "http/keys.hpp"
#include "http/live.hpp"
#include "http/request_times.hpp"
#include "http/route_check.hpp"
#include "http/router.hpp"
#include "limit/limiter.hpp"
#include "postgres/pool.hpp"
#include "timing/timing.hpp"

namespace muster::http {

// What all threads' handlers share; nothing of it changes while they run, but for its atomics.
struct Shared {
    // `cache` may be null: nothing is cached then. So may `hub`: there are no live updates then.
    Shared(const config::Config& config, metrics::Registry& registry, unsigned threads,
           limit::Limiter& limiter, timing::Timing& timing, cache::Cache* cache, push::Hub* hub);

    const config::Http http;
    limit::Limiter& limiter;
    const std::vector<config::Route> routes;
    const Router router;
    cache::Cache* const cache;                           // null: none
    push::Hub* const hub;                                // likewise
    const std::vector<BoundCall> calls;                  // by route
    const std::vector<IdempotentCall> idempotent_calls;  // likewise
    const std::vector<CachePlan> plans;                  // likewise
    RouteState route_state;
    const Circuits circuits;
    DoorMetrics metrics;
    TimeKeeper time_keeper;
    std::atomic<bool> stopping{false};
};

// One thread's part of the door, without its sockets.
class RequestHandler {
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
    Response root() const;

    net::io_context& context_;
    const unsigned thread_;
    const std::shared_ptr<Shared> shared_;
    const std::shared_ptr<DoorMetrics::Thread> counters_;
    postgres::Pool pool_;
    Keys keys_;
    Health health_;
    std::unique_ptr<CachedReads> cached_reads_;  // null: no cache
    std::shared_ptr<Live> live_;                 // null: no live updates
};

}  // namespace muster::http
