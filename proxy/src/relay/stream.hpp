// Redis' side of the relay: the stream that holds what was published, and the channels.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "redis/connection.hpp"
#include "redis/script.hpp"
#include "relay/stream_id.hpp"

namespace muster::relay {

struct Entry {
    StreamId id;
    std::string message;
};

class Stream {
  public:
    template <class T>
    using Outcome = redis::Outcome<T>;

    // Connects. An error reply of the server is an Error of kind `refused` throughout.
    static Task<Outcome<std::unique_ptr<Stream>>> open(net::io_context& context,
                                                       const config::Relay& relay,
                                                       const config::Redis& redis);

    // The greatest id the stream ever had, 0-0 if there is no stream.
    Task<Outcome<StreamId>> last();

    // The last entry of this generation or an earlier one, 0-0 if there is none.
    Task<Outcome<StreamId>> last_within(std::uint64_t generation);

    struct Published {
        bool done = false;
        StreamId last;  // of the stream, afterwards
    };
    // Adds the entries and publishes their messages, all in one step, if the stream's last id is
    // `expected`; does nothing otherwise. The first `quiet` entries go to the stream only. After an
    // Error it is unknown what was done.
    Task<Outcome<Published>> publish(StreamId expected, const std::vector<Entry>& entries,
                                     std::size_t quiet);

    // Publishes a heartbeat if the stream's last id is `expected`. Returns that id.
    Task<Outcome<StreamId>> beat(StreamId expected, const std::string& message);

  private:
    Stream(std::unique_ptr<redis::Connection> connection, const config::Relay& relay,
           const config::Redis& redis);
    Task<Outcome<redis::Reply>> run(redis::Script& script, std::vector<std::string_view> arguments);

    std::unique_ptr<redis::Connection> connection_;
    config::Relay relay_;
    std::chrono::milliseconds timeout_;
    redis::Script last_script_;
    redis::Script publish_script_;
    redis::Script beat_script_;
};

}  // namespace muster::relay
