// One connection of a thread that is made when it is first needed, and again when it broke.
#pragma once

#include <memory>
#include <string>

#include "redis/connection.hpp"
#include "runtime/flight.hpp"

namespace muster::redis {

class Dialer {
  public:
    // The connection is called `name`. Belongs to the context's thread.
    Dialer(net::io_context& context, config::Redis redis, std::string name)
        : state_(std::make_shared<State>(context, std::move(redis), std::move(name))) {}

    using Dialled = Outcome<std::shared_ptr<Connection>>;

    // The connection; those who ask while one is being made wait for the same. For a moment after a
    // failure it is the failure that is returned, so that a Redis that is away is not asked for by
    // every request.
    Task<Dialled> connection(TimePoint deadline);

    // Drops the connection and makes no other.
    void close();

  private:
    struct State {
        State(net::io_context& c, config::Redis r, std::string n)
            : context(c), redis(std::move(r)), name(std::move(n)) {}
        net::io_context& context;
        const config::Redis redis;
        const std::string name;
        std::shared_ptr<Connection> connection;
        std::shared_ptr<Flight<Dialled>> dialling;
        std::string failure;
        TimePoint rests_until{};
        bool closed = false;
    };
    static Task<> dial(std::shared_ptr<State> state);

    std::shared_ptr<State> state_;  // shared with the coroutine that connects
};

}  // namespace muster::redis
