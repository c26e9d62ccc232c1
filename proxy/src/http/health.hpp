// The health endpoints of one thread: alive, and ready to serve.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/exchange.hpp"
#include "http/route_check.hpp"
#include "postgres/pool.hpp"
#include "runtime/flight.hpp"

namespace muster::http {

// Whether Redis answers before the deadline. Called on any thread, for that thread's context.
using RedisProbe = std::function<Task<bool>(net::io_context&, TimePoint deadline)>;

// What all threads' health endpoints look at.
struct HealthSources {
    RedisProbe redis;
    RouteState& routes;
    const std::atomic<bool>& stopping;
};

class Health {
  public:
    Health(net::io_context& context, postgres::Pool& pool, HealthSources sources);

    // Answers /health, /health/live and /health/ready, without the leading "health" segment;
    // nothing for another path. `reasons` adds why the process is not ready, which is for operators
    // only.
    Task<std::optional<Response>> answer(const std::vector<std::string>& segments,
                                         std::string_view method, bool reasons);

  private:
    struct State {
        bool database = false;
        bool redis = false;
    };

    Task<Response> ready(bool reasons);
    Task<State> state();
    Task<State> probe();
    Task<bool> probe_database(TimePoint deadline);

    net::io_context& context_;
    postgres::Pool& pool_;
    HealthSources sources_;
    // Anyone may ask for this, without a key: simultaneous questions share one look, which also
    // serves those of the next moment.
    std::shared_ptr<Flight<State>> flight_;
    std::optional<State> last_;
    TimePoint last_expires_{};
};

}  // namespace muster::http
