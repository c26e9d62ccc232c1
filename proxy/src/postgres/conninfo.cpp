// A libpq connection string taken apart.
#include "postgres/conninfo.hpp"

#include <memory>
#include <string_view>

#include <boost/asio/ip/address.hpp>

#include "postgres/connection.hpp"
#include "runtime/resolve.hpp"

namespace muster::postgres {

namespace {

std::vector<std::string> split_list(const std::string& list) {
    std::vector<std::string> parts;
    for (std::size_t from = 0;;) {
        const std::size_t comma = list.find(',', from);
        parts.push_back(list.substr(from, comma - from));
        if (comma == std::string::npos)
            return parts;
        from = comma + 1;
    }
}

Error refused(std::string message, std::string hint = {}) {
    return {.sqlstate = "08001",
            .message = std::move(message),
            .detail = {},
            .hint = std::move(hint),
            .connection_lost = true};
}

// True if `host` has to be looked up: neither a directory, an abstract socket nor an IP literal.
bool is_name(const std::string& host) {
    if (host.empty() || host.front() == '/' || host.front() == '@')
        return false;
    error_code ec;
    net::ip::make_address(host, ec);
    return bool(ec);
}

// libpq's default for a keyword, from the environment or compiled in.
std::string default_of(std::string_view keyword) {
    std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> defaults(PQconndefaults(),
                                                                            PQconninfoFree);
    for (auto* option = defaults.get(); option != nullptr && option->keyword != nullptr; ++option)
        if (keyword == option->keyword && option->val != nullptr)
            return option->val;
    return {};
}

}  // namespace

Result<Conninfo, Error> parse_conninfo(const std::string& conninfo) {
    char* message = nullptr;
    std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> options(
        PQconninfoParse(conninfo.c_str(), &message), PQconninfoFree);
    PQfreemem(message);
    if (!options)
        return refused("invalid connection string",
                       "It is libpq keywords (\"host=... dbname=...\") or a postgresql:// URI.");
    Conninfo parsed;
    std::string host;
    std::string address;
    std::string port;
    for (auto* option = options.get(); option->keyword != nullptr; ++option) {
        if (option->val == nullptr)
            continue;
        const std::string_view keyword = option->keyword;
        if (keyword == "host")
            host = option->val;
        else if (keyword == "hostaddr")
            address = option->val;
        else if (keyword == "port")
            port = option->val;
        else
            parsed.settings.emplace_back(option->keyword, option->val);
    }
    if (host.empty() && address.empty())
        host = default_of("host");

    const auto hosts = split_list(host);
    const auto addresses = split_list(address);
    const auto ports = split_list(port);
    const std::size_t count = address.empty() ? hosts.size() : addresses.size();
    if (!host.empty() && !address.empty() && hosts.size() != addresses.size())
        return refused("connection string lists " + std::to_string(hosts.size()) + " hosts and " +
                       std::to_string(addresses.size()) + " addresses");
    if (ports.size() != 1 && ports.size() != count)
        return refused("connection string lists " + std::to_string(count) + " hosts and " +
                       std::to_string(ports.size()) + " ports");
    for (std::size_t i = 0; i < count; ++i)
        parsed.hosts.push_back({.host = host.empty() ? std::string() : hosts[i],
                                .address = address.empty() ? std::string() : addresses[i],
                                .port = ports.size() == 1 ? ports[0] : ports[i]});
    return parsed;
}

Task<Result<std::vector<Target>, Error>> resolve(const std::vector<Target>& hosts,
                                                 TimePoint deadline) {
    std::vector<Target> targets;
    std::string unresolved;
    for (const Target& target : hosts) {
        if (!target.address.empty() || !is_name(target.host)) {
            targets.push_back(target);
            continue;
        }
        const auto addresses = co_await resolve_name(target.host, deadline);
        if (addresses.empty())
            unresolved = target.host;
        for (const std::string& address : addresses)
            targets.push_back({.host = target.host, .address = address, .port = target.port});
    }
    if (targets.empty())
        co_return refused("could not resolve host name \"" + unresolved + "\"");
    co_return targets;
}

}  // namespace muster::postgres
