// Lending, waiting, connecting and backing off.
#include "postgres/pool.hpp"

#include <algorithm>

#include <spdlog/spdlog.h>

namespace muster::postgres {
namespace {

constexpr std::chrono::milliseconds first_pause{50};
constexpr std::chrono::milliseconds longest_pause{200};

Error none_free(std::string message) {
    return {.sqlstate = "53300",
            .message = std::move(message),
            .detail = {},
            .hint = {},
            .connection_lost = false};
}

}  // namespace

class Pool::Place {
  public:
    Place(Pool& pool, Waiter& waiter) : pool_(pool), waiter_(waiter) {
        pool_.waiters_.push_back(&waiter_);
    }
    ~Place() {
        std::erase(pool_.waiters_, &waiter_);
        if (waiter_.connection) {
            pool_.give_back(std::move(waiter_.connection));
        } else if (waiter_.may_connect) {
            --pool_.connecting_;
            pool_.free_place();
        }
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

  private:
    Pool& pool_;
    Waiter& waiter_;
};

// An attempt to connect in a place that was reserved for it, which goes back unless the attempt
// ends in a connection.
class Pool::Attempt {
  public:
    explicit Attempt(Pool& pool) : pool_(pool) {}
    ~Attempt() {
        --pool_.connecting_;
        if (!kept_) {
            pool_.free_place();
        }
    }
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;
    void keep() { kept_ = true; }

  private:
    Pool& pool_;
    bool kept_ = false;
};

Pool::Pool(net::io_context& context, PoolOptions options)
    : context_(context), options_(std::move(options)) {}

Task<Outcome<Pool::Lease>> Pool::acquire(TimePoint deadline) {
    grant_places();  // a pause may be over since somebody last asked
    if (waiters_.empty()) {
        if (auto connection = pop_idle()) {
            ++lent_;
            if (options_.on_wait) {
                options_.on_wait(std::chrono::nanoseconds(0));  // nearly so: no clock is read
            }
            co_return Lease(this, std::move(connection));
        }
    }
    if (!options_.on_wait) {
        co_return co_await take(deadline);
    }
    const TimePoint start = Clock::now();
    auto lease = co_await take(deadline);
    options_.on_wait(Clock::now() - start);
    co_return lease;
}

// With no connection idle.
Task<Outcome<Pool::Lease>> Pool::take(TimePoint deadline) {
    if (waiters_.empty() && may_connect()) {
        reserve_place();
        co_return co_await connect(deadline);
    }
    // Nobody will free a connection or find the database back for this request: fail at once.
    if (open() == 0 && last_error_) {
        co_return Error(*last_error_);
    }
    if (waiters_.size() >= options_.queue) {
        co_return none_free("too many requests are waiting for a database connection (" +
                            std::to_string(options_.queue) + ")");
    }
    co_return co_await wait(deadline);
}

// Waits for a connection, or for the place of one.
Task<Outcome<Pool::Lease>> Pool::wait(TimePoint deadline) {
    {
        Waiter waiter(context_);
        const Place place(*this, waiter);
        co_await waiter.event.wait(deadline);
        if (waiter.connection) {
            co_return Lease(this, std::move(waiter.connection));
        }
        if (waiter.error) {
            co_return std::move(*waiter.error);
        }
        if (!waiter.may_connect) {
            co_return none_free("no database connection became free in time (pool of " +
                                std::to_string(options_.size) + ")");
        }
        waiter.may_connect = false;  // the place is ours from here on
    }
    co_return co_await connect(deadline);
}

// Opens a connection in a place that lent_ counts already.
Task<Outcome<Pool::Lease>> Pool::connect(TimePoint deadline) {
    Attempt attempt(*this);
    const TimePoint patience = Clock::now() + options_.connect_timeout;
    auto connection =
        co_await Connection::connect(context_, options_.conninfo, std::min(deadline, patience));
    if (!connection) {
        // An attempt that the request's own deadline cut short says nothing about the database.
        const TimePoint now = Clock::now();
        if (now >= deadline && now < patience) {
            co_return std::move(connection).error();
        }
        failed(connection.error());
        co_return std::move(connection).error();
    }
    attempt.keep();
    connected();
    co_return Lease(this, std::move(connection).value());
}

void Pool::close() {
    closing_ = true;
    idle_.clear();
}

std::unique_ptr<Connection> Pool::pop_idle() {
    while (!idle_.empty()) {
        std::unique_ptr<Connection> connection = std::move(idle_.back());
        idle_.pop_back();
        if (connection->usable()) {
            return connection;
        }
    }
    return nullptr;
}

void Pool::give_back(std::unique_ptr<Connection> connection) {
    if (!connection->usable()) {
        connection.reset();
        free_place();
        return;
    }
    if (waiters_.empty()) {
        --lent_;
        if (!closing_) {
            idle_.push_back(std::move(connection));
        }
        return;
    }
    Waiter* const next = waiters_.front();
    waiters_.pop_front();
    next->connection = std::move(connection);
    next->event.set();
}

void Pool::reserve_place() {
    ++lent_;
    ++connecting_;
}

// Lets the first in the queue open connections, as far as there are places.
void Pool::grant_places() {
    while (!waiters_.empty() && may_connect()) {
        reserve_place();
        Waiter* const next = waiters_.front();
        waiters_.pop_front();
        next->may_connect = true;
        next->event.set();
    }
}

// A place has become free. While attempts are paused nobody can use it, and when it was the last
// one taken, those who wait are told why.
void Pool::free_place() {
    --lent_;
    grant_places();
    if (open() == 0 && last_error_) {
        for (Waiter* waiter : std::exchange(waiters_, {})) {
            waiter->error = last_error_;
            waiter->event.set();
        }
    }
}

// After a failure one attempt at a time, and none before its time.
bool Pool::may_connect() const {
    if (open() >= options_.size) {
        return false;
    }
    return failures_ == 0 || (connecting_ == 0 && Clock::now() >= next_attempt_);
}

void Pool::connected() {
    if (failures_ > 0) {
        spdlog::info("the database is reached again");
    }
    failures_ = 0;
    next_attempt_ = {};
    last_error_.reset();
    grant_places();
}

void Pool::failed(const Error& error) {
    last_error_ = error;
    if (Clock::now() < next_attempt_) {
        return;  // one of several attempts that failed together
    }
    if (failures_ == 0) {
        // libpq's first line says what happened, the others give advice.
        spdlog::error("the database cannot be reached: {} ({})",
                      error.message.substr(0, error.message.find('\n')), error.sqlstate);
    }
    const auto pause = std::min(longest_pause, first_pause * (1U << std::min(failures_, 5U)));
    ++failures_;
    // Spread over half the pause, so that threads and proxies do not come back in step.
    std::uniform_int_distribution<int> spread(0, static_cast<int>(pause.count() / 2));
    next_attempt_ = Clock::now() + pause / 2 + std::chrono::milliseconds(spread(jitter_));
}

}  // namespace muster::postgres
