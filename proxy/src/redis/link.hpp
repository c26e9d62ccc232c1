// hiredis' asynchronous context on Asio: events, and the lifetimes of what its callbacks touch.
//
// hiredis frees the context by itself after a failed connect and after a disconnect; `context_` is
// dropped in the callback that says so. The descriptor stays hiredis' own and is only lent to Asio.
// Callbacks never run a user's code: they store and wake, so nothing is freed under hiredis' feet.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <hiredis/async.h>

#include "redis/connection.hpp"
#include "redis/subscription.hpp"

namespace muster::redis {

class Link : public std::enable_shared_from_this<Link> {
  public:
    explicit Link(net::io_context& context);
    ~Link();
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    // Connects to an IP literal, or to a Unix socket if `port` is 0. Call once.
    Task<std::optional<Error>> open(std::string address, std::uint16_t port, TimePoint deadline);
    // Breaks the connection; commands in flight end as `lost`.
    void close();
    bool open() const { return context_ != nullptr && connected_; }

    Task<Outcome<Reply>> send(std::span<const std::string_view> words, TimePoint deadline);
    std::size_t in_flight() const { return commands_; }

    // Subscribes; messages and the end of the connection go to `inbox`. Once, and nothing else is
    // sent on this connection afterwards. False if it is broken already.
    bool subscribe(const std::vector<std::string>& channels,
                   std::shared_ptr<Subscription::Inbox> inbox);

  private:
    // One command on its way. Shared by its waiting coroutine and the callback, which hiredis calls
    // exactly once for each command it took.
    struct Pending {
        explicit Pending(const Executor& executor) : wake(executor) {}
        std::size_t bytes = 0;
        bool done = false;
        std::optional<Reply> reply;
        std::string broken;
        Timer wake;
    };
    static Task<Outcome<Reply>> answer(std::shared_ptr<Pending> pending, TimePoint deadline);
    static Task<Outcome<Reply>> not_sent(std::string why);

    static void on_reply(redisAsyncContext* context, void* reply, void* pending);
    static void on_message(redisAsyncContext* context, void* reply, void* inbox);
    static void on_connect(const redisAsyncContext* context, int status);
    static void on_disconnect(const redisAsyncContext* context, int status);
    static void cleanup(void* link);

    void want(bool Link::*direction, bool on);
    void watch();
    void watch(bool Link::*wanted, bool Link::*waiting, StreamDescriptor::wait_type direction,
               void (*handle)(redisAsyncContext*));

    StreamDescriptor descriptor_;
    Timer connect_wake_;
    redisAsyncContext* context_ = nullptr;
    bool lent_ = false;  // the descriptor is registered with Asio
    bool connected_ = false;
    bool want_read_ = false;
    bool want_write_ = false;
    bool waiting_read_ = false;
    bool waiting_write_ = false;
    std::string broken_ = "not connected";
    std::size_t commands_ = 0;
    std::size_t bytes_ = 0;
    std::shared_ptr<Subscription::Inbox> inbox_;  // hiredis' callbacks refer to it
};

}  // namespace muster::redis
