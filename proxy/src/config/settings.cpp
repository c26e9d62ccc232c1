// The table of settings and the readers of their types.
#include "config/settings.hpp"

#include <charconv>
#include <limits>
#include <utility>

namespace muster::config {
namespace {

using Access = Setting::Access;
using namespace std::chrono_literals;

constexpr std::size_t MiB = 1024 * 1024;

std::optional<std::int64_t> whole_number(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return number;
}

struct Unit {
    std::string_view name;
    std::int64_t size;
};

// Reads "<number><unit>"; nothing for any other text and for what does not fit.
template <std::size_t N>
std::optional<std::int64_t> quantity(std::string_view text, const Unit (&units)[N]) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = whole_number(text.substr(0, digits));
    if (!number) {
        return std::nullopt;
    }
    for (const Unit& unit : units) {
        if (text.substr(digits) == unit.name) {
            if (*number > std::numeric_limits<std::int64_t>::max() / unit.size) {
                return std::nullopt;
            }
            return *number * unit.size;
        }
    }
    return std::nullopt;
}

constexpr Unit time_units[] = {{"ms", 1}, {"s", 1000}, {"min", 60000}, {"h", 3600000}};
constexpr Unit size_units[] = {{"B", 1}, {"KiB", 1024}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};

std::string shown(milliseconds value) {
    return value.count() % 1000 == 0 ? std::to_string(value.count() / 1000) + "s"
                                     : std::to_string(value.count()) + "ms";
}

Access text(std::string& target) {
    return {[&target](const Value& value) -> std::optional<std::string> {
                const auto* given = std::get_if<std::string>(&value);
                if (given == nullptr) {
                    return "must be a string";
                }
                if (given->find('\0') != std::string::npos) {
                    return "must not contain a NUL character";
                }
                target = *given;
                return std::nullopt;
            },
            [&target] { return Value(target); }};
}

Access log_place(std::string& target) {
    return {[&target](const Value& value) -> std::optional<std::string> {
                const auto* given = std::get_if<std::string>(&value);
                if (given == nullptr || given->empty() || given->find('\0') != std::string::npos) {
                    return "must be the path of a file, \"stderr\" or \"off\"";
                }
                target = *given;
                return std::nullopt;
            },
            [&target] { return Value(target); }};
}

Access choice(std::string& target, std::vector<std::string> allowed) {
    return {[&target, allowed = std::move(allowed)](const Value& value) {
                const auto* given = std::get_if<std::string>(&value);
                std::string list;
                for (const std::string& one : allowed) {
                    if (given != nullptr && *given == one) {
                        target = one;
                        return std::optional<std::string>();
                    }
                    list += (list.empty() ? "" : ", ") + one;
                }
                return std::optional("must be one of " + list);
            },
            [&target] { return Value(target); }};
}

Access flag(bool& target) {
    return {[&target](const Value& value) -> std::optional<std::string> {
                const bool* given = std::get_if<bool>(&value);
                if (given == nullptr) {
                    return "must be true or false";
                }
                target = *given;
                return std::nullopt;
            },
            [&target] { return Value(target); }};
}

template <class T>
Access whole(T& target, std::int64_t min, std::int64_t max) {
    return {[&target, min, max](const Value& value) -> std::optional<std::string> {
                const auto* given = std::get_if<std::int64_t>(&value);
                if (given == nullptr || *given < min || *given > max) {
                    return "must be an integer from " + std::to_string(min) + " to " +
                           std::to_string(max);
                }
                target = static_cast<T>(*given);
                return std::nullopt;
            },
            [&target] { return Value(static_cast<std::int64_t>(target)); }};
}

Access bytes(std::size_t& target, std::size_t min, std::size_t max) {
    return {[&target, min, max](const Value& value) -> std::optional<std::string> {
                std::optional<std::int64_t> given;
                if (const auto* number = std::get_if<std::int64_t>(&value)) {
                    given = *number;
                } else if (const auto* written = std::get_if<std::string>(&value)) {
                    given = quantity(*written, size_units);
                }
                if (!given || *given < 0 || static_cast<std::size_t>(*given) < min ||
                    static_cast<std::size_t>(*given) > max) {
                    return "must be a number of bytes or a size such as \"8MiB\", from " +
                           std::to_string(min) + " to " + std::to_string(max) + " bytes";
                }
                target = static_cast<std::size_t>(*given);
                return std::nullopt;
            },
            [&target] { return Value(static_cast<std::int64_t>(target)); }};
}

Access duration(milliseconds& target, milliseconds min, milliseconds max) {
    return {[&target, min, max](const Value& value) -> std::optional<std::string> {
                std::optional<std::int64_t> given;
                if (const auto* written = std::get_if<std::string>(&value)) {
                    given = quantity(*written, time_units);
                }
                if (!given || *given < min.count() || *given > max.count()) {
                    return "must be a duration in ms, s, min or h such as \"250ms\", from " +
                           shown(min) + " to " + shown(max);
                }
                target = milliseconds(*given);
                return std::nullopt;
            },
            [&target] { return Value(std::to_string(target.count()) + "ms"); }};
}

std::string written(const Endpoint& endpoint) {
    const bool bracketed = endpoint.host.find(':') != std::string::npos;
    return (bracketed ? '[' + endpoint.host + ']' : endpoint.host) + ':' +
           std::to_string(endpoint.port);
}

// "host:port", "[::1]:port" for IPv6.
Access endpoint(Endpoint& target) {
    return {[&target](const Value& value) -> std::optional<std::string> {
                const std::string allowed = "must be \"host:port\" with a port from 0 to 65535";
                const auto* given = std::get_if<std::string>(&value);
                if (given == nullptr) {
                    return allowed;
                }
                const std::size_t colon = given->rfind(':');
                if (colon == std::string::npos || colon == 0) {
                    return allowed;
                }
                std::string host = given->substr(0, colon);
                const auto port = whole_number(std::string_view(*given).substr(colon + 1));
                const bool bracketed = host.front() == '[' && host.back() == ']';
                if (bracketed) {
                    host = host.substr(1, host.size() - 2);
                }
                if (!port || *port < 0 || *port > 65535 || host.empty() ||
                    (!bracketed && host.find(':') != std::string::npos) ||
                    host.find_first_of(std::string_view("[] \t\0", 5)) != std::string::npos) {
                    return allowed;
                }
                target.host = std::move(host);
                target.port = static_cast<std::uint16_t>(*port);
                return std::nullopt;
            },
            [&target] { return Value(written(target)); }};
}

std::string written(const std::vector<Network>& networks) {
    std::string list;
    for (const Network& network : networks) {
        list += (list.empty() ? "" : ", ") + network.base.to_string() + '/' +
                std::to_string(network.prefix);
    }
    return list;
}

// "10.0.0.0/8, 2001:db8::1"; empty for none.
Access networks(std::vector<Network>& target) {
    return {[&target](const Value& value) -> std::optional<std::string> {
                const auto* given = std::get_if<std::string>(&value);
                auto read = given == nullptr ? std::nullopt : parse_networks(*given);
                if (!read) {
                    return "must be a list of addresses and networks such as \"10.0.0.0/8, "
                           "2001:db8::1\"";
                }
                target = *std::move(read);
                return std::nullopt;
            },
            [&target] { return Value(written(target)); }};
}

// Scheme, host and port, as browsers write them: in lower case, without a path.
bool is_origin(std::string_view text) {
    const std::size_t scheme = text.find("://");
    const std::string_view host = scheme == std::string_view::npos ? "" : text.substr(scheme + 3);
    return (text.starts_with("http://") || text.starts_with("https://")) && !host.empty() &&
           host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.:[]") ==
               std::string_view::npos;
}

// "https://app.example.org, http://localhost:3000"; "*" for all, empty for none.
Access origins(std::vector<std::string>& target) {
    return {[&target](const Value& value) -> std::optional<std::string> {
                const std::string allowed =
                    "must be \"*\" or a list of origins such as \"https://app.example.org, "
                    "http://localhost:3000\"";
                const auto* given = std::get_if<std::string>(&value);
                if (given == nullptr) {
                    return allowed;
                }
                std::vector<std::string> list;
                std::string_view rest = *given;
                while (!rest.empty()) {
                    const std::size_t comma = std::min(rest.find(','), rest.size());
                    std::string_view one = rest.substr(0, comma);
                    rest.remove_prefix(std::min(comma + 1, rest.size()));
                    one.remove_prefix(std::min(one.find_first_not_of(' '), one.size()));
                    one = one.substr(0, one.find_last_not_of(' ') + 1);
                    if (!is_origin(one) && *given != "*") {
                        return allowed;
                    }
                    list.emplace_back(one);
                }
                target = std::move(list);
                return std::nullopt;
            },
            [&target] {
                std::string list;
                for (const std::string& origin : target) {
                    list += (list.empty() ? "" : ", ") + origin;
                }
                return Value(list);
            }};
}

}  // namespace

std::string Setting::name() const {
    return section.empty() ? std::string(key) : std::string(section) + "." + std::string(key);
}

std::vector<Setting> settings(Config& c) {
    return {
        {"", "threads", whole(c.threads, 0, 256)},
        {"", "shutdown_timeout", duration(c.shutdown_timeout, 0ms, 10min)},

        {"http", "listen", endpoint(c.http.listen), true},
        {"http", "max_connections", whole(c.http.max_connections, 1, 1000000)},
        {"http", "max_header_bytes", bytes(c.http.max_header_bytes, 1024, MiB)},
        {"http", "max_headers", whole(c.http.max_headers, 1, 10000)},
        {"http", "max_body_bytes", bytes(c.http.max_body_bytes, 1, 512 * MiB)},
        {"http", "idle_timeout", duration(c.http.idle_timeout, 1ms, 24h)},
        {"http", "read_timeout", duration(c.http.read_timeout, 1ms, 1h)},
        {"http", "request_timeout", duration(c.http.request_timeout, 1ms, 1h)},
        {"http", "write_timeout", duration(c.http.write_timeout, 1ms, 1h)},
        {"http", "trusted_proxies", networks(c.http.trusted_proxies), true},
        {"http", "cors_origins", origins(c.http.cors_origins), true},
        {"http", "gzip_from", bytes(c.http.gzip_from, 0, 512 * MiB)},
        {"http", "key_grace", duration(c.http.key_grace, 0ms, 24h)},

        {"admin", "listen", endpoint(c.admin.listen), true},

        {"wire", "listen", endpoint(c.wire.listen), true},
        {"wire", "socket_directory", text(c.wire.socket_directory), true},
        {"wire", "upstream", endpoint(c.wire.upstream), true},
        {"wire", "max_connections", whole(c.wire.max_connections, 1, 1000000)},
        {"wire", "max_startups", whole(c.wire.max_startups, 1, 1000000)},
        {"wire", "startup_timeout", duration(c.wire.startup_timeout, 1ms, 1h)},
        {"wire", "connect_timeout", duration(c.wire.connect_timeout, 1ms, 1h)},
        {"wire", "login_timeout", duration(c.wire.login_timeout, 1ms, 1h)},
        {"wire", "max_cancels", whole(c.wire.max_cancels, 1, 1000000)},
        {"wire", "tls", choice(c.wire.tls, {"off", "allow", "require"}), true},
        {"wire", "tls_cert", text(c.wire.tls_cert), true},
        {"wire", "tls_key", text(c.wire.tls_key), true},
        {"wire", "upstream_tls",
         choice(c.wire.upstream_tls, {"disable", "prefer", "require", "verify-ca", "verify-full"}),
         true},
        {"wire", "upstream_ca", text(c.wire.upstream_ca), true},
        {"wire", "upstream_name", text(c.wire.upstream_name), true},
        {"wire", "proxy_protocol", networks(c.wire.proxy_protocol), true},

        {"database", "conninfo", text(c.database.conninfo), true, true},
        {"database", "pool_size", whole(c.database.pool_size, 1, 1000)},
        {"database", "pool_queue", whole(c.database.pool_queue, 0, 1000000)},
        {"database", "connect_timeout", duration(c.database.connect_timeout, 1ms, 1h)},

        {"relay", "enabled", flag(c.relay.enabled)},
        {"relay", "conninfo", text(c.relay.conninfo), true, true},
        {"relay", "poll_busy", duration(c.relay.poll_busy, 1ms, 10s)},
        {"relay", "poll_idle", duration(c.relay.poll_idle, 1ms, 10s)},
        {"relay", "channel", text(c.relay.channel), true},
        {"relay", "heartbeat_channel", text(c.relay.heartbeat_channel), true},
        {"relay", "stream", text(c.relay.stream), true},
        {"relay", "stream_length", whole(c.relay.stream_length, 1000, 1000000000)},
        {"relay", "outbox_rows", whole(c.relay.outbox_rows, 100, 1000000000000)},
        {"relay", "outbox_age", duration(c.relay.outbox_age, 1s, 24h * 365)},
        {"relay", "notify", flag(c.relay.notify)},

        {"redis", "address", endpoint(c.redis.address), true},
        {"redis", "username", text(c.redis.username), true},
        {"redis", "password_file", text(c.redis.password_file), true},
        {"redis", "connect_timeout", duration(c.redis.connect_timeout, 1ms, 1h)},
        {"redis", "command_timeout", duration(c.redis.command_timeout, 1ms, 1h)},

        {"limits", "enabled", flag(c.limits.enabled)},
        {"limits", "standard_rate", whole(c.limits.standard.rate, 1, 1000000)},
        {"limits", "standard_burst", whole(c.limits.standard.burst, 1, 1000000)},
        {"limits", "premium_rate", whole(c.limits.premium.rate, 1, 1000000)},
        {"limits", "premium_burst", whole(c.limits.premium.burst, 1, 1000000)},
        {"limits", "address_rate", whole(c.limits.address.rate, 1, 1000000)},
        {"limits", "address_burst", whole(c.limits.address.burst, 1, 1000000)},

        {"cache", "enabled", flag(c.cache.enabled)},
        {"cache", "l1_bytes", bytes(c.cache.l1_bytes, MiB, 1024 * 1024 * MiB)},
        {"cache", "l2", flag(c.cache.l2)},
        {"cache", "l2_timeout", duration(c.cache.l2_timeout, 1ms, 10s)},
        {"cache", "negative_ttl", duration(c.cache.negative_ttl, 0ms, 10s)},
        {"cache", "stale_if_error", duration(c.cache.stale_if_error, 0ms, 1h)},

        {"breaker", "failures", whole(c.breaker.failures, 0, 1000000)},
        {"breaker", "open_time", duration(c.breaker.open_time, 10ms, 1min)},
        {"breaker", "ramp", duration(c.breaker.ramp, 0ms, 1min)},

        {"push", "enabled", flag(c.push.enabled)},
        {"push", "max_clients", whole(c.push.max_clients, 1, 1000000)},
        {"push", "queue_messages", whole(c.push.queue_messages, 1, 1000000)},
        {"push", "queue_bytes", bytes(c.push.queue_bytes, 1024, 1024 * MiB)},
        {"push", "heartbeat", duration(c.push.heartbeat, 100ms, 10min)},
        {"push", "allowed_origins", origins(c.push.allowed_origins), true},

        {"timing", "enabled", flag(c.timing.enabled)},
        {"timing", "slow_query", duration(c.timing.slow_query, 0ms, 24h)},
        {"timing", "slow_lines", whole(c.timing.slow_lines, 1, 100000)},
        {"timing", "top_statements", whole(c.timing.top_statements, 0, 1000)},
        {"timing", "server_timing", choice(c.timing.server_timing, {"off", "on-request", "always"}),
         true},

        {"pgbouncer", "conninfo", text(c.pgbouncer.conninfo), true, true},
        {"pgbouncer", "interval", duration(c.pgbouncer.interval, 100ms, 1h)},

        {"log", "level", choice(c.log.level, {"debug", "info", "warn", "error", "off"}), true},
        {"log", "access", log_place(c.log.access), true},
        {"log", "slow_query", log_place(c.log.slow_query), true},
    };
}

std::optional<milliseconds> read_duration(std::string_view text) {
    const auto count = quantity(text, time_units);
    return count && *count <= milliseconds(24h).count() ? std::optional(milliseconds(*count))
                                                        : std::nullopt;
}

Value read_value(const Setting& setting, const std::string& text) {
    if (setting.text) {
        return text;
    }
    if (text == "true" || text == "false") {
        return text == "true";
    }
    if (const auto number = whole_number(text)) {
        return *number;
    }
    return text;
}

std::string shown(const Value& value) {
    if (const auto* text = std::get_if<std::string>(&value)) {
        return '"' + *text + '"';
    }
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
        return std::to_string(*number);
    }
    if (const auto* real = std::get_if<double>(&value)) {
        return std::to_string(*real);
    }
    return std::get<bool>(value) ? "true" : "false";
}

}  // namespace muster::config
