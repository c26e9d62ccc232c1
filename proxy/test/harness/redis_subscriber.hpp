// A synchronous subscriber of one Redis channel.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include <hiredis/hiredis.h>

namespace muster::test {

struct RedisAddress {
    std::string host;
    int port;
    std::string username;
    std::string password;
};

class RedisSubscriber {
  public:
    // Returns when Redis has confirmed the subscription; throws if it does not.
    RedisSubscriber(const RedisAddress& address, const std::string& channel);

    // The next message, waiting at most `patience`; nothing when none came.
    std::optional<std::string> next(std::chrono::milliseconds patience);

  private:
    struct Free {
        void operator()(redisContext* context) const { redisFree(context); }
        void operator()(redisReply* reply) const { freeReplyObject(reply); }
    };
    using Reply = std::unique_ptr<redisReply, Free>;

    Reply receive(std::chrono::milliseconds patience);

    std::unique_ptr<redisContext, Free> context_;
};

}  // namespace muster::test
