// Subscribing, and waiting for messages.
#include "redis/subscription.hpp"

#include "redis/link.hpp"

namespace muster::redis {

Subscription::~Subscription() = default;

Task<Outcome<std::unique_ptr<Subscription>>> Subscription::open(net::io_context& context,
                                                                const config::Redis& configuration,
                                                                const std::string& name,
                                                                std::vector<std::string> channels,
                                                                TimePoint deadline) {
    auto connected = co_await Connection::connect(context, configuration, name, deadline);
    if (!connected)
        co_return std::move(connected).error();
    auto connection = std::move(connected).value();
    auto inbox = std::make_shared<Inbox>(context.get_executor());
    if (!connection->link_->subscribe(channels, inbox))
        co_return Error{Error::Kind::not_sent, "the connection is closing"};
    error_code ec;
    while (inbox->acknowledged < channels.size() && !inbox->ended && Clock::now() < deadline) {
        inbox->wake.expires_at(deadline);
        co_await inbox->wake.async_wait(capture(ec));
    }
    if (inbox->ended)
        co_return Error{Error::Kind::refused, "SUBSCRIBE: " + inbox->broken};
    if (inbox->acknowledged < channels.size())
        co_return Error{Error::Kind::timed_out, "the subscription was not acknowledged"};
    co_return std::unique_ptr<Subscription>(
        new Subscription(std::move(connection), std::move(inbox)));
}

Task<Outcome<Published>> Subscription::next(TimePoint deadline) {
    const auto inbox = inbox_;
    error_code ec;
    while (inbox->messages.empty() && !inbox->ended && Clock::now() < deadline) {
        inbox->wake.expires_at(deadline);
        co_await inbox->wake.async_wait(capture(ec));
    }
    if (!inbox->messages.empty()) {
        Published published = std::move(inbox->messages.front());
        inbox->messages.pop_front();
        inbox->bytes -= published.payload.size();
        co_return published;
    }
    if (inbox->ended)
        co_return Error{Error::Kind::lost, inbox->broken};
    co_return Error{Error::Kind::timed_out, "no message by the deadline"};
}

}  // namespace muster::redis
