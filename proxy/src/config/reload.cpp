// The list of what may change, and the comparison.
#include "config/reload.hpp"

#include <algorithm>
#include <array>

#include "config/settings.hpp"

namespace muster::config {
namespace {

// Everything else is built into what was made at start: sockets, threads, subscriptions.
constexpr std::array<std::string_view, 4> sections{"breaker", "database", "limits", "wire_limits"};
constexpr std::array<std::string_view, 7> names{
    "cache.l2",          "cache.l2_timeout",     "cache.negative_ttl", "cache.stale_if_error",
    "timing.slow_query", "timing.server_timing", "log.level"};

bool may_change(const Setting& setting) {
    if (setting.section == "http" || setting.section == "wire") {
        return setting.key != "listen" && setting.key != "socket_directory";
    }
    return std::find(sections.begin(), sections.end(), setting.section) != sections.end() ||
           std::find(names.begin(), names.end(), setting.name()) != names.end();
}

}  // namespace

std::vector<std::string> keep_what_needs_restart(Config& wanted, Config running) {
    std::vector<std::string> kept;
    const std::vector<Setting> now = settings(running);
    const std::vector<Setting> then = settings(wanted);
    for (std::size_t i = 0; i < now.size(); ++i) {
        const Value value = now[i].access.read();
        if (!may_change(now[i]) && value != then[i].access.read()) {
            then[i].access.store(value);
            kept.push_back(now[i].name());
        }
    }
    return kept;
}

}  // namespace muster::config
