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

// What /health/ready reports. `reason` says why the process is not ready; empty: it is.
struct Readiness {
    bool database = false;
    bool redis = false;
    std::string reason;
};

using Ready = std::function<Task<Readiness>()>;

// Answers /health, /health/live and /health/ready, for the last of which it asks `ready`; nothing
// for another path. `reasons` adds why the process is not ready, which is for operators only.
Task<std::optional<Response>> answer_health(std::vector<std::string> segments, std::string method,
                                            bool reasons, Ready ready);

class Health {
  public:
    Health(net::io_context& context, postgres::Pool& pool, HealthSources sources);

    // As answer_health().
    Task<std::optional<Response>> answer(const std::vector<std::string>& segments,
                                         std::string_view method, bool reasons);
    Task<Readiness> ready();

  private:
    struct State {
        bool database = false;
        bool redis = false;
    };

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
