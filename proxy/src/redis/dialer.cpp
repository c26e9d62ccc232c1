// Connecting beside those who wait for it.
#include "redis/dialer.hpp"

#include "runtime/runtime.hpp"

namespace muster::redis {
namespace {

constexpr std::chrono::milliseconds rest_time{200};  // after a failure

}  // namespace

Task<Dialer::Dialled> Dialer::connection(TimePoint deadline) {
    const auto state = state_;
    if (state->connection && state->connection->connected()) {
        co_return state->connection;
    }
    state->connection.reset();
    if (state->closed || Clock::now() < state->rests_until) {
        co_return Error{Error::Kind::not_sent, state->closed ? "closed" : state->failure};
    }
    if (!state->dialling) {
        state->dialling = std::make_shared<Flight<Dialled>>();
        spawn(state->context, "connecting to Redis", dial(state));
    }
    const auto flight = state->dialling;
    auto dialled = co_await flight->join(state->context, deadline);
    if (!dialled) {
        co_return Error{Error::Kind::not_sent, "no connection by the deadline"};
    }
    co_return *std::move(dialled);
}

Task<> Dialer::dial(std::shared_ptr<State> state) {
    auto made = co_await Connection::connect(state->context, state->redis, state->name,
                                             Clock::now() + state->redis.connect_timeout);
    const auto flight = std::exchange(state->dialling, nullptr);
    if (!made) {
        state->failure = made.error().message;
        state->rests_until = Clock::now() + rest_time;
        flight->land(Dialled(std::move(made).error()));
        co_return;
    }
    std::shared_ptr<Connection> connection = std::move(made).value();
    if (!state->closed) {
        state->connection = connection;
    }
    flight->land(Dialled(std::move(connection)));
}

void Dialer::close() {
    state_->closed = true;
    state_->connection.reset();
}

}  // namespace muster::redis
