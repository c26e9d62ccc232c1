// What the relay's tests share: a database with the outbox, writers, a subscriber, and the checks
// that every committed change is in Redis once and in order.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <libpq-fe.h>

#include "config/config.hpp"
#include "relay/relay.hpp"
#include "servers/postgres.hpp"
#include "servers/redis.hpp"

namespace muster::test {

// One PostgreSQL for the whole program, with the extension preloaded.
PostgresServer& postgres();

// A database of its own with the extension and a published table, things (aggregate, key, fill).
std::string make_database();
void load_muster(PostgresServer& server, const std::string& database);

config::Relay relay_config(const std::string& database);
// One that finds whichever of two servers is the primary.
config::Relay relay_config(const PostgresServer& one, const PostgresServer& other);

// A database, a Redis and a stream of their own.
struct RelayFixture {
    explicit RelayFixture(std::vector<std::string> redis_options = {})
        : server(std::move(redis_options)) {}
    std::string database = make_database();
    RedisServer server;
    config::Redis redis = server.tcp();
    config::Relay relay = relay_config(database);
};

// A blocking session, for writers.
class Session {
  public:
    explicit Session(const std::string& database, const PostgresServer& server = postgres());
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // False if the statement failed, for tests in which servers die.
    bool try_run(const std::string& sql);
    void run(const std::string& sql);
    std::string value(const std::string& sql);
    // Payloads of the notifications that have come since the last call.
    std::vector<std::string> notifications();
    // Changes `aggregate`; the payload has the key.
    bool insert(const std::string& aggregate, const std::string& key);

  private:
    PGconn* connection_;
};

// A relay on a thread of its own, as in the proxy. Its destruction stops it in the middle.
class RelayThread {
  public:
    RelayThread(const config::Relay& relay, const config::Redis& redis);
    ~RelayThread();
    const relay::Stats& stats() const { return relay_->stats(); }

  private:
    net::io_context context_{1};
    std::unique_ptr<relay::Relay> relay_;
    std::thread thread_;
};

// Threads that commit, roll back and use savepoints until stopped.
class Writers {
  public:
    Writers(const std::string& database, int count, std::string prefix = "w");
    ~Writers() { stop(); }
    void stop();
    std::uint64_t transactions() const { return transactions_; }

  private:
    std::atomic<bool> stopping_{false};
    std::atomic<std::uint64_t> transactions_{0};
    std::vector<std::thread> threads_;
};

struct Message {
    std::string id;
    std::string prev_id;
    std::string epoch;
    std::string event_type;
    std::string aggregate_id;
    std::string key;   // of the payload
    std::string json;  // the whole of it
};
Message parse(const std::string& json);

// Collects what a Pub/Sub channel says.
class Subscriber {
  public:
    Subscriber(const config::Redis& redis, const std::string& channel);
    ~Subscriber();
    std::vector<std::string> messages();

  private:
    void listen(config::Redis redis, std::string channel);
    std::atomic<bool> stopping_{false};
    std::atomic<bool> subscribed_{false};
    std::mutex mutex_;
    std::vector<std::string> messages_;
    std::thread thread_;
};

// Waits until the stream holds an entry with this key; false if it never does.
bool appears(const config::Relay& relay, const config::Redis& redis, const std::string& key);

std::size_t stream_length(const config::Redis& redis, const std::string& stream);
// The stream's entries in order.
std::vector<Message> stream_entries(const config::Redis& redis, const std::string& stream);

// Keys of the committed changes by aggregate, in order.
using Keys = std::map<std::string, std::vector<std::string>>;
Keys committed(const std::string& database);
// The same of messages; resets are left out.
Keys keys_of(const std::vector<Message>& messages);

// Waits until the stream holds as many changes as were committed, then checks that it holds exactly
// the committed ones, once, in order, each naming the one before it. Returns the entries.
std::vector<Message> check_stream(const std::string& database, const config::Relay& relay,
                                  const config::Redis& redis);

}  // namespace muster::test
