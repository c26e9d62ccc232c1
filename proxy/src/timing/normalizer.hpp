// A thread that asks PostgreSQL's parser for the normalised texts of new statements, so that no
// client waits for it. What it may do in a second and what may wait for it are bounded.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include "timing/statements.hpp"

namespace muster::timing {

class Normalizer {
  public:
    static constexpr std::size_t most_waiting = 256;
    static constexpr std::chrono::milliseconds pause{10};  // after each: at most 100 a second

    // Gives `statements`, which outlives this, their texts.
    explicit Normalizer(Statements& statements);
    ~Normalizer();
    Normalizer(const Normalizer&) = delete;
    Normalizer& operator=(const Normalizer&) = delete;

    // Takes the whole text of a statement. If too many wait it is left out: the statement keeps the
    // text that it has. From any thread.
    void add(StatementKey key, std::string name, std::string sql);
    // Statements that the parser has been asked about.
    std::uint64_t asked() const { return asked_.load(std::memory_order_relaxed); }

  private:
    struct New {
        StatementKey key;
        std::string name;
        std::string sql;
    };
    void run();

    Statements& statements_;
    std::mutex mutex_;
    std::condition_variable work_;
    std::deque<New> waiting_;
    bool stopping_ = false;
    std::atomic<std::uint64_t> asked_{0};
    std::thread thread_;
};

}  // namespace muster::timing
