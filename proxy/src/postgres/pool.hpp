// A bounded pool of Connections for one thread.
//
// Connections are opened when first needed and handed from one request to the next. Requests that
// find none free wait in order, up to a bound and their own deadline. While the database cannot be
// reached one request at a time tries to connect, with growing pauses; the others share its
// outcome, so that an outage costs the server a few attempts a second, whatever the load.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "postgres/connection.hpp"
#include "runtime/event.hpp"

namespace muster::postgres {

struct PoolOptions {
    std::string conninfo;
    std::size_t size = 10;     // connections
    std::size_t queue = 1000;  // waiting requests
    std::chrono::milliseconds connect_timeout{2000};
    // Told how long each request waited for its connection, whether it got one or not.
    std::function<void(std::chrono::nanoseconds)> on_wait = nullptr;
};

class Pool {
  public:
    // A connection on loan; goes back when this does. The pool outlives its leases.
    class Lease {
      public:
        Lease(Lease&& other) noexcept = default;
        Lease& operator=(Lease&&) = delete;
        ~Lease() {
            if (connection_) {
                pool_->give_back(std::move(connection_));
            }
        }
        Connection* operator->() const { return connection_.get(); }
        Connection* get() const { return connection_.get(); }

      private:
        friend class Pool;
        Lease(Pool* pool, std::unique_ptr<Connection> connection)
            : pool_(pool), connection_(std::move(connection)) {}

        Pool* pool_;
        std::unique_ptr<Connection> connection_;
    };

    Pool(net::io_context& context, PoolOptions options);
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    // Lends a usable connection. Fails with 53300 when none became free before `deadline` or too
    // many requests wait, and with the connection attempt's error when the database cannot be
    // reached.
    Task<Outcome<Lease>> acquire(TimePoint deadline);

    // Closes connections as soon as nobody needs them: at once, or when they come back.
    void close();

    // Whether the last attempt to connect, if there was one, reached the database.
    bool reached() const { return !last_error_; }

    // Whether attempts to connect are paused, so that a request that needs one fails at once.
    bool resting() const { return failures_ > 0 && Clock::now() < next_attempt_; }

    std::size_t open() const { return idle_.size() + lent_; }
    std::size_t idle() const { return idle_.size(); }
    std::size_t waiting() const { return waiters_.size(); }

  private:
    // A request in the queue, on its coroutine's frame.
    struct Waiter {
        explicit Waiter(net::io_context& context) : event(context) {}
        Event event;
        std::unique_ptr<Connection> connection;  // handed over; lent_ counts it
        bool may_connect = false;                // a place reserved for it
        std::optional<Error> error;              // shared outcome of a failed attempt
    };
    // Takes a waiter out of the queue, and back what it was handed, however its coroutine ends.
    class Place;
    class Attempt;

    Task<Outcome<Lease>> take(TimePoint deadline);
    Task<Outcome<Lease>> connect(TimePoint deadline);
    Task<Outcome<Lease>> wait(TimePoint deadline);

    std::unique_ptr<Connection> pop_idle();
    void give_back(std::unique_ptr<Connection> connection);
    void reserve_place();
    void grant_places();
    void free_place();
    bool may_connect() const;
    void connected();
    void failed(const Error& error);

    net::io_context& context_;
    PoolOptions options_;
    std::vector<std::unique_ptr<Connection>> idle_;  // the most recently used last
    std::size_t lent_ = 0;                           // on loan, or being opened
    std::size_t connecting_ = 0;                     // of lent_, being opened
    std::deque<Waiter*> waiters_;
    bool closing_ = false;
    unsigned failures_ = 0;     // attempts in a row
    TimePoint next_attempt_{};  // after failures
    std::optional<Error> last_error_;
    std::minstd_rand jitter_{std::random_device{}()};
};

}  // namespace muster::postgres
