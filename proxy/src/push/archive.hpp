// Reads the stream of events in Redis, in pieces. One per thread.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "push/event.hpp"
#include "redis/dialer.hpp"
#include "runtime/event.hpp"

namespace muster::push {

class Archive {
  public:
    // `dialer` outlives it.
    Archive(net::io_context& context, redis::Dialer& dialer, std::string stream)
        : context_(context), dialer_(dialer), stream_(std::move(stream)) {}

    // At most `count` entries behind `id`, in order; entries that are no messages are left out. A
    // few such reads are made at one time, the others wait for their turn.
    Task<redis::Outcome<std::vector<EventPtr>>> after(StreamId id, std::size_t count,
                                                      TimePoint deadline);
    // The id of the stream's last entry; 0-0 if it has none.
    Task<redis::Outcome<StreamId>> newest(TimePoint deadline);

  private:
    class Turn;

    net::io_context& context_;
    redis::Dialer& dialer_;
    const std::string stream_;
    std::size_t reading_ = 0;
    std::deque<::muster::Event*> waiting_;
};

// How many entries to ask for next: as many as make a piece of bounded size, going by those read
// before.
class PieceSize {
  public:
    static constexpr std::size_t bytes = 64 * 1024;
    static constexpr std::size_t most = 256;

    std::size_t count() const { return count_; }
    void learn(const std::vector<EventPtr>& piece);

  private:
    std::size_t count_ = 16;
};

}  // namespace muster::push
