#include "wire/upstream.hpp"

#include <memory>

#include <boost/asio/local/stream_protocol.hpp>

#include "wire/startup.hpp"

namespace muster::wire {

Upstream::Upstream(net::io_context& context, const config::Wire& settings, const tls::Contexts& tls)
    : context_(context),
      settings_(settings),
      tls_(tls),
      service_(std::to_string(settings.upstream.port)),
      resolver_(context.get_executor()) {
    const auto& host = settings.upstream.host;
    if (host.starts_with('/')) {
        fixed_.emplace_back(net::local::stream_protocol::endpoint(host + "/.s.PGSQL." + service_));
        return;
    }
    error_code not_numeric;
    const auto address = net::ip::make_address(host, not_numeric);
    if (!not_numeric)
        fixed_.emplace_back(net::ip::tcp::endpoint(address, settings.upstream.port));
}

Task<std::optional<std::string>> Upstream::connect(Leg& leg, TimePoint deadline) {
    const auto ec = co_await connect_socket(leg, deadline);
    if (ec)
        co_return ec.message();
    auto context = tls_.for_upstream();
    if (!context)
        co_return std::nullopt;
    co_return co_await begin_tls(leg, std::move(context));
}

Task<error_code> Upstream::connect_socket(Leg& leg, TimePoint deadline) {
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
        leg.socket() = Socket(context_.get_executor());
        co_await leg.socket().async_connect(endpoint, capture(ec));
        if (!ec) {
            leg.adopt(std::move(leg.socket()));
            co_return ec;
        }
        if (ec == net::error::operation_aborted)  // closed by the caller
            co_return error_code(net::error::timed_out);
    }
    co_return ec;
}

// Asks for TLS and reads the one byte that answers, and nothing behind it: what came in front of
// the handshake is not to be taken for what was said inside it (CVE-2021-23222).
Task<std::optional<std::string>> Upstream::begin_tls(Leg& leg, tls::Context context) {
    auto ec = co_await leg.write(startup::tls_request);
    char answer = 0;
    while (!ec) {
        const auto n = leg.read_now(&answer, 1, ec);
        if (n == 1 || !would_block(ec))
            break;
        co_await leg.socket().async_wait(Socket::wait_read, capture(ec));
    }
    if (ec)
        co_return ec.message();
    if (answer == 'N' && settings_.upstream_tls == "prefer")
        co_return std::nullopt;
    if (answer != 'S')
        co_return answer == 'N' ? "it does not speak TLS, which wire.upstream_tls demands"
                                : "it does not answer a request for TLS as PostgreSQL does";
    const auto& name =
        settings_.upstream_name.empty() ? settings_.upstream.host : settings_.upstream_name;
    const bool check_name = settings_.upstream_tls == "verify-full";
    const auto error = co_await leg.connect_tls(*context, name, check_name);
    if (error.empty())
        co_return std::nullopt;
    co_return "TLS: " + error;
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
    resolver_.async_resolve(settings_.upstream.host, service_,
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
