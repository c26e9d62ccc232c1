// A subscription to channels, on a connection of its own.
//
// It never reconnects by itself: its owner makes a new one, and knows that whatever was published
// meanwhile is not to be had from Pub/Sub. Belongs to one io_context thread.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "redis/connection.hpp"

namespace muster::redis {

struct Published {
    std::string channel;
    std::string payload;
};

class Subscription {
  public:
    // What may wait to be taken; a subscription beyond that is broken.
    static constexpr std::size_t most_bytes = std::size_t{64} * 1024 * 1024;

    // Connects as Connection does and subscribes; returns when the server has acknowledged all
    // channels, so that what is published from then on will be delivered.
    static Task<Outcome<std::unique_ptr<Subscription>>> open(net::io_context& context,
                                                             const config::Redis& configuration,
                                                             const std::string& name,
                                                             std::vector<std::string> channels,
                                                             TimePoint deadline);
    ~Subscription();
    Subscription(const Subscription&) = delete;
    Subscription& operator=(const Subscription&) = delete;

    // Takes the next message, waiting for it: `timed_out` if none comes by the deadline, `lost`
    // once the connection is broken.
    Task<Outcome<Published>> next(TimePoint deadline);

  private:
    friend class Link;

    // Where Link's callback leaves messages.
    struct Inbox {
        explicit Inbox(const Executor& executor) : wake(executor) {}
        std::deque<Published> messages;
        std::size_t bytes = 0;
        std::size_t acknowledged = 0;  // channels
        bool ended = false;
        std::string broken;
        Timer wake;
    };

    Subscription(std::unique_ptr<Connection> connection, std::shared_ptr<Inbox> inbox)
        : connection_(std::move(connection)), inbox_(std::move(inbox)) {}

    std::unique_ptr<Connection> connection_;
    std::shared_ptr<Inbox> inbox_;
};

}  // namespace muster::redis
