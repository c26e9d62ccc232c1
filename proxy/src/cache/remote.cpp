// GET and PTTL in one go, SET with PX; connecting beside the requests.
#include "cache/remote.hpp"

#include "runtime/runtime.hpp"

namespace muster::cache {
namespace {

using namespace std::chrono_literals;

constexpr auto store_deadline = 1s;

}  // namespace

Remote::Remote(net::io_context& context, config::Redis redis, std::chrono::milliseconds timeout,
               metrics::Counter& errors, breaker::Breaker& breaker)
    : state_(std::make_shared<State>(context, std::move(redis), timeout, errors, breaker)) {}

Remote::~Remote() = default;

// The connection, if there is one and the breaker lets it be used; without one, one is made for
// later requests.
std::optional<Remote::Way> Remote::way(const std::shared_ptr<State>& state) {
    if (state->closed || state->connecting) {
        return std::nullopt;
    }
    const auto pass = state->breaker.admit(Clock::now());
    if (!pass) {
        return std::nullopt;
    }
    if (state->connection && state->connection->connected()) {
        return Way{state->connection, *pass};
    }
    state->connection.reset();
    state->connecting = true;
    spawn(state->context, "the cache's connection to Redis", connect(state, *pass));
    return std::nullopt;
}

Task<> Remote::connect(std::shared_ptr<State> state, breaker::Breaker::Pass pass) {
    auto connected = co_await redis::Connection::connect(
        state->context, state->redis, "muster-l2", Clock::now() + state->redis.connect_timeout);
    state->connecting = false;
    if (state->closed) {
        co_return;
    }
    if (connected) {
        state->connection = std::move(connected).value();
        state->breaker.succeeded(pass, Clock::now());
    } else {
        failed(*state, pass);
    }
}

void Remote::close() {
    state_->closed = true;
    state_->connection.reset();
}

void Remote::failed(State& state, breaker::Breaker::Pass pass) {
    state.errors.add();
    state.breaker.failed(pass, Clock::now());
}

Task<std::optional<Entry>> Remote::get(const std::string& key) {
    const auto state = state_;
    const auto way = Remote::way(state);
    if (!way) {
        co_return std::nullopt;
    }
    const TimePoint deadline = Clock::now() + state->timeout;
    auto get = way->connection->command(deadline, "GET", key);
    auto left = way->connection->command(deadline, "PTTL", key);
    auto value = co_await std::move(get);
    auto ttl = co_await std::move(left);
    if (!value || !ttl || value.value().is_error() || ttl.value().is_error()) {
        failed(*state, way->pass);
        co_return std::nullopt;
    }
    state->breaker.succeeded(way->pass, Clock::now());
    if (!value.value().is_string() || ttl.value().integer() <= 0) {
        co_return std::nullopt;
    }
    auto entry = Entry::unpack(value.value().text());
    if (entry) {
        entry->expires = Clock::now() + std::chrono::milliseconds(ttl.value().integer());
    }
    co_return entry;
}

void Remote::put(const std::string& key, const EntryPtr& entry) {
    if (entry->bytes() > most_bytes) {
        return;
    }
    if (auto way = Remote::way(state_)) {
        spawn(state_->context, "storing in Redis", store(state_, *std::move(way), key, entry));
    }
}

Task<> Remote::store(std::shared_ptr<State> state, Way way, std::string key, EntryPtr entry) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(entry->expires - Clock::now());
    if (left <= 0ms) {
        co_return;
    }
    const std::string packed = entry->packed();
    const std::string ttl = std::to_string(left.count());
    const auto reply = co_await way.connection->command(Clock::now() + store_deadline, "SET", key,
                                                        packed, "PX", ttl);
    if (!reply || reply.value().is_error()) {
        failed(*state, way.pass);
    } else {
        state->breaker.succeeded(way.pass, Clock::now());
    }
}

}  // namespace muster::cache
