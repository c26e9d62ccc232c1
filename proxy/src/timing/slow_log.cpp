// The lines and their bound.
#include "timing/slow_log.hpp"

#include <utility>

#include <spdlog/fmt/fmt.h>

#include "runtime/json.hpp"

namespace muster::timing {
namespace {

using namespace std::chrono_literals;
using std::chrono::system_clock;

double milliseconds_of(std::chrono::nanoseconds duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
}

void append_text(std::string& out, std::string_view name, std::string_view value) {
    out += ",\"";
    out += name;
    out += "\":";
    append_json_string(out, value);
}

// The beginning of a line, with its time: an open JSON object.
std::string begin_line(system_clock::time_point now, std::string_view event) {
    return fmt::format(R"({{"time":"{}","event":"{}")", utc_text(now), event);
}

}  // namespace

std::string slow_query_line(system_clock::time_point now, const SlowQuery& query) {
    std::string line = begin_line(now, "slow_query");
    append_text(line, "door", name_of(query.door));
    append_text(line, "name", query.name);
    line += fmt::format(R"(,"duration_ms":{:.3f},"rows":{},"bytes":{})",
                        milliseconds_of(query.run.duration), query.run.rows, query.run.bytes);
    append_text(line, "status", query.status);
    if (!query.sqlstate.empty()) {
        append_text(line, "sqlstate", query.sqlstate);
    }
    append_text(line, "client", query.client);
    if (!query.request_id.empty()) {
        append_text(line, "request_id", query.request_id);
    }
    append_text(line, "text", query.text);
    return line + '}';
}

bool LinesPerSecond::admit(TimePoint now) {
    if (now - second_ >= 1s) {
        second_ = now;
        used_ = 0;
    }
    if (used_ >= most_) {
        ++suppressed_;
        return false;
    }
    ++used_;
    return true;
}

std::uint64_t LinesPerSecond::take_suppressed() {
    return std::exchange(suppressed_, 0);
}

SlowLog::SlowLog(std::unique_ptr<LineWriter> writer, std::uint32_t lines_per_second)
    : writer_(std::move(writer)), rate_(lines_per_second) {}

void SlowLog::write(const SlowQuery& query) {
    queries_.fetch_add(1, std::memory_order_relaxed);
    if (!writer_) {
        return;
    }
    std::uint64_t left_out = 0;
    {
        const std::lock_guard lock(mutex_);
        if (!rate_.admit(Clock::now())) {
            suppressed_.fetch_add(1, std::memory_order_relaxed);
            return;
        }
        left_out = rate_.take_suppressed();
    }
    const auto now = system_clock::now();
    if (left_out > 0) {
        writer_->write(begin_line(now, "slow_queries_suppressed") +
                       fmt::format(R"(,"queries":{}}})", left_out));
    }
    if (!writer_->write(slow_query_line(now, query))) {
        suppressed_.fetch_add(1, std::memory_order_relaxed);
    }
}

void SlowLog::reopen() {
    if (writer_) {
        writer_->reopen();
    }
}

std::uint64_t SlowLog::suppressed() const {
    return suppressed_.load(std::memory_order_relaxed) + (writer_ ? writer_->lost() : 0);
}

}  // namespace muster::timing
