// The access log: a line of JSON for each request, written by another thread.
//
// A line has the path as it was sent, but nothing of the query string, no header but the ids, and
// of the API key its name and id. Requests that are no valid HTTP have none.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "metrics/registry.hpp"
#include "runtime/line_writer.hpp"

namespace muster::http {

struct AccessLine {
    std::string_view method;
    std::string_view path;
    unsigned status = 0;
    std::size_t bytes = 0;  // of the body that is sent
    std::chrono::nanoseconds duration{0};
    std::string_view request_id;
    std::string_view trace_id;  // empty: none
    std::string_view client;
    std::string_view route;   // empty: none
    std::string_view key_id;  // empty: none
    std::string_view key_name;
};

// The line, without its end: one valid JSON document in UTF-8.
std::string access_line(std::chrono::system_clock::time_point now, const AccessLine& line);

// From any thread.
class AccessLog {
  public:
    // `place` is a file's path, "stderr" or "off", which gives a null log.
    static Result<std::unique_ptr<AccessLog>, std::string> open(const std::string& place,
                                                                metrics::Registry& registry);

    // Never waits: a line for which there is no room is counted and dropped.
    void write(const AccessLine& line);
    // As LineWriter's.
    void reopen() { writer_->reopen(); }

  private:
    explicit AccessLog(std::unique_ptr<LineWriter> writer) : writer_(std::move(writer)) {}

    const std::unique_ptr<LineWriter> writer_;
    std::atomic<std::uint64_t> dropped_{0};
};

}  // namespace muster::http
