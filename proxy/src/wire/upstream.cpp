#include "wire/upstream.hpp"

#include <memory>
#include <optional>

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/local/stream_protocol.hpp>

namespace muster::wire {
namespace {

// Sets a TCP option; on a Unix socket it is refused, which is as good.
void set(Socket& socket, int option, int value) {
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, option, &value, sizeof value);
}

}  // namespace

void tune(Socket& socket) {
    error_code ignored;
    socket.non_blocking(true, ignored);
    socket.set_option(net::socket_base::keep_alive(true), ignored);
    set(socket, TCP_NODELAY, 1);
    // A vanished peer is noticed after 60 + 3 * 10 seconds of silence.
    set(socket, TCP_KEEPIDLE, 60);
    set(socket, TCP_KEEPINTVL, 10);
    set(socket, TCP_KEEPCNT, 3);
}

Upstream::Upstream(net::io_context& context, const config::Endpoint& endpoint)
    : context_(context),
      host_(endpoint.host),
      service_(std::to_string(endpoint.port)),
      resolver_(context.get_executor()) {
    if (host_.starts_with('/')) {
        fixed_.emplace_back(net::local::stream_protocol::endpoint(host_ + "/.s.PGSQL." + service_));
        return;
    }
    error_code not_numeric;
    const auto address = net::ip::make_address(host_, not_numeric);
    if (!not_numeric)
        fixed_.emplace_back(net::ip::tcp::endpoint(address, endpoint.port));
}

Task<error_code> Upstream::connect(Socket& socket, TimePoint deadline) {
    Endpoints found;
    error_code ec;
    if (fixed_.empty()) {
        ec = co_await resolve(found, deadline);
        if (ec)
            co_return ec;
    }
    ec = net::error::host_not_found;
    for (const auto& endpoint : fixed_.empty() ? found : fixed_) {
        if (Clock::now() >= deadline)
            co_return error_code(net::error::timed_out);
        socket = Socket(context_.get_executor());
        co_await socket.async_connect(endpoint, capture(ec));
        if (!ec) {
            tune(socket);
            co_return ec;
        }
        if (ec == net::error::operation_aborted)  // closed by the caller
            co_return error_code(net::error::timed_out);
    }
    co_return ec;
}

// The lookup runs on the resolver's own thread and cannot be interrupted, so the wait for it is a
// timer that the answer cancels; an answer that comes too late finds nobody waiting.
Task<error_code> Upstream::resolve(Endpoints& found, TimePoint deadline) {
    struct Lookup {
        explicit Lookup(const Executor& executor) : timer(executor) {}
        Timer timer;
        std::optional<error_code> outcome;
        Endpoints endpoints;
    };
    const auto lookup = std::make_shared<Lookup>(context_.get_executor());
    lookup->timer.expires_at(deadline);
    resolver_.async_resolve(host_, service_,
                            [lookup](error_code ec, TcpResolver::results_type results) {
                                for (const auto& entry : results)
                                    lookup->endpoints.emplace_back(entry.endpoint());
                                lookup->outcome = ec;
                                lookup->timer.cancel();
                            });
    error_code ignored;
    co_await lookup->timer.async_wait(capture(ignored));
    if (!lookup->outcome)
        co_return error_code(net::error::timed_out);
    found = std::move(lookup->endpoints);
    co_return *lookup->outcome;
}

}  // namespace muster::wire
