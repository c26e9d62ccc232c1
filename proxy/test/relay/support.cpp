// What the relay's tests share.
#include "support.hpp"

#include <random>
#include <regex>
#include <sstream>
#include <stdexcept>

#include <sys/time.h>

#include <boost/property_tree/json_parser.hpp>
#include <boost/test/unit_test.hpp>

#include <hiredis/hiredis.h>

namespace muster::test {

PostgresServer& postgres() {
    static PostgresServer server(PostgresServer::WithMuster{});
    return server;
}

std::string make_database() {
    static int count = 0;
    const std::string name = "relay" + std::to_string(++count);
    postgres().psql("CREATE DATABASE " + name);
    load_muster(postgres(), name);
    return name;
}

void load_muster(PostgresServer& server, const std::string& database) {
    server.psql(
        "CREATE EXTENSION muster;"
        "CREATE TABLE things (id bigserial PRIMARY KEY, aggregate text, key text, fill text);"
        "SELECT muster.publish('things', 'thing', 'row', key => '{aggregate}',"
        " columns => '{key,fill}');"
        "DO $$BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'relay_login') THEN"
        " CREATE ROLE relay_login LOGIN IN ROLE muster_relay; END IF; END$$;",
        database);
}

config::Relay relay_config(const std::string& database) {
    config::Relay relay;
    relay.conninfo = postgres().socket_conninfo(database) + " user=relay_login";
    relay.stream_length = 10'000'000;
    return relay;
}

config::Relay relay_config(const PostgresServer& one, const PostgresServer& other) {
    config::Relay relay;
    relay.conninfo = "host=" + one.directory().string() + "," + other.directory().string() +
                     " port=" + std::to_string(one.port()) + "," + std::to_string(other.port()) +
                     " user=relay_login dbname=postgres target_session_attrs=read-write";
    return relay;
}

Session::Session(const std::string& database, const PostgresServer& server)
    : connection_(PQconnectdb(server.socket_conninfo(database).c_str())) {}

Session::~Session() {
    PQfinish(connection_);
}

bool Session::try_run(const std::string& sql) {
    PGresult* result = PQexec(connection_, sql.c_str());
    const ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

void Session::run(const std::string& sql) {
    if (!try_run(sql))
        throw std::runtime_error(sql.substr(0, 200) + ": " + PQerrorMessage(connection_));
}

std::string Session::value(const std::string& sql) {
    PGresult* result = PQexec(connection_, sql.c_str());
    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) == 0) {
        PQclear(result);
        throw std::runtime_error(sql + ": " + PQerrorMessage(connection_));
    }
    std::string value = PQgetvalue(result, 0, 0);
    PQclear(result);
    return value;
}

std::vector<std::string> Session::notifications() {
    std::vector<std::string> payloads;
    PQconsumeInput(connection_);
    while (PGnotify* const notification = PQnotifies(connection_)) {
        payloads.emplace_back(notification->extra);
        PQfreemem(notification);
        PQconsumeInput(connection_);
    }
    return payloads;
}

bool Session::insert(const std::string& aggregate, const std::string& key) {
    return try_run("INSERT INTO things (aggregate, key) VALUES ('" + aggregate + "', '" + key +
                   "')");
}

RelayThread::RelayThread(const config::Relay& relay, const config::Redis& redis)
    : relay_(std::make_unique<relay::Relay>(context_, relay, redis)) {
    relay_->start();
    thread_ = std::thread([this] { context_.run(); });
}

RelayThread::~RelayThread() {
    context_.stop();
    thread_.join();
    relay_.reset();
}

Writers::Writers(const std::string& database, int count, std::string prefix) {
    // Writers of one aggregate wait for each other, as updates of one row do.
    for (int number = 0; number < count; ++number)
        threads_.emplace_back([this, database, number, prefix] {
            std::minstd_rand random(static_cast<unsigned>(number) + 1);
            auto session = std::make_unique<Session>(database);
            for (int i = 0; !stopping_; ++i) {
                const std::string key = prefix + std::to_string(number) + "." + std::to_string(i);
                const int shared = static_cast<int>(random() % 3);
                const std::string aggregate = "shared" + std::to_string(shared);
                const std::string own = prefix + std::to_string(number);
                bool good = session->try_run("BEGIN");
                good = good && session->try_run("SELECT pg_advisory_xact_lock(7, " +
                                                std::to_string(shared) + ")");
                good = good && session->insert(aggregate, key + "a");
                good = good && session->try_run("SAVEPOINT s") && session->insert(own, key + "b");
                if (good && random() % 3 == 0)
                    good = session->try_run("ROLLBACK TO SAVEPOINT s");
                good = good && session->insert(own, key + "c");
                if (random() % 4 == 0)
                    good = session->try_run("ROLLBACK") && good;
                else
                    good = session->try_run(random() % 2 == 0
                                                ? "COMMIT"
                                                : "SET LOCAL synchronous_commit = off; COMMIT") &&
                           good;
                ++transactions_;
                if (!good) {  // the server is away
                    std::this_thread::sleep_for(std::chrono::milliseconds(20));
                    session = std::make_unique<Session>(database);
                }
                std::this_thread::sleep_for(std::chrono::milliseconds(random() % 5));
            }
        });
}

void Writers::stop() {
    stopping_ = true;
    for (std::thread& thread : threads_)
        if (thread.joinable())
            thread.join();
}

Message parse(const std::string& json) {
    boost::property_tree::ptree tree;
    std::istringstream text(json);
    boost::property_tree::read_json(text, tree);
    const auto field = [&tree](const char* path) { return tree.get<std::string>(path, ""); };
    return {.id = field("id"),
            .prev_id = field("prev_id"),
            .epoch = field("epoch"),
            .event_type = field("event_type"),
            .aggregate_id = field("aggregate_id"),
            .key = field("payload.key"),
            .json = json};
}

namespace {

redisContext* connect_blocking(const config::Redis& redis) {
    return redisConnect(redis.address.host.c_str(), redis.address.port);
}

}  // namespace

Subscriber::Subscriber(const config::Redis& redis, const std::string& channel)
    : thread_([this, redis, channel] { listen(redis, channel); }) {
    wait_until("a subscription", [this] { return subscribed_.load(); });
}

Subscriber::~Subscriber() {
    stopping_ = true;
    thread_.join();
}

void Subscriber::listen(config::Redis redis, std::string channel) {
    redisContext* context = connect_blocking(redis);
    timeval patience{};
    patience.tv_usec = 100000;
    redisSetTimeout(context, patience);
    redisAppendCommand(context, "SUBSCRIBE %s", channel.c_str());
    while (!stopping_) {
        redisReply* reply = nullptr;
        if (redisGetReply(context, reinterpret_cast<void**>(&reply)) != REDIS_OK) {
            if (context->err != REDIS_ERR_IO || (errno != EAGAIN && errno != EWOULDBLOCK))
                break;
            context->err = 0;  // a timeout, and nothing was read
            continue;
        }
        if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 3) {
            const std::string kind = reply->element[0]->str;
            if (kind == "subscribe") {
                subscribed_ = true;
            } else if (kind == "message") {
                const std::lock_guard lock(mutex_);
                messages_.emplace_back(reply->element[2]->str,
                                       static_cast<std::size_t>(reply->element[2]->len));
            }
        }
        freeReplyObject(reply);
    }
    redisFree(context);
}

std::vector<std::string> Subscriber::messages() {
    const std::lock_guard lock(mutex_);
    return messages_;
}

std::size_t stream_length(const config::Redis& redis, const std::string& stream) {
    redisContext* context = connect_blocking(redis);
    auto* reply = static_cast<redisReply*>(redisCommand(context, "XLEN %s", stream.c_str()));
    const std::size_t length = reply != nullptr && reply->type == REDIS_REPLY_INTEGER
                                   ? static_cast<std::size_t>(reply->integer)
                                   : 0;
    freeReplyObject(reply);
    redisFree(context);
    return length;
}

std::vector<Message> stream_entries(const config::Redis& redis, const std::string& stream) {
    redisContext* context = connect_blocking(redis);
    std::vector<Message> entries;
    std::string from = "-";
    for (;;) {
        auto* reply = static_cast<redisReply*>(
            redisCommand(context, "XRANGE %s %s + COUNT 1000", stream.c_str(), from.c_str()));
        if (reply == nullptr || reply->type != REDIS_REPLY_ARRAY || reply->elements == 0) {
            freeReplyObject(reply);
            break;
        }
        for (std::size_t i = 0; i < reply->elements; ++i) {
            const redisReply* entry = reply->element[i];
            const redisReply* fields = entry->element[1];
            BOOST_REQUIRE_EQUAL(fields->elements, 2u);
            BOOST_REQUIRE_EQUAL(std::string(fields->element[0]->str), "message");
            entries.push_back(parse(fields->element[1]->str));
            BOOST_REQUIRE_EQUAL(entries.back().id, std::string(entry->element[0]->str));
        }
        from = "(" + entries.back().id;
        freeReplyObject(reply);
    }
    redisFree(context);
    return entries;
}

bool appears(const config::Relay& relay, const config::Redis& redis, const std::string& key) {
    try {
        wait_until(key, [&] {
            for (const Message& entry : stream_entries(redis, relay.stream))
                if (entry.key == key)
                    return true;
            return false;
        });
    } catch (const std::runtime_error&) {
        return false;
    }
    return true;
}

Keys committed(const std::string& database) {
    const std::string rows =
        postgres().psql("SELECT aggregate || '|' || key FROM things ORDER BY id", database);
    Keys keys;
    std::istringstream lines(rows);
    for (std::string line; std::getline(lines, line);)
        if (const std::size_t bar = line.find('|'); bar != std::string::npos)
            keys[line.substr(0, bar)].push_back(line.substr(bar + 1));
    return keys;
}

Keys keys_of(const std::vector<Message>& messages) {
    Keys keys;
    for (const Message& message : messages)
        if (message.event_type != "reset")
            keys[message.aggregate_id].push_back(message.key);
    return keys;
}

namespace {

std::size_t total(const Keys& keys) {
    std::size_t sum = 0;
    for (const auto& [aggregate, list] : keys)
        sum += list.size();
    return sum;
}

}  // namespace

std::vector<Message> check_stream(const std::string& database, const config::Relay& relay,
                                  const config::Redis& redis) {
    const Keys wanted = committed(database);
    std::vector<Message> entries;
    try {
        wait_until("the stream to hold every change", [&] {
            if (stream_length(redis, relay.stream) < total(wanted))
                return false;
            entries = stream_entries(redis, relay.stream);
            return total(keys_of(entries)) >= total(wanted);
        });
    } catch (const std::runtime_error& error) {
        BOOST_ERROR(error.what());
    }
    const Keys found = keys_of(entries);
    BOOST_TEST(total(found) == total(wanted));
    for (const auto& [aggregate, keys] : wanted) {
        const auto at = found.find(aggregate);
        BOOST_REQUIRE_MESSAGE(at != found.end(), "nothing of " << aggregate << " in the stream");
        BOOST_TEST((at->second == keys), "changes of " << aggregate << " differ");
    }
    std::string previous = "0-0";
    for (const Message& entry : entries) {
        BOOST_REQUIRE_EQUAL(entry.prev_id, previous);
        previous = entry.id;
    }
    return entries;
}

}  // namespace muster::test
