// A client of the events as README describes it.
#include "relay/ledger/subscriber.hpp"

#include <chrono>
#include <stdexcept>

#include "harness/json.hpp"
#include "servers/process.hpp"

namespace muster::test::ledger {

using namespace std::chrono_literals;
using relay::StreamId;

namespace {

constexpr std::size_t page = 500;
// For a stream that lost its end to be filled again.
constexpr auto refill_patience = 60s;

StreamId id_of(const Json& json) {
    const auto id = StreamId::parse(json.text());
    if (!id)
        throw std::runtime_error("\"" + json.text() + "\" is no id of a stream");
    return *id;
}

}  // namespace

Entry entry_of(const std::string& message) {
    const Json json = Json::parse(message);
    Entry entry{id_of(json["id"]), id_of(json["prev_id"]), std::nullopt};
    if (json["event_type"] == "reset")
        return entry;
    // "thing.updated" is "updated"; the writer and its number make it unique.
    const std::string type = json["event_type"].text();
    const Json& row = json["payload"];
    entry.change =
        Change{json["aggregate_id"].text(), type.substr(type.find('.') + 1) + " " +
                                                row["writer"].text() + "." + row["n"].text()};
    return entry;
}

StreamReader::StreamReader(const RedisAddress& address, std::string stream)
    : context_(redisConnectWithTimeout(address.host.c_str(), address.port, timeval{10, 0})),
      stream_(std::move(stream)) {
    if (context_ == nullptr || context_->err != 0)
        throw std::runtime_error("cannot connect to Redis");
    redisSetTimeout(context_.get(), timeval{10, 0});
}

std::vector<Entry> StreamReader::after(StreamId id, std::size_t count) {
    const std::unique_ptr<redisReply, Free> reply(static_cast<redisReply*>(
        redisCommand(context_.get(), "XRANGE %s (%s + COUNT %s", stream_.c_str(), id.text().c_str(),
                     std::to_string(count).c_str())));
    if (reply == nullptr || reply->type != REDIS_REPLY_ARRAY)
        throw std::runtime_error("Redis does not let the stream be read");
    std::vector<Entry> entries;
    for (std::size_t i = 0; i < reply->elements; ++i) {
        const redisReply& entry = *reply->element[i];
        const redisReply& fields = *entry.element[1];
        if (fields.elements != 2 || std::string(fields.element[0]->str) != "message")
            throw std::runtime_error("an entry of the stream is not one field \"message\"");
        const redisReply& message = *fields.element[1];
        entries.push_back(entry_of({message.str, static_cast<std::size_t>(message.len)}));
        if (entries.back().id.text() != entry.element[0]->str)
            throw std::runtime_error(std::string("entry ") + entry.element[0]->str +
                                     " says that it is " + entries.back().id.text());
    }
    return entries;
}

std::vector<Entry> StreamReader::all() {
    std::vector<Entry> entries;
    StreamId last;
    for (;;) {
        const auto more = after(last, page);
        if (more.empty())
            return entries;
        entries.insert(entries.end(), more.begin(), more.end());
        last = entries.back().id;
    }
}

Subscriber::Subscriber(RedisAddress address, std::string channel, std::string stream)
    : address_(std::move(address)),
      channel_(std::move(channel)),
      stream_(std::move(stream)),
      thread_([this] { listen(); }) {
    wait_until("a subscription", [this] { return connected_.load(); });
}

Subscriber::~Subscriber() {
    stopping_ = true;
    thread_.join();
}

void Subscriber::go_away() {
    away_ = true;
    wait_until("a subscriber to hang up", [this] { return !connected_; });
}

void Subscriber::listen() {
    while (!stopping_) {
        try {
            if (!away_) {
                // First the channel, then what was missed: nothing falls between them.
                RedisSubscriber channel(address_, channel_);
                StreamReader stream(address_, stream_);
                fill(stream, {});
                connected_ = true;
                while (!stopping_ && !away_)
                    if (const auto message = channel.next(20ms))
                        take(entry_of(*message), stream);
            }
        } catch (const std::runtime_error&) {  // Redis is away
        }
        connected_ = false;
        std::this_thread::sleep_for(10ms);
    }
}

void Subscriber::take(const Entry& message, StreamReader& stream) {
    {
        const std::lock_guard lock(mutex_);
        sightings_.push_back(message);
    }
    if (message.id <= last_)
        return;
    if (message.previous != last_)
        fill(stream, message.previous);
    if (message.id > last_)
        accept(message);
}

// Reads what follows the last id: all there is, and on until `until` has come.
void Subscriber::fill(StreamReader& stream, StreamId until) {
    const auto give_up = std::chrono::steady_clock::now() + refill_patience;
    for (;;) {
        const auto entries = stream.after(last_, page);
        for (const Entry& entry : entries) {
            if (entry.previous != last_ && entry.change) {  // a reset says so itself
                const std::lock_guard lock(mutex_);
                heard_.gaps.emplace_back(last_, entry.previous);
            }
            accept(entry);
        }
        if (!entries.empty())
            continue;
        if (last_ >= until || stopping_)
            return;
        // The stream has lost its end, which the relay is about to bring back.
        if (std::chrono::steady_clock::now() > give_up)
            throw std::runtime_error("entry " + until.text() + " does not come back");
        std::this_thread::sleep_for(5ms);
    }
}

void Subscriber::accept(const Entry& entry) {
    const std::lock_guard lock(mutex_);
    last_ = entry.id;
    heard_.entries.push_back(entry);
    if (entry.change)
        changes_.insert(*entry.change);
    ++count_;
}

bool Subscriber::heard(const Change& change) const {
    const std::lock_guard lock(mutex_);
    return changes_.contains(change);
}

StreamId Subscriber::newest() const {
    const std::lock_guard lock(mutex_);
    return last_;
}

Heard Subscriber::heard() const {
    const std::lock_guard lock(mutex_);
    return heard_;
}

std::vector<Entry> Subscriber::sightings() const {
    const std::lock_guard lock(mutex_);
    return sightings_;
}

}  // namespace muster::test::ledger
