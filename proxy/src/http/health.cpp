// Probing the database and Redis within the deadline of a readiness check.
#include "http/health.hpp"

#include <spdlog/spdlog.h>

#include "runtime/json.hpp"
#include "http/problem.hpp"
#include "runtime/runtime.hpp"

namespace muster::http {
namespace {

using namespace std::chrono_literals;

constexpr auto probe_deadline = 500ms;
constexpr auto probe_lifetime = 100ms;

// The outcome of a probe that runs beside another.
struct Probe {
    explicit Probe(net::io_context& context) : done(context) {}
    Event done;
    bool up = false;
};

Task<> probe_redis(RedisProbe redis, net::io_context& context, TimePoint deadline,
                   std::shared_ptr<Probe> outcome) {
    outcome->up = co_await redis(context, deadline);
    outcome->done.set();
}

Response document(unsigned status, std::string text) {
    Response response;
    response.status = status;
    response.text = std::move(text);
    if (status == 503) {
        response.headers.emplace_back("Retry-After", "1");
    }
    return response;
}

}  // namespace

Health::Health(net::io_context& context, postgres::Pool& pool, HealthSources sources)
    : context_(context), pool_(pool), sources_(std::move(sources)) {}

Task<std::optional<Response>> answer_health(std::vector<std::string> segments, std::string method,
                                            bool reasons, Ready ready) {
    if (segments.empty() || segments.size() > 2 || segments[0] != "health" ||
        (segments.size() == 2 && segments[1] != "live" && segments[1] != "ready")) {
        co_return std::nullopt;
    }
    if (method != "GET" && method != "HEAD") {
        Response refused = respond(405, "health is asked for with GET or HEAD");
        refused.headers.emplace_back("Allow", "GET, HEAD");
        co_return refused;
    }
    if (segments.size() == 1 || segments[1] == "live") {
        co_return document(200, R"({"status":"alive"})");
    }
    const Readiness found = co_await ready();
    std::string text = R"({"status":")";
    text += found.reason.empty() ? "ready" : "not_ready";
    text += R"(","database":")";
    text += found.database ? "up" : "down";
    text += R"(","redis":")";
    text += found.redis ? "up" : "down";
    text += '"';
    if (reasons && !found.reason.empty()) {
        text += ",\"reason\":";
        append_json_string(text, found.reason);
    }
    text += '}';
    co_return document(found.reason.empty() ? 200 : 503, std::move(text));
}

Task<std::optional<Response>> Health::answer(const std::vector<std::string>& segments,
                                             std::string_view method, bool reasons) {
    return answer_health(segments, std::string(method), reasons, [this] { return ready(); });
}

Task<Readiness> Health::ready() {
    const State found = co_await state();
    Readiness readiness{.database = found.database, .redis = found.redis, .reason = {}};
    if (sources_.stopping.load(std::memory_order_relaxed)) {
        readiness.reason = "the process is stopping";
    } else if (!found.database) {
        readiness.reason = "the database cannot be reached";
    } else {
        readiness.reason = sources_.routes.reason();
    }
    co_return readiness;
}

Task<Health::State> Health::state() {
    if (last_ && Clock::now() < last_expires_) {
        co_return *last_;
    }
    if (flight_) {
        const auto joined = flight_;
        const auto found = co_await joined->join(context_, Clock::now() + probe_deadline);
        co_return found.value_or(State{});
    }
    flight_ = std::make_shared<Flight<State>>();
    const State found = co_await probe();
    last_ = found;
    last_expires_ = Clock::now() + probe_lifetime;
    std::exchange(flight_, nullptr)->land(found);
    co_return found;
}

Task<Health::State> Health::probe() {
    const TimePoint deadline = Clock::now() + probe_deadline;
    const auto redis = std::make_shared<Probe>(context_);
    if (sources_.redis) {
        spawn(context_, "the check of redis",
              probe_redis(sources_.redis, context_, deadline, redis));
    }
    State found;
    found.database = co_await probe_database(deadline);
    if (sources_.redis) {
        co_await redis->done.wait(deadline);
        found.redis = redis->up;
    }
    co_return found;
}

Task<bool> Health::probe_database(TimePoint deadline) {
    auto lease = co_await pool_.acquire(deadline);
    if (!lease) {
        spdlog::debug("no connection to ask the database with: {}", lease.error().message);
        // All connections in use is no outage: those who use them have deadlines of their own.
        co_return lease.error().sqlstate == "53300" && pool_.reached();
    }
    const auto rows = co_await lease.value()->query("select 1", {}, deadline);
    if (!rows) {
        spdlog::debug("not ready: {}", rows.error().message);
    }
    co_return rows.has_value();
}

}  // namespace muster::http
