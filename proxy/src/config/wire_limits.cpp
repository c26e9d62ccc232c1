// Reading and checking of the `[[wire_limit]]` tables.
#include "config/wire_limits.hpp"

namespace muster::config {
namespace {

// As PostgreSQL has them; longer names are cut, and would never be met.
constexpr std::size_t longest_name = 63;

std::optional<std::uint32_t> number(const toml::table& table, const char* key) {
    const toml::node* node = table.get(key);
    if (node == nullptr) {
        return std::nullopt;
    }
    const auto value = node->value_exact<std::int64_t>();
    if (!value || *value < 0 || *value > 1000000) {
        throw LineError{line_of(*node),
                        std::string(key) + " of a wire_limit must be an integer from 0 to 1000000"};
    }
    return static_cast<std::uint32_t>(*value);
}

}  // namespace

void read_wire_limit(const toml::table& table, WireLimits& limits) {
    refuse_unknown_keys(table, {"user", "database", "rate", "burst", "connections"},
                        "a wire_limit");
    const toml::node* user = table.get("user");
    const toml::node* database = table.get("database");
    if ((user == nullptr) == (database == nullptr)) {
        throw LineError{line_of(table), "a wire_limit needs either a user or a database"};
    }
    const toml::node& named = user != nullptr ? *user : *database;
    const auto name = named.value_exact<std::string>();
    if (!name || name->empty() || name->size() > longest_name ||
        name->find('\0') != std::string::npos) {
        throw LineError{line_of(named), std::string(user != nullptr ? "user" : "database") +
                                            " of a wire_limit must be a name of 1 to 63 bytes"};
    }
    if (user == nullptr && table.contains("connections")) {
        throw LineError{line_of(*table.get("connections")),
                        "connections of a wire_limit are those of a user, not of a database"};
    }
    const WireLimits::Exception exception{number(table, "rate"), number(table, "burst"),
                                          number(table, "connections")};
    if (!exception.rate && !exception.burst && !exception.connections) {
        throw LineError{line_of(table),
                        "the wire_limit of \"" + *name + "\" has no rate, burst or connections"};
    }
    auto& all = user != nullptr ? limits.users : limits.databases;
    if (!all.emplace(*name, exception).second) {
        throw LineError{line_of(named), "there is a wire_limit for \"" + *name + "\" already"};
    }
}

}  // namespace muster::config
