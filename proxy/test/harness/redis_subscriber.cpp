// A synchronous subscriber of one Redis channel.
#include "harness/redis_subscriber.hpp"

#include <stdexcept>

#include <poll.h>

namespace muster::test {

using namespace std::chrono_literals;

RedisSubscriber::RedisSubscriber(const RedisAddress& address, const std::string& channel)
    : context_(redisConnectWithTimeout(address.host.c_str(), address.port, timeval{10, 0})) {
    if (context_ == nullptr || context_->err != 0)
        throw std::runtime_error("cannot connect to Redis");
    redisSetTimeout(context_.get(), timeval{10, 0});
    const Reply login(static_cast<redisReply*>(redisCommand(
        context_.get(), "AUTH %s %s", address.username.c_str(), address.password.c_str())));
    if (login == nullptr || login->type == REDIS_REPLY_ERROR)
        throw std::runtime_error("Redis refuses the password");
    const Reply subscribed(
        static_cast<redisReply*>(redisCommand(context_.get(), "SUBSCRIBE %s", channel.c_str())));
    if (subscribed == nullptr || subscribed->type != REDIS_REPLY_ARRAY)
        throw std::runtime_error("Redis refuses the subscription to " + channel);
}

std::optional<std::string> RedisSubscriber::next(std::chrono::milliseconds patience) {
    const auto reply = receive(patience);
    if (reply == nullptr)
        return std::nullopt;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
        throw std::runtime_error("Redis sent something that is no message");
    const auto* payload = reply->element[2];
    return std::string(payload->str, static_cast<std::size_t>(payload->len));
}

// A timeout inside hiredis breaks its context, so the waiting is done outside.
RedisSubscriber::Reply RedisSubscriber::receive(std::chrono::milliseconds patience) {
    const auto give_up = std::chrono::steady_clock::now() + patience;
    for (;;) {
        void* reply = nullptr;
        if (redisGetReplyFromReader(context_.get(), &reply) != REDIS_OK)
            throw std::runtime_error("Redis sent nonsense");
        if (reply != nullptr)
            return Reply(static_cast<redisReply*>(reply));
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            give_up - std::chrono::steady_clock::now());
        pollfd readable{context_->fd, POLLIN, 0};
        if (left <= 0ms || ::poll(&readable, 1, static_cast<int>(left.count())) == 0)
            return nullptr;
        if (redisBufferRead(context_.get()) != REDIS_OK)
            throw std::runtime_error("the connection to Redis broke");
    }
}

}  // namespace muster::test
