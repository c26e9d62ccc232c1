// The queue of lines and the thread that empties it.
#include "runtime/line_writer.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <spdlog/spdlog.h>

#include "runtime/quiet_thread.hpp"

namespace muster {
namespace {

constexpr int patience = 1000;  // milliseconds for a pipe that is full, when stopping

int open_file(const std::string& path) {
    return ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

}  // namespace

Result<std::unique_ptr<LineWriter>, std::string> LineWriter::open(const std::string& place,
                                                                  std::size_t capacity) {
    const std::string path = place == "stderr" ? std::string() : place;
    const int file = path.empty() ? STDERR_FILENO : open_file(path);
    if (file < 0) {
        return "cannot open \"" + path + "\": " + std::strerror(errno);
    }
    return std::unique_ptr<LineWriter>(new LineWriter(path, file, capacity));
}

LineWriter::LineWriter(std::string path, int file, std::size_t capacity)
    : path_(std::move(path)), capacity_(capacity), file_(file) {
    thread_ = start_quiet_thread([this] { run(); });
}

LineWriter::~LineWriter() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    work_.notify_one();
    thread_.join();
    if (!path_.empty()) {
        ::close(file_);
    }
}

bool LineWriter::write(std::string line) {
    line += '\n';
    {
        const std::lock_guard lock(mutex_);
        if (stopping_ || size_ + line.size() > capacity_) {
            return false;
        }
        size_ += line.size();
        lines_.push_back(std::move(line));
    }
    work_.notify_one();
    return true;
}

void LineWriter::reopen() {
    {
        const std::lock_guard lock(mutex_);
        reopen_ = true;
    }
    work_.notify_one();
}

void LineWriter::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        work_.wait(lock, [this] { return stopping_ || reopen_ || !lines_.empty(); });
        const bool again = std::exchange(reopen_, false);
        std::deque<std::string> lines = std::exchange(lines_, {});
        size_ = 0;
        if (lines.empty() && !again) {
            return;
        }
        lock.unlock();
        if (again) {
            open_again();
        }
        for (const std::string& line : lines) {
            if (blocked_ || !put(line)) {
                lost_.fetch_add(1, std::memory_order_relaxed);
            }
        }
        lock.lock();
    }
}

// Writes a line. A pipe that is full is waited for, but holds up nobody's end.
bool LineWriter::put(const std::string& line) {
    std::size_t written = 0;
    while (written < line.size()) {
        pollfd ready{.fd = file_, .events = POLLOUT, .revents = 0};
        if (::poll(&ready, 1, patience) == 0) {
            const std::lock_guard lock(mutex_);
            blocked_ = stopping_;
            if (blocked_) {
                return false;
            }
            continue;
        }
        const ssize_t size = ::write(file_, line.data() + written, line.size() - written);
        if (size < 0 && errno != EINTR && errno != EAGAIN) {
            return false;
        }
        written += static_cast<std::size_t>(std::max<ssize_t>(size, 0));
    }
    return true;
}

void LineWriter::open_again() {
    if (path_.empty()) {
        return;
    }
    const int file = open_file(path_);
    if (file < 0) {
        spdlog::error("cannot open \"{}\" again: {}", path_, std::strerror(errno));
        return;
    }
    ::close(file_);
    file_ = file;
}

}  // namespace muster
