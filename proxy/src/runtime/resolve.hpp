// Looking a host name up without blocking the thread.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "runtime/asio.hpp"

namespace muster {

// Returns the addresses of `name` in the system's order, none if it has none or `deadline` passed.
// The system's resolver runs on Asio's own thread and cannot be interrupted, so it is the timer
// that is awaited: a lookup that is too late ends in nobody's hands.
inline Task<std::vector<std::string>> resolve_name(std::string name, TimePoint deadline) {
    struct Lookup {
        explicit Lookup(const Executor& executor) : resolver(executor), done(executor) {}
        TcpResolver resolver;
        Timer done;
        std::vector<std::string> addresses;
    };
    const auto lookup = std::make_shared<Lookup>(co_await net::this_coro::executor);
    lookup->done.expires_at(deadline);
    lookup->resolver.async_resolve(
        name, "", [lookup](error_code, const TcpResolver::results_type& found) {
            for (const auto& entry : found) {
                std::string address = entry.endpoint().address().to_string();
                auto& all = lookup->addresses;
                if (std::find(all.begin(), all.end(), address) == all.end())
                    all.push_back(std::move(address));
            }
            lookup->done.expires_at(TimePoint::min());
        });
    error_code ec;
    do
        co_await lookup->done.async_wait(capture(ec));
    while (lookup->done.expiry() > Clock::now());
    co_return std::move(lookup->addresses);
}

}  // namespace muster
