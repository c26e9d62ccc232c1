#include "http/access_log.hpp"

#include <array>
#include <cstdio>

#include "runtime/json.hpp"

namespace muster::http {
namespace {

constexpr std::size_t capacity = 4 * 1024 * 1024;  // bytes that may wait to be written

void add(std::string& out, std::string_view name, std::string_view value) {
    out += ",\"";
    out += name;
    out += "\":";
    append_json_string(out, value);
}

}  // namespace

std::string access_line(std::chrono::system_clock::time_point now, const AccessLine& line) {
    std::string out = R"({"time":")" + utc_text(now) + '"';
    add(out, "method", line.method);
    add(out, "path", line.path);
    out += ",\"status\":" + std::to_string(line.status);
    out += ",\"bytes\":" + std::to_string(line.bytes);
    std::array<char, 32> duration{};
    const int size = std::snprintf(duration.data(), duration.size(), "%.3f",
                                   static_cast<double>(line.duration.count()) / 1e6);
    out += ",\"duration_ms\":";
    out.append(duration.data(), static_cast<std::size_t>(size));
    add(out, "request_id", line.request_id);
    if (!line.trace_id.empty()) {
        add(out, "trace_id", line.trace_id);
    }
    add(out, "client", line.client);
    if (!line.route.empty()) {
        add(out, "route", line.route);
    }
    if (!line.key_id.empty()) {
        add(out, "key_id", line.key_id);
        add(out, "key_name", line.key_name);
    }
    return out + '}';
}

Result<std::unique_ptr<AccessLog>, std::string> AccessLog::open(const std::string& place,
                                                                metrics::Registry& registry) {
    if (place == "off") {
        return std::unique_ptr<AccessLog>();
    }
    auto writer = LineWriter::open(place, capacity);
    if (!writer) {
        return "log.access: " + writer.error();
    }
    std::unique_ptr<AccessLog> log(new AccessLog(std::move(writer).value()));
    registry.counter("access_log_dropped_total", "Lines of the access log that were not written.",
                     {}, [kept = log.get()] {
                         return static_cast<double>(kept->dropped_.load(std::memory_order_relaxed) +
                                                    kept->writer_->lost());
                     });
    return log;
}

void AccessLog::write(const AccessLine& line) {
    if (!writer_->write(access_line(std::chrono::system_clock::now(), line))) {
        dropped_.fetch_add(1, std::memory_order_relaxed);
    }
}

}  // namespace muster::http
