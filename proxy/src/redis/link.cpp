// hiredis' asynchronous context on Asio.
#include "redis/link.hpp"

#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace muster::redis {

namespace {

constexpr int user_timeout_ms = 10000;  // unacknowledged data for so long: the peer is gone

Link* link_of(const redisAsyncContext* context) {
    return static_cast<Link*>(context->data);
}

}  // namespace

Link::Link(net::io_context& context) : descriptor_(context), connect_wake_(context) {}

Link::~Link() {
    close();
}

void Link::close() {
    if (context_ == nullptr)
        return;
    broken_ = "the connection was closed";
    // Runs the callbacks of all commands in flight, with no reply, then cleanup().
    redisAsyncFree(std::exchange(context_, nullptr));
    connected_ = false;
}

Task<std::optional<Error>> Link::open(std::string address, std::uint16_t port, TimePoint deadline) {
    const auto self = shared_from_this();
    context_ = port == 0 ? redisAsyncConnectUnix(address.c_str())
                         : redisAsyncConnect(address.c_str(), port);
    if (context_ == nullptr)
        co_return Error{Error::Kind::not_sent, "out of memory"};
    if (context_->err != 0) {
        Error error{Error::Kind::not_sent, context_->errstr};
        redisAsyncFree(std::exchange(context_, nullptr));
        co_return error;
    }
    const int fd = context_->c.fd;
    error_code ec;
    descriptor_.assign(fd, ec);
    if (ec) {
        redisAsyncFree(std::exchange(context_, nullptr));
        co_return Error{Error::Kind::not_sent, ec.message()};
    }
    lent_ = true;
    if (port != 0) {
        const int on = 1;
        ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
        ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
    }
    context_->data = this;
    context_->ev.data = this;
    context_->ev.addRead = [](void* p) { static_cast<Link*>(p)->want(&Link::want_read_, true); };
    context_->ev.delRead = [](void* p) { static_cast<Link*>(p)->want(&Link::want_read_, false); };
    context_->ev.addWrite = [](void* p) { static_cast<Link*>(p)->want(&Link::want_write_, true); };
    context_->ev.delWrite = [](void* p) { static_cast<Link*>(p)->want(&Link::want_write_, false); };
    context_->ev.cleanup = cleanup;
    redisAsyncSetDisconnectCallback(context_, on_disconnect);
    connect_wake_.expires_at(deadline);
    redisAsyncSetConnectCallback(context_, on_connect);  // also asks for the first write event

    do
        co_await connect_wake_.async_wait(capture(ec));
    while (connect_wake_.expiry() > Clock::now());
    if (connected_)
        co_return std::nullopt;
    if (context_ != nullptr) {
        close();
        co_return Error{Error::Kind::not_sent, "connection attempt timed out"};
    }
    co_return Error{Error::Kind::not_sent, broken_};
}

void Link::on_connect(const redisAsyncContext* context, int status) {
    Link* const link = link_of(context);
    if (link->context_ == nullptr)  // within close()
        return;
    if (status == REDIS_OK) {
        link->connected_ = true;
    } else {
        link->broken_ = context->errstr != nullptr ? context->errstr : "could not connect";
        link->context_ = nullptr;  // freed by hiredis on return
    }
    link->connect_wake_.expires_at(TimePoint::min());
}

void Link::on_disconnect(const redisAsyncContext* context, int) {
    Link* const link = link_of(context);
    link->connected_ = false;
    if (link->context_ == nullptr)
        return;
    link->broken_ = context->errstr != nullptr && context->errstr[0] != '\0'
                        ? context->errstr
                        : "the connection was closed";
    link->context_ = nullptr;
}

// hiredis is about to close its descriptor.
void Link::cleanup(void* p) {
    Link* const link = static_cast<Link*>(p);
    link->want_read_ = false;
    link->want_write_ = false;
    if (std::exchange(link->lent_, false))
        link->descriptor_.release();
}

void Link::want(bool Link::*direction, bool on) {
    this->*direction = on;
    if (on)
        watch();
}

void Link::watch() {
    watch(&Link::want_read_, &Link::waiting_read_, StreamDescriptor::wait_read,
          redisAsyncHandleRead);
    watch(&Link::want_write_, &Link::waiting_write_, StreamDescriptor::wait_write,
          redisAsyncHandleWrite);
}

// Waits for one direction unless a wait is under way. A wait that hiredis has lost interest in ends
// without effect.
void Link::watch(bool Link::*wanted, bool Link::*waiting, StreamDescriptor::wait_type direction,
                 void (*handle)(redisAsyncContext*)) {
    if (!lent_ || !(this->*wanted) || this->*waiting)
        return;
    this->*waiting = true;
    descriptor_.async_wait(direction,
                           [weak = weak_from_this(), wanted, waiting, handle](error_code ec) {
                               const auto self = weak.lock();
                               if (!self)
                                   return;
                               (*self).*waiting = false;
                               if (ec || self->context_ == nullptr)
                                   return;
                               if ((*self).*wanted)
                                   handle(self->context_);
                               self->watch();
                           });
}

void Link::on_reply(redisAsyncContext* context, void* reply, void* p) {
    const std::unique_ptr<std::shared_ptr<Pending>> owned(
        static_cast<std::shared_ptr<Pending>*>(p));
    Pending& pending = **owned;
    if (reply != nullptr)
        pending.reply.emplace(*static_cast<const redisReply*>(reply));
    else
        pending.broken = context->errstr != nullptr && context->errstr[0] != '\0'
                             ? context->errstr
                             : "the connection was closed";
    Link& link = *link_of(context);
    --link.commands_;
    link.bytes_ -= pending.bytes;
    pending.done = true;
    pending.wake.cancel();
}

bool Link::subscribe(const std::vector<std::string>& channels,
                     std::shared_ptr<Subscription::Inbox> inbox) {
    if (!open())
        return false;
    std::vector<const char*> values{"SUBSCRIBE"};
    std::vector<std::size_t> lengths{9};
    for (const std::string& channel : channels) {
        values.push_back(channel.data());
        lengths.push_back(channel.size());
    }
    inbox_ = std::move(inbox);
    return redisAsyncCommandArgv(context_, on_message, inbox_.get(),
                                 static_cast<int>(values.size()), values.data(),
                                 lengths.data()) == REDIS_OK;
}

// Called for each message and acknowledgement, and without a reply, once a channel, at the end.
void Link::on_message(redisAsyncContext* context, void* reply, void* p) {
    auto& inbox = *static_cast<Subscription::Inbox*>(p);
    const auto* const message = static_cast<const redisReply*>(reply);
    if (message == nullptr) {
        inbox.ended = true;
        inbox.broken = context->errstr != nullptr && context->errstr[0] != '\0'
                           ? context->errstr
                           : "the connection was closed";
    } else if (message->type == REDIS_REPLY_ARRAY && message->elements == 3 && !inbox.ended) {
        const redisReply& last = *message->element[2];
        if (last.type == REDIS_REPLY_INTEGER) {
            ++inbox.acknowledged;
        } else if (last.type == REDIS_REPLY_STRING) {
            const redisReply& channel = *message->element[1];
            inbox.bytes += last.len;
            inbox.messages.push_back({{channel.str, channel.len}, {last.str, last.len}});
            if (inbox.bytes > Subscription::most_bytes) {
                inbox.ended = true;
                inbox.broken = "messages are not taken fast enough";
                inbox.messages.clear();
            }
        }
    }
    inbox.wake.cancel();
}

Task<Outcome<Reply>> Link::not_sent(std::string why) {
    co_return Error{Error::Kind::not_sent, std::move(why)};
}

Task<Outcome<Reply>> Link::send(std::span<const std::string_view> words, TimePoint deadline) {
    if (!open())
        return not_sent(broken_);
    std::vector<const char*> values;
    std::vector<std::size_t> lengths;
    std::size_t bytes = 0;
    for (const std::string_view word : words) {
        values.push_back(word.data());
        lengths.push_back(word.size());
        bytes += word.size() + 16;
    }
    if (commands_ >= Connection::most_commands || bytes_ + bytes > Connection::most_bytes)
        return not_sent("too many commands in flight");
    auto pending = std::make_shared<Pending>(descriptor_.get_executor());
    pending->bytes = bytes;
    auto owned = std::make_unique<std::shared_ptr<Pending>>(pending);
    if (redisAsyncCommandArgv(context_, on_reply, owned.get(), static_cast<int>(words.size()),
                              values.data(), lengths.data()) != REDIS_OK)
        return not_sent("the connection is closing");
    static_cast<void>(owned.release());  // the callback's
    ++commands_;
    bytes_ += bytes;
    return answer(std::move(pending), deadline);
}

// Touches nothing but `pending`: the Link may be gone by the time it goes on.
Task<Outcome<Reply>> Link::answer(std::shared_ptr<Pending> pending, TimePoint deadline) {
    error_code ec;
    pending->wake.expires_at(deadline);
    while (!pending->done && Clock::now() < deadline)
        co_await pending->wake.async_wait(capture(ec));
    if (!pending->done)
        co_return Error{Error::Kind::timed_out, "no reply by the deadline"};
    if (!pending->reply)
        co_return Error{Error::Kind::lost, std::move(pending->broken)};
    co_return std::move(*pending->reply);
}

}  // namespace muster::redis
