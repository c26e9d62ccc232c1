// The slow-query log: a line of JSON for each query that took longer than its threshold.
//
// A line says which statement it was, never with which values. It is made on the thread that had
// the query and written by another; both what a second may bring and what may wait are bounded, and
// what is left out is counted, in the log as well as in the metrics.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "runtime/asio.hpp"
#include "runtime/line_writer.hpp"
#include "timing/statements.hpp"

namespace muster::timing {

// What there is to say of a slow query.
struct SlowQuery {
    Door door = Door::http;
    std::string_view name;
    std::string_view text;  // normalised
    std::string_view client;
    std::string_view request_id;  // empty: none
    std::string_view status;      // success, error, timeout
    std::string_view sqlstate;    // empty: none
    Run run;
};

// The line, without its end. Whatever the texts hold, it is one valid JSON document in UTF-8.
std::string slow_query_line(std::chrono::system_clock::time_point now, const SlowQuery& query);

// At most so many a second, and how many were left out. Not thread-safe.
class LinesPerSecond {
  public:
    explicit LinesPerSecond(std::uint32_t most) : most_(most) {}

    // Whether another may be written in the second of `now`.
    bool admit(TimePoint now);
    // What was left out since this was last asked.
    std::uint64_t take_suppressed();

  private:
    const std::uint32_t most_;
    TimePoint second_{};  // its beginning
    std::uint32_t used_ = 0;
    std::uint64_t suppressed_ = 0;
};

class SlowLog {
  public:
    // `writer` may be null: nothing is written then, but all is counted.
    SlowLog(std::unique_ptr<LineWriter> writer, std::uint32_t lines_per_second);

    // Counts a slow query and writes its line. From any thread; never waits for the disk.
    void write(const SlowQuery& query);

    // As LineWriter's.
    void reopen();

    std::uint64_t queries() const { return queries_.load(std::memory_order_relaxed); }
    // Queries that have no line although there is a log.
    std::uint64_t suppressed() const;

  private:
    const std::unique_ptr<LineWriter> writer_;
    std::atomic<std::uint64_t> queries_{0};
    std::atomic<std::uint64_t> suppressed_{0};
    std::mutex mutex_;
    LinesPerSecond rate_;
};

}  // namespace muster::timing
