#include "wire/upstream.hpp"

#include <memory>

#include <boost/asio/local/stream_protocol.hpp>

#include "wire/startup.hpp"

namespace muster::wire {

Upstream::Upstream(net::io_context& context, TermsPtr terms)
    : context_(context),
      terms_(std::move(terms)),
      service_(std::to_string(terms_->settings.upstream.port)),
      resolver_(context.get_executor()) {
    const auto& [host, port] = terms_->settings.upstream;
    if (host.starts_with('/')) {
        fixed_.emplace_back(net::local::stream_protocol::endpoint(host + "/.s.PGSQL." + service_));
        return;
    }
    error_code not_numeric;
    const auto address = net::ip::make_address(host, not_numeric);
    if (!not_numeric)
        fixed_.emplace_back(net::ip::tcp::endpoint(address, port));
}

Task<error_code> Upstream::look_up(Addresses& found, TimePoint deadline) {
    if (is_name())
        co_return co_await resolve(found, deadline);
    found = fixed_;
    co_return error_code();
}

Task<std::optional<std::string>> Upstream::connect(Leg& leg, TimePoint deadline) {
    Addresses found;
    const auto ec = co_await look_up(found, deadline);
    if (ec)
        co_return ec.message();
    co_return co_await connect(leg, std::move(found), deadline);
}

Task<std::optional<std::string>> Upstream::connect(Leg& leg, Addresses addresses,
                                                   TimePoint deadline) {
    const auto ec = co_await connect_socket(leg, addresses, deadline);
    if (ec)
        co_return ec.message();
    if (!terms_->tls.upstream)
        co_return std::nullopt;
    co_return co_await begin_tls(leg);
}

Task<error_code> Upstream::connect_socket(Leg& leg, const Addresses& addresses,
                                          TimePoint deadline) {
    error_code ec = net::error::host_not_found;
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        const auto left = deadline - Clock::now();
        if (left <= Clock::duration::zero())
            co_return error_code(net::error::timed_out);
        ec = co_await connect_within(leg, addresses[i],
                                     left / static_cast<int>(addresses.size() - i));
        if (!ec) {
            leg.adopt(std::move(leg.socket()));
            co_return ec;
        }
        if (ec == net::error::operation_aborted)  // closed by the caller
            co_return error_code(net::error::timed_out);
    }
    co_return ec;
}

// operation_aborted if the caller has closed the socket.
Task<error_code> Upstream::connect_within(Leg& leg, const Protocol::endpoint& address,
                                          Clock::duration time) {
    struct Attempt {
        explicit Attempt(const Executor& executor) : timer(executor) {}
        Timer timer;
        bool under_way = true;
        bool expired = false;
    };
    leg.socket() = Socket(context_.get_executor());
    const auto attempt = std::make_shared<Attempt>(context_.get_executor());
    attempt->timer.expires_after(time);
    attempt->timer.async_wait([attempt, &leg](const error_code& cancelled) {
        if (cancelled || !attempt->under_way)
            return;
        attempt->expired = true;
        error_code ignored;
        leg.socket().close(ignored);
    });
    error_code ec;
    co_await leg.socket().async_connect(address, capture(ec));
    attempt->under_way = false;
    attempt->timer.cancel();
    co_return attempt->expired ? error_code(net::error::timed_out) : ec;
}

// Asks for TLS and reads the one byte that answers, and nothing behind it: what came in front of
// the handshake is not to be taken for what was said inside it (CVE-2021-23222).
Task<std::optional<std::string>> Upstream::begin_tls(Leg& leg) {
    const auto& settings = terms_->settings;
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
    if (answer == 'N' && settings.upstream_tls == "prefer")
        co_return std::nullopt;
    if (answer != 'S')
        co_return answer == 'N' ? "it does not speak TLS, which wire.upstream_tls demands"
                                : "it does not answer a request for TLS as PostgreSQL does";
    const auto& name =
        settings.upstream_name.empty() ? settings.upstream.host : settings.upstream_name;
    const bool check_name = settings.upstream_tls == "verify-full";
    const auto error = co_await leg.connect_tls(*terms_->tls.upstream, name, check_name);
    if (error.empty())
        co_return std::nullopt;
    co_return "TLS: " + error;
}

// The lookup runs on the resolver's own thread and cannot be interrupted, so the wait for it is a
// timer that the answer cancels; an answer that comes too late finds nobody waiting.
Task<error_code> Upstream::resolve(Addresses& found, TimePoint deadline) {
    struct Lookup {
        explicit Lookup(const Executor& executor) : timer(executor) {}
        Timer timer;
        std::optional<error_code> outcome;
        Addresses endpoints;
    };
    const auto lookup = std::make_shared<Lookup>(context_.get_executor());
    lookup->timer.expires_at(deadline);
    resolver_.async_resolve(terms_->settings.upstream.host, service_,
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
