// Writers that do everything a transaction can do, and keep a ledger of what they were told.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "relay/ledger/verdict.hpp"

namespace muster::test::ledger {

// The tables of the fault tests, in a database with the extension: `thing`, which is published, and
// `made`, to which a trigger adds each change in the same transaction, so that it says what is
// committed and in which order, whatever was overwritten or deleted since.
extern const char* const ledger_schema;

// What is committed, the changes of each thing in the order in which they were made.
std::vector<Change> committed_changes(const std::string& conninfo);

class Writers {
  public:
    struct Manner {
        std::string conninfo;
        int count = 4;
        int first = 1;        // number of the first of them; no two writers of a run have the same
        bool durable = true;  // false: with synchronous_commit = off
        unsigned seed = 1;
    };
    // Starts them. They come back by themselves when the server was away.
    explicit Writers(const Manner& manner);
    ~Writers() { stop(); }
    Writers(const Writers&) = delete;
    Writers& operator=(const Writers&) = delete;

    // Lets them end what they have in hand, prepared transactions included.
    void stop();

    // Transactions that were acknowledged so far.
    std::uint64_t acknowledged() const { return acknowledged_; }

    // Everything that they did; only after stop().
    std::vector<Transaction> ledger() const;

  private:
    std::atomic<bool> stopping_{false};
    std::atomic<std::uint64_t> acknowledged_{0};
    std::vector<std::vector<Transaction>> ledgers_;  // one per thread, which alone writes to it
    std::vector<std::thread> threads_;
};

}  // namespace muster::test::ledger
