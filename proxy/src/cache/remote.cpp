// GET and PTTL in one go, SET with PX; connecting beside the requests.
#include "cache/remote.hpp"

#include "runtime/runtime.hpp"

namespace muster::cache {
namespace {

using namespace std::chrono_literals;

constexpr auto rest_time = 1s;  // after an error
constexpr auto store_deadline = 1s;

}  // namespace

Remote::Remote(net::io_context& context, config::Redis redis, std::chrono::milliseconds timeout,
               metrics::Counter& errors)
    : state_(std::make_shared<State>(context, std::move(redis), timeout, errors)) {}

Remote::~Remote() = default;

// The connection, if there is one; otherwise one is made for later requests.
std::shared_ptr<redis::Connection> Remote::connection(const std::shared_ptr<State>& state) {
    if (state->closed || Clock::now() < state->rests_until) {
        return nullptr;
    }
    if (state->connection && state->connection->connected()) {
        return state->connection;
    }
    state->connection.reset();
    if (!state->connecting) {
        state->connecting = true;
        spawn(state->context, "the cache's connection to Redis", connect(state));
    }
    return nullptr;
}

Task<> Remote::connect(std::shared_ptr<State> state) {
    auto connected = co_await redis::Connection::connect(
        state->context, state->redis, "muster-l2", Clock::now() + state->redis.connect_timeout);
    state->connecting = false;
    if (state->closed) {
        co_return;
    }
    if (connected) {
        state->connection = std::move(connected).value();
    } else {
        rest(*state);
    }
}

void Remote::close() {
    state_->closed = true;
    state_->connection.reset();
}

void Remote::rest(State& state) {
    state.errors.add();
    state.rests_until = Clock::now() + rest_time;
}

Task<std::optional<Entry>> Remote::get(const std::string& key) {
    const auto state = state_;
    const auto connection = Remote::connection(state);
    if (!connection) {
        co_return std::nullopt;
    }
    const TimePoint deadline = Clock::now() + state->timeout;
    auto get = connection->command(deadline, "GET", key);
    auto left = connection->command(deadline, "PTTL", key);
    auto value = co_await std::move(get);
    auto ttl = co_await std::move(left);
    if (!value || !ttl || value.value().is_error() || ttl.value().is_error()) {
        rest(*state);
        co_return std::nullopt;
    }
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
    if (entry->bytes() <= most_bytes && connection(state_)) {
        spawn(state_->context, "storing in Redis", store(state_, key, entry));
    }
}

Task<> Remote::store(std::shared_ptr<State> state, std::string key, EntryPtr entry) {
    const auto connection = state->connection;
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(entry->expires - Clock::now());
    if (!connection || left <= 0ms) {
        co_return;
    }
    const std::string packed = entry->packed();
    const std::string ttl = std::to_string(left.count());
    const auto reply =
        co_await connection->command(Clock::now() + store_deadline, "SET", key, packed, "PX", ttl);
    if (!reply || reply.value().is_error()) {
        rest(*state);
    }
}

}  // namespace muster::cache
