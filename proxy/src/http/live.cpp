// Admission, and the chores that all clients of a thread share.
#include "http/live.hpp"

#include <algorithm>
#include <map>

#include "http/header_value.hpp"
#include "http/problem.hpp"
#include "runtime/runtime.hpp"

namespace muster::http {
namespace {

using namespace std::chrono_literals;

// How exactly deadlines are kept.
constexpr auto sweep_period = 100ms;
// A revoked key ends its clients after this and a query.
constexpr auto check_period = 1s;
constexpr auto goodbye_time = 1s;  // for a client to hear that its key is no longer valid

}  // namespace

bool is_allowed_origin(std::string_view origin, std::string_view host,
                       const std::vector<std::string>& allowed) {
    const std::size_t scheme = origin.find("://");
    if (scheme != std::string_view::npos && equals_ignoring_case(origin.substr(scheme + 3), host)) {
        return true;
    }
    return std::any_of(allowed.begin(), allowed.end(), [&](const std::string& one) {
        return one == "*" || equals_ignoring_case(one, origin);
    });
}

Live::Live(net::io_context& context, unsigned thread, push::Hub& hub, Keys& keys,
           limit::Limiter& limiter, std::chrono::milliseconds write_timeout)
    : context_(context),
      thread_(thread),
      settings_(hub.settings()),
      write_timeout_(write_timeout),
      keys_(keys),
      limiter_(limiter),
      station_(hub.station(thread)),
      count_(hub.clients()),
      dialer_(context, hub.redis(), "muster-live"),
      archive_(context, dialer_, hub.stream()),
      tickets_(dialer_, hub.redis().command_timeout),
      sweep_timer_(context.get_executor()),
      check_timer_(context.get_executor()) {}

bool Live::is_welcome(const Exchange& exchange) const {
    const auto origin = exchange.header("Origin");
    return !origin || is_allowed_origin(*origin, exchange.header("Host").value_or(""),
                                        settings_.allowed_origins);
}

Response Live::open(const Exchange& exchange, const Target& target, bool websocket,
                    const Digest& key, std::shared_ptr<const Identity> identity) {
    auto command = read_live_query(target, exchange.header("Last-Event-ID"));
    if (!command) {
        return respond(command.error());
    }
    if (exchange.has_body()) {
        return respond(400, "a request for live updates has no body");
    }
    Response response;
    if (websocket) {
        response = websocket::accept(exchange);
        if (response.status != 101) {
            return response;
        }
    } else {
        response.content_type = "text/event-stream";
        response.headers.emplace_back("Cache-Control", "no-store");
        response.headers.emplace_back("X-Accel-Buffering", "no");  // nginx, pass it on at once
    }
    if (!station_->knows()) {
        return respond(503, "there are no live updates while Redis cannot be reached");
    }
    if (count_->load() >= settings_.max_clients) {
        return respond(503, "there are too many live clients");
    }
    LiveClient::Beginning beginning{websocket, std::move(command).value(), key,
                                    std::move(identity)};
    response.continuation = std::make_shared<LiveClient>(shared_from_this(), std::move(beginning));
    return response;
}

void Live::begin(LiveClient& client) {
    count_->fetch_add(1);
    clients_.insert(&client);
    (client.is_websocket() ? station_->counters.websocket_clients : station_->counters.sse_clients)
        .add(1);
    if (!std::exchange(sweeping_, true)) {
        spawn(context_, "deadlines of live clients", sweep(shared_from_this()));
    }
    if (!std::exchange(checking_, true)) {
        spawn(context_, "keys of live clients", check_keys(shared_from_this()));
    }
}

void Live::end(LiveClient& client) {
    count_->fetch_sub(1);
    clients_.erase(&client);
    (client.is_websocket() ? station_->counters.websocket_clients : station_->counters.sse_clients)
        .add(-1);
    if (clients_.empty()) {
        sweep_timer_.cancel();
        check_timer_.cancel();
    }
}

Task<> Live::sweep(std::shared_ptr<Live> self) {
    while (!self->clients_.empty()) {
        self->sweep_timer_.expires_after(sweep_period);
        error_code ignored;
        co_await self->sweep_timer_.async_wait(capture(ignored));
        const TimePoint now = Clock::now();
        for (LiveClient* client : self->clients_) {
            client->sweep(now);
        }
    }
    self->sweeping_ = false;
}

// Asks for each key once a period, whoever many clients it has. While the database is away, a key
// is as good as it is for requests.
Task<> Live::check_keys(std::shared_ptr<Live> self) {
    while (!self->clients_.empty()) {
        self->check_timer_.expires_after(check_period);
        error_code ignored;
        co_await self->check_timer_.async_wait(capture(ignored));
        const auto owner = self->owner_.lock();  // of the keys, while they are asked
        if (!owner) {
            co_return;
        }
        std::map<Digest, bool> valid;
        for (const LiveClient* client : self->clients_) {
            valid.emplace(client->key(), true);
        }
        const TimePoint deadline = Clock::now() + check_period;
        for (auto& [key, good] : valid) {
            const auto answer = co_await self->keys_.verify_anew(key, deadline, owner);
            if (answer) {
                good = answer.value()->may_read;
            } else {
                good = answer.error().status != 401 && self->keys_.recognizes(key);
            }
        }
        // Ending one takes none out of the set before this coroutine waits again.
        for (LiveClient* client : self->clients_) {
            const auto found = valid.find(client->key());
            if (found != valid.end() && !found->second) {
                client->end({websocket::Close::policy_violation, "the API key is no longer valid"},
                            goodbye_time);
            }
        }
    }
    self->checking_ = false;
}

void Live::stop() {
    dialer_.close();
}

}  // namespace muster::http
