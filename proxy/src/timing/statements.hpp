// What each statement has come to: calls, errors, rows, bytes and times, whichever door it came
// through.
//
// A tally is written by one thread and read by any, without a lock or a shared line of memory; the
// table that finds tallies is locked, and asked only when a statement is first seen. The HTTP
// door's statements are its routes', all known at start. A door that learns of statements as they
// come keeps its own way from a statement to the tally (statement_table.hpp), asks here for those
// that it has not seen, and gives back those that it has no more room for; past the bound it is
// given the tally of all others.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "metrics/histogram.hpp"
#include "timing/latencies.hpp"

namespace muster::timing {

// How a query ended, as far as its duration is concerned.
enum class Outcome : std::uint8_t { success, error, timeout };
std::string_view name_of(Outcome outcome);

using OutcomeHistograms = std::array<metrics::HistogramValue, 3>;  // by Outcome

// One run of a statement.
struct Run {
    std::chrono::nanoseconds duration{0};
    std::uint64_t rows = 0;
    std::uint64_t bytes = 0;  // of the values in the rows
    bool failed = false;
};

// The runs of one statement on one thread. One writer.
class Tally {
  public:
    // Counts anew once `generation` has changed.
    explicit Tally(const std::atomic<std::uint32_t>& generation) : current_(generation) {}

    void record(const Run& run) {
        const std::uint32_t now = current_.load(std::memory_order_relaxed);
        if (now != generation_.load(std::memory_order_relaxed)) {
            clear(now);
        }
        errors_.add(run.failed ? 1 : 0);
        rows_.add(run.rows);
        bytes_.add(run.bytes);
        times_.record(run.duration);
    }

    // Likewise for the metrics, which never count anew.
    void observe(Outcome outcome, std::chrono::nanoseconds duration) {
        by_outcome_[static_cast<std::size_t>(outcome)].record(duration);
    }

  private:
    friend class Statements;
    void clear(std::uint32_t generation);
    void absorb(const Tally& other);

    const std::atomic<std::uint32_t>& current_;
    std::atomic<std::uint32_t> generation_{0};  // of what is counted
    metrics::Counter errors_;
    metrics::Counter rows_;
    metrics::Counter bytes_;
    Latencies times_;
    std::array<metrics::Histogram, 3> by_outcome_;
};

enum class Door : std::uint8_t { http, wire };
std::string_view name_of(Door door);

// What tells statements apart: for HTTP hash_of() a route's name, on the wire a hash of the tokens.
struct StatementKey {
    Door door;
    std::uint64_t hash;
    auto operator<=>(const StatementKey&) const = default;
};
std::uint64_t hash_of(std::string_view name);

// A statement's figures, of all threads. Calls that failed are among `times` too.
struct StatementFigures {
    Door door = Door::http;
    std::string name;
    std::string text;  // normalised: without any value
    std::uint64_t errors = 0;
    std::uint64_t rows = 0;
    std::uint64_t bytes = 0;
    LatencyCounts times;  // whose total is the number of calls
};

// What a statement's runs were observed to take, of all threads.
struct StatementHistograms {
    StatementKey key;
    std::string name;
    OutcomeHistograms by_outcome;
};

class Statements {
  public:
    // Written to by `threads` threads. Keeps `capacity` statements, some 4 kB a thread each.
    explicit Statements(unsigned threads, std::size_t capacity = 1000);

    // The tally of a statement on a thread; both are made when first asked for. Past the capacity
    // it is the door's tally of others, named "other", which has the hash 0. The tally is the
    // thread's to write to, and lives until it is released. From any thread.
    Tally& tally(unsigned thread, StatementKey key, std::string_view name, std::string_view text);

    // Takes the thread's tally of a statement back, and adds what it has to the door's others. By
    // the thread that writes to it.
    void release(unsigned thread, StatementKey key);

    // Gives a known statement its text, when that was not known at first.
    void describe(StatementKey key, std::string_view name, std::string_view text);
    // The name and the text; empty for one that is not known.
    std::pair<std::string, std::string> description(StatementKey key) const;

    // All statements that were called, in no order. From any thread.
    std::vector<StatementFigures> read() const;
    // What the statements of a door were observed to take. From any thread.
    std::vector<StatementHistograms> observed(Door door) const;

    // Starts counting anew. From any thread.
    void reset();
    // When counting started.
    std::chrono::system_clock::time_point since() const;

  private:
    struct Entry {
        std::string name;
        std::string text;
        std::vector<std::shared_ptr<Tally>> tallies;  // by thread; null: none yet
    };

    const unsigned threads_;
    const std::size_t capacity_;
    std::atomic<std::uint32_t> generation_{0};

    mutable std::mutex mutex_;
    std::map<StatementKey, Entry> entries_;
    std::chrono::system_clock::time_point since_;
};

}  // namespace muster::timing
