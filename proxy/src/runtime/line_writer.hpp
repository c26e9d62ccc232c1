// Lines of a log, written by a thread of their own: whoever has something to log never waits for a
// disk.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "runtime/result.hpp"

namespace muster {

class LineWriter {
  public:
    // `place` is "stderr" or the path of a file, which is appended to and made if need be, with
    // mode 0640. At most `capacity` bytes wait to be written. The error says why it cannot be
    // opened.
    static Result<std::unique_ptr<LineWriter>, std::string> open(const std::string& place,
                                                                 std::size_t capacity = 1024 *
                                                                                        1024);

    // Writes what waits, unless what it is written to takes nothing for a second.
    ~LineWriter();
    LineWriter(const LineWriter&) = delete;
    LineWriter& operator=(const LineWriter&) = delete;

    // Takes a line, which has to hold no line feed. Returns false if there is no room for it: it is
    // dropped then. From any thread.
    bool write(std::string line);

    // Opens the file anew before the next line, for it may have been renamed. If that fails, which
    // is logged, the lines go where they went before. From any thread.
    void reopen();

    // Lines that were taken and could not be written.
    std::uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

  private:
    LineWriter(std::string path, int file, std::size_t capacity);

    void run();
    bool put(const std::string& lines);
    void open_again();

    const std::string path_;  // empty: stderr
    const std::size_t capacity_;
    int file_;              // of the thread
    bool blocked_ = false;  // likewise: nothing more is tried
    std::atomic<std::uint64_t> lost_{0};

    std::mutex mutex_;
    std::condition_variable work_;
    std::deque<std::string> lines_;
    std::size_t size_ = 0;  // of lines_, in bytes
    bool reopen_ = false;
    bool stopping_ = false;

    std::thread thread_;
};

}  // namespace muster
