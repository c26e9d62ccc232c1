// Redis' side of the relay.
#include "relay/stream.hpp"

#include <limits>

namespace muster::relay {

namespace {

// The last id ever generated, not that of the last entry: XADD compares with the former, and a
// stream that was trimmed to nothing has no entry.
#define LAST_ID                                                        \
    "local last = '0-0' "                                              \
    "if redis.call('EXISTS', KEYS[1]) == 1 then "                      \
    "  local info = redis.call('XINFO', 'STREAM', KEYS[1]) "           \
    "  for i = 1, #info, 2 do "                                        \
    "    if info[i] == 'last-generated-id' then last = info[i+1] end " \
    "  end "                                                           \
    "end "

constexpr const char* last_text = LAST_ID "return last";

// ARGV: expected last id, channel, length to keep, number of quiet entries, then id and message of
// each.
constexpr const char* publish_text = LAST_ID
    "if last ~= ARGV[1] then return {0, last} end "
    "local quiet = tonumber(ARGV[4]) "
    "for i = 5, #ARGV, 2 do "
    "  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], ARGV[i], 'message', ARGV[i+1]) "
    "  if quiet > 0 then quiet = quiet - 1 else redis.call('PUBLISH', ARGV[2], ARGV[i+1]) end "
    "  last = ARGV[i] "
    "end "
    "return {1, last}";

// ARGV: channel, message, expected last id. A relay that was overtaken says nothing.
constexpr const char* beat_text = LAST_ID
    "if last == ARGV[3] then redis.call('PUBLISH', ARGV[1], ARGV[2]) end "
    "return last";

redis::Outcome<StreamId> id_of(std::string_view text) {
    const auto id = StreamId::parse(text);
    if (!id)
        return redis::Error{redis::Error::Kind::refused,
                            "unexpected stream id \"" + std::string(text) + "\""};
    return *id;
}

}  // namespace

Stream::Stream(std::unique_ptr<redis::Connection> connection, const config::Relay& relay,
               const config::Redis& redis)
    : connection_(std::move(connection)),
      relay_(relay),
      timeout_(redis.command_timeout),
      last_script_(last_text),
      publish_script_(publish_text),
      beat_script_(beat_text) {}

Task<Stream::Outcome<std::unique_ptr<Stream>>> Stream::open(net::io_context& context,
                                                            const config::Relay& relay,
                                                            const config::Redis& redis) {
    auto connection = co_await redis::Connection::connect(context, redis, "muster-relay",
                                                          Clock::now() + redis.connect_timeout);
    if (!connection)
        co_return std::move(connection).error();
    co_return std::unique_ptr<Stream>(new Stream(std::move(connection).value(), relay, redis));
}

Task<Stream::Outcome<redis::Reply>> Stream::run(redis::Script& script,
                                                std::vector<std::string_view> arguments) {
    std::vector<std::string_view> keys;
    keys.push_back(relay_.stream);
    auto reply = co_await script.run(*connection_, std::move(keys), std::move(arguments),
                                     Clock::now() + timeout_);
    if (reply && reply.value().is_error())
        co_return redis::Error{redis::Error::Kind::refused, std::string(reply.value().error())};
    co_return reply;
}

Task<Stream::Outcome<StreamId>> Stream::last() {
    auto reply = co_await run(last_script_, {});
    if (!reply)
        co_return std::move(reply).error();
    co_return id_of(reply.value().text());
}

Task<Stream::Outcome<StreamId>> Stream::last_within(std::uint64_t generation) {
    const std::string highest =
        StreamId::of(generation, StreamId::most_tick, std::numeric_limits<std::uint64_t>::max())
            .text();
    auto reply = co_await connection_->command(Clock::now() + timeout_, "XREVRANGE", relay_.stream,
                                               highest, "-", "COUNT", "1");
    if (!reply)
        co_return std::move(reply).error();
    if (reply.value().is_error())
        co_return redis::Error{redis::Error::Kind::refused, std::string(reply.value().error())};
    const auto& entries = reply.value().array();
    if (entries.empty() || entries[0].array().empty())
        co_return StreamId{};
    co_return id_of(entries[0].array()[0].text());
}

Task<Stream::Outcome<Stream::Published>> Stream::publish(StreamId expected,
                                                         const std::vector<Entry>& entries,
                                                         std::size_t quiet) {
    const std::string last = expected.text();
    const std::string length = std::to_string(relay_.stream_length);
    const std::string silent = std::to_string(quiet);
    std::vector<std::string> ids;
    ids.reserve(entries.size());
    std::vector<std::string_view> arguments{last, relay_.channel, length, silent};
    for (const Entry& entry : entries) {
        arguments.push_back(ids.emplace_back(entry.id.text()));
        arguments.push_back(entry.message);
    }
    auto reply = co_await run(publish_script_, std::move(arguments));
    if (!reply)
        co_return std::move(reply).error();
    const auto& parts = reply.value().array();
    if (parts.size() != 2)
        co_return redis::Error{redis::Error::Kind::refused, "unexpected reply of a script"};
    auto id = id_of(parts[1].text());
    if (!id)
        co_return std::move(id).error();
    co_return Published{.done = parts[0].integer() == 1, .last = id.value()};
}

Task<Stream::Outcome<StreamId>> Stream::beat(StreamId expected, const std::string& message) {
    const std::string last = expected.text();
    std::vector<std::string_view> arguments;
    arguments.push_back(relay_.heartbeat_channel);
    arguments.push_back(message);
    arguments.push_back(last);
    auto reply = co_await run(beat_script_, std::move(arguments));
    if (!reply)
        co_return std::move(reply).error();
    co_return id_of(reply.value().text());
}

}  // namespace muster::relay
