// A model of how PostgreSQL takes the messages of one client: which it answers, ignores and
// discards. After PostgresMain() and SocketBackend() in postgres.c, CopyGetData() in
// copyfromparse.c.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "input.hpp"
#include "wire/pipeline.hpp"

namespace fuzz {

using muster::wire::Pipeline;

class Backend {
  public:
    struct Message {
        char type;
        std::uint64_t tag;  // of a query, else 0
    };

    void receive(char type, std::uint64_t tag);

    // Takes the next message, if there is one. Appends to `said` the types of what it answers,
    // each followed by the first byte of its body. `input` decides how it fares.
    void step(Input& input, std::string& said);

    // Nothing has been received that has not been answered, or that begins something unended.
    bool idle() const;
    bool drained() const { return queue_.empty(); }
    // It takes no part any more: the protocol was violated beyond repair.
    bool gone() const { return gone_; }
    // It waits for copy data.
    bool copying() const { return copying_; }
    // Whether Syncs were sent with copy data that had an error: each of them may or may not have
    // been answered, and only the server knows.
    bool unclear() const { return unclear_; }
    const std::map<std::uint64_t, Pipeline::Outcome>& outcomes() const { return outcomes_; }

  private:
    void run_query(Input& input, std::string& said);
    void run_execute(Input& input, std::string& said);
    void copy_step(const Message& message, Input& input, std::string& said);
    void begin_copy(const Message& message, std::string& said);
    void end(Pipeline::Outcome outcome) { outcomes_[current_.tag] = outcome; }
    void fail(std::string& said);
    void ready(Input& input, std::string& said);

    std::deque<Message> queue_;
    std::size_t serious_ = 0;  // of them those that ask for something
    std::map<std::uint64_t, Pipeline::Outcome> outcomes_;
    Message current_{};
    bool extended_ = false;  // an error discards what comes before the next Sync
    bool discarding_ = false;
    bool unsynced_ = false;  // extended messages have come, and no Sync or Query behind them
    bool copying_ = false;
    bool synced_in_copy_ = false;
    bool unclear_ = false;
    bool gone_ = false;
    bool started_ = false;
    char status_ = 'I';
};

}  // namespace fuzz
