// A session's part that the limits ask for: its places among the connections, and what becomes of a
// sequence that the quotas do not cover.
#include "wire/session.hpp"

#include <algorithm>
#include <utility>

#include "wire/worker.hpp"

namespace muster::wire {
namespace {

// How long answers are awaited that the pipeline (pipeline.hpp) may be wrong about. Whoever has
// asked for something that takes longer than this may ask for one thing more each time.
constexpr auto patience = std::chrono::seconds(10);

// PostgreSQL cuts longer names of users and databases, so that all of them are the same.
constexpr std::size_t longest_name = 63;

// As the limits see it: of IPv6 the /64.
std::string sender(const net::ip::address& address) {
    if (address.is_v4())
        return address.to_string();
    auto bytes = address.to_v6().to_bytes();
    std::fill(bytes.begin() + 8, bytes.end(), static_cast<unsigned char>(0));
    return net::ip::address_v6(bytes).to_string() + "/64";
}

const char* message_of(limit::Account::Kind kind) {
    switch (kind) {
        case limit::Account::address:
            return "too many queries from this address";
        case limit::Account::user:
            return "too many queries by this user";
        case limit::Account::database:
            return "too many queries in this database";
    }
    return "";
}

std::string refusal(limit::Account::Kind kind, limit::Nanos wait) {
    constexpr limit::Nanos millisecond = 1'000'000;
    const auto ms = std::to_string((wait + millisecond - 1) / millisecond);
    const auto message = message_of(kind) + (", retry in " + ms + " ms");
    const auto hint = "The rate limit lets it pass in " + ms + " ms.";
    return encode({"53400", message, hint}, "ERROR");
}

}  // namespace

// Takes a place among the connections of its address. False if there is none, and the client has
// been told.
bool Session::take_place(const startup::Packet& packet) {
    user_ = packet.parameter("user").substr(0, longest_name);
    database_ = packet.parameter("database").substr(0, longest_name);
    if (database_.empty())
        database_ = user_;
    if (!address_)
        return true;
    const auto from = sender(*address_);
    if (worker_->shared().addresses.take(address_place_, from,
                                         worker_->wire_limits().address_connections))
        return true;
    worker_->limited(limit::Account::address, from, true);
    refuse({"53300", "too many connections from this address"});
    return false;
}

// Takes a place among the connections of its user, which is known to be that only now that the
// server has let it in: `bytes` end with its first ReadyForQuery. False if there is none.
Task<bool> Session::take_users_place(std::string_view bytes) {
    const auto& limits = worker_->wire_limits();
    const auto exception = limits.users.find(user_);
    const auto most = exception == limits.users.end()
                          ? limits.user_connections
                          : exception->second.connections.value_or(limits.user_connections);
    if (worker_->shared().users.take(user_place_, user_, most))
        co_return true;
    worker_->limited(limit::Account::user, user_, true);
    worker_->counters().refused.add();
    error_code ec;
    server_.write_now(terminate, ec);
    if (bytes.ends_with(ready_for_query)) {
        client_write_ = true;
        ec = co_await client_.write(bytes.substr(0, bytes.size() - ready_for_query.size()));
        client_write_ = false;
        if (!ec && phase_ == Phase::open)
            fail({"53300", "too many connections for this user"});
    }
    if (phase_ == Phase::open)
        linger();
    co_return false;
}

void Session::apply_limits() {
    if (phase_ != Phase::open)
        return;
    const auto& limiter = worker_->limiter();
    throttle_.open(limiter ? limit::Account(limiter, address_, user_, database_)
                           : limit::Account());
}

// Waits until the client is logged in, or will not be.
Task<> Session::login() {
    error_code ignored;
    while (phase_ == Phase::login)
        co_await timer_.async_wait(capture(ignored));
}

// Keeps back the sequence that `bytes` begin with until it may go on, or be judged anew, or has it
// dropped.
Task<> Session::hold(std::string_view bytes) {
    if (!throttle_.opened())
        co_return co_await login();
    const std::chrono::nanoseconds max_delay = worker_->wire_limits().max_delay;
    const limit::Nanos most = sets_in_order(bytes) ? limit::never : max_delay.count();
    auto now = Clock::now();
    const auto give_up = now + patience;
    auto decision = throttle_.decide(pipeline_, most, limit::nanos(now));
    while (decision.what == Throttle::Decision::await_answers) {
        co_await progress(give_up);
        if (phase_ != Phase::open)
            co_return;
        now = Clock::now();
        decision = throttle_.decide(pipeline_, most, limit::nanos(now), now < give_up);
    }
    if (decision.what == Throttle::Decision::refuse) {
        worker_->limited(decision.kind, whose(decision.kind), false);
        refusal_ = refusal(decision.kind, decision.wait);
        throttle_.drop(bytes.front());
        if (!throttle_.answers_at_end())
            co_await say(std::exchange(refusal_, {}));
        co_return;
    }
    if (decision.wait == 0)
        co_return;
    worker_->counters().limits[decision.kind].delayed.add();
    worker_->counters().delay.add(static_cast<std::uint64_t>(decision.wait));
    const auto until = now + std::chrono::nanoseconds(decision.wait);
    while (phase_ == Phase::open && Clock::now() < until)
        co_await progress(until);
}

// Reads over what is dropped, and at its end tells the client. Returns how much it was.
Task<std::size_t> Session::drop(std::string_view bytes) {
    std::uint64_t messages = 0;
    const auto dropped = from_client_.feed(
        bytes,
        [&](const MessageStart& message) {
            ++messages;
            throttle_.dropped(message.type);
        },
        [](std::string_view) {}, [&](char type) { return throttle_.drops(type); });
    worker_->counters().client_messages.add(messages);
    if (!from_client_.in_step())
        fail({"08P01", "invalid message length"});
    else if (throttle_.drop_ends(from_client_.at_boundary()))
        co_await say(std::exchange(refusal_, {}).append(ready_for_query));
    co_return dropped;
}

// Has the client told `words` between two messages of the server, and waits until it has been.
Task<> Session::say(std::string words) {
    words_ = std::move(words);
    server_.interrupt();  // wakes copy_to_client()
    while (!words_.empty() && phase_ == Phase::open)
        co_await progress(TimePoint::max());
}

// Waits until copy_to_client() has done something, the session ends, or `deadline`. The timer is
// not in use while the session is open, and cancelled when it ends.
Task<> Session::progress(TimePoint deadline) {
    waiting_ = true;
    timer_.expires_at(deadline);
    error_code ignored;
    co_await timer_.async_wait(capture(ignored));
    waiting_ = false;
}

void Session::made_progress() {
    if (waiting_)
        timer_.cancel();
}

std::string Session::whose(limit::Account::Kind kind) const {
    switch (kind) {
        case limit::Account::address:
            return sender(*address_);
        case limit::Account::user:
            return user_;
        case limit::Account::database:
            return database_;
    }
    return {};
}

}  // namespace muster::wire
