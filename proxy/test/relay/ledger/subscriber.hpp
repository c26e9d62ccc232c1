// A client of the events as README describes it: it listens to the channel, drops what it has by
// id, and reads what it missed from the stream.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <hiredis/hiredis.h>

#include "harness/redis_subscriber.hpp"
#include "relay/ledger/verdict.hpp"

namespace muster::test::ledger {

// The entry that a message is: its change, if the message is about table `thing` of the fault
// tests.
Entry entry_of(const std::string& message);

// Reads the stream. Each function throws std::runtime_error if Redis does not answer properly.
class StreamReader {
  public:
    // Connects.
    StreamReader(const RedisAddress& address, std::string stream);

    // At most `count` entries behind `id`, in order.
    std::vector<Entry> after(relay::StreamId id, std::size_t count);
    std::vector<Entry> all();

  private:
    struct Free {
        void operator()(redisContext* context) const { redisFree(context); }
        void operator()(redisReply* reply) const { freeReplyObject(reply); }
    };
    std::unique_ptr<redisContext, Free> context_;
    std::string stream_;
};

// Listens on a thread of its own, and comes back by itself when Redis was away.
class Subscriber {
  public:
    Subscriber(RedisAddress address, std::string channel, std::string stream);
    ~Subscriber();
    Subscriber(const Subscriber&) = delete;
    Subscriber& operator=(const Subscriber&) = delete;

    // Hangs up until come_back(). Returns when the connection is closed.
    void go_away();
    void come_back() { away_ = false; }

    bool heard(const Change& change) const;
    std::size_t count() const { return count_; }  // of entries heard
    // The newest id that this client has.
    relay::StreamId newest() const;

    Heard heard() const;
    // Everything that Redis ever said to it, what it dropped included.
    std::vector<Entry> sightings() const;

  private:
    void listen();
    void take(const Entry& message, StreamReader& stream);
    void fill(StreamReader& stream, relay::StreamId until);
    void accept(const Entry& entry);

    const RedisAddress address_;
    const std::string channel_;
    const std::string stream_;
    std::atomic<bool> stopping_{false};
    std::atomic<bool> away_{false};
    std::atomic<bool> connected_{false};
    std::atomic<std::size_t> count_{0};

    mutable std::mutex mutex_;
    relay::StreamId last_;
    Heard heard_;
    std::set<Change> changes_;
    std::vector<Entry> sightings_;

    std::thread thread_;  // the last member: it uses the others
};

}  // namespace muster::test::ledger
