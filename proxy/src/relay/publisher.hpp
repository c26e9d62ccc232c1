// Publishes the rows of one tick after the other, in chunks, each linked to the one before.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "postgres/connection.hpp"
#include "relay/stream.hpp"
#include "relay/stats.hpp"

namespace muster::relay {

class Publisher final : public postgres::RowSink {
  public:
    // A chunk is one command, and Redis does nothing else while it runs.
    static constexpr std::size_t chunk_entries = 256;
    static constexpr std::size_t chunk_bytes = std::size_t{1} << 20;

    // Where the stream stands: `last` is its last id, `previous` the id that the next message names
    // as its predecessor (another one only where a stream is filled again from the middle). Entries
    // up to `known` were published before: they go to the stream alone.
    struct Position {
        StreamId last;
        StreamId previous;
        StreamId known;
    };

    Publisher(Stream& stream, Stats& stats, Position position, std::string epoch)
        : stream_(stream), stats_(stats), position_(position), epoch_(std::move(epoch)) {}

    // The next row taken is entry `first_n` of this tick.
    void begin(std::uint64_t generation, std::uint64_t tick, std::uint64_t first_n);
    // Adds one message by itself, of the entry that is next.
    void add(std::string_view fixed);

    bool take(const postgres::Rows& row) override;
    // Publishes what is held. After a failure nothing is held and rows are dropped.
    Task<> flush() override;

    enum class State { good, mismatch, failed };
    State state() const { return state_; }
    const std::string& error() const { return error_; }
    StreamId last() const { return position_.last; }

  private:
    Stream& stream_;
    Stats& stats_;
    Position position_;
    std::string epoch_;
    StreamId next_;
    std::vector<Entry> held_;
    std::size_t held_bytes_ = 0;
    State state_ = State::good;
    std::string error_;
};

}  // namespace muster::relay
