// Running coroutines in a test.
#pragma once

#include <exception>
#include <stdexcept>
#include <utility>

#include <boost/asio/co_spawn.hpp>

#include "runtime/asio.hpp"

namespace muster::test {

// Runs `coroutine(context)` to its end on this thread; throws what it throws, or after `bound`.
// Exceptions leave through here, so Boost.Test's REQUIRE works inside.
template <class Coroutine>
void run(Coroutine coroutine, std::chrono::seconds bound = std::chrono::seconds(60)) {
    net::io_context context(1);
    std::exception_ptr thrown;
    bool ended = false;
    net::co_spawn(context, coroutine(context), [&](std::exception_ptr error) {
        thrown = std::move(error);
        ended = true;
    });
    const TimePoint give_up = Clock::now() + bound;
    while (!ended && Clock::now() < give_up && context.run_one_until(give_up) != 0) {
    }
    if (thrown)
        std::rethrow_exception(thrown);
    if (!ended)
        throw std::runtime_error("a coroutine did not end in time");
}

// Lets other coroutines of this context run for a while.
inline Task<> sleep_for(std::chrono::milliseconds duration) {
    Timer timer(co_await net::this_coro::executor);
    timer.expires_after(duration);
    co_await timer.async_wait(use_task);
}

inline TimePoint in(std::chrono::milliseconds duration) {
    return Clock::now() + duration;
}

}  // namespace muster::test
