// The loader: TOML syntax, unknown names, then the values one by one.
#include "config/load.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

#include "config/routes.hpp"
#include "config/settings.hpp"
#include "config/wire_limits.hpp"

namespace muster::config {
namespace {

std::string list_of(const std::vector<std::string>& names) {
    std::string list;
    for (const std::string& name : names) {
        list += (list.empty() ? "" : ", ") + name;
    }
    return list;
}

std::vector<std::string> sections_of(const std::vector<Setting>& table) {
    std::vector<std::string> names;
    for (const Setting& setting : table) {
        if (!setting.section.empty() &&
            std::find(names.begin(), names.end(), setting.section) == names.end()) {
            names.emplace_back(setting.section);
        }
    }
    return names;
}

std::vector<std::string> keys_of(const std::vector<Setting>& table, std::string_view section) {
    std::vector<std::string> names;
    for (const Setting& setting : table) {
        if (setting.section == section) {
            names.emplace_back(setting.key);
        }
    }
    return names;
}

const Setting* find(const std::vector<Setting>& table, std::string_view section,
                    std::string_view key) {
    for (const Setting& setting : table) {
        if (setting.section == section && setting.key == key) {
            return &setting;
        }
    }
    return nullptr;
}

// The mistake of a value that was refused.
std::string refusal(const Setting& setting, const Value& value, const std::string& allowed) {
    return setting.name() + " " + allowed + (setting.secret ? "" : ", not " + shown(value));
}

void store(const Setting& setting, const toml::node& node) {
    Value value;
    if (const auto text = node.value_exact<std::string>()) {
        value = *text;
    } else if (const auto number = node.value_exact<std::int64_t>()) {
        value = *number;
    } else if (const auto real = node.value_exact<double>()) {
        value = *real;
    } else if (const auto truth = node.value_exact<bool>()) {
        value = *truth;
    } else {
        throw LineError{node.source().begin.line,
                        setting.name() + " must be a single value, not an array, table or time"};
    }
    if (const auto allowed = setting.access.store(value)) {
        throw LineError{node.source().begin.line, refusal(setting, value, *allowed)};
    }
}

void read_section(const std::vector<Setting>& table, std::string_view section,
                  const toml::table& values) {
    for (const auto& [key, node] : values) {
        const Setting* setting = find(table, section, key.str());
        if (setting == nullptr) {
            throw LineError{key.source().begin.line,
                            "unknown key \"" + std::string(key.str()) + "\" in section [" +
                                std::string(section) +
                                "]; it has: " + list_of(keys_of(table, section))};
        }
        store(*setting, node);
    }
}

const toml::array& list_of_tables(unsigned line, const toml::node& node, const char* what) {
    const toml::array* list = node.as_array();
    if (list == nullptr || !std::all_of(list->begin(), list->end(),
                                        [](const toml::node& one) { return one.is_table(); })) {
        throw LineError{line, std::string(what) + " tables"};
    }
    return *list;
}

void read_routes(Config& config, unsigned line, const toml::node& node) {
    for (const toml::node& route : list_of_tables(line, node, "routes are written as [[route]]")) {
        config.routes.push_back(read_route(*route.as_table()));
    }
    check_routes_differ(config.routes);
}

void read_file(Config& config, const std::vector<Setting>& table, const toml::table& root) {
    for (const auto& [key, node] : root) {
        const std::string name(key.str());
        const unsigned line = key.source().begin.line;
        if (name == "route") {
            read_routes(config, line, node);
            continue;
        }
        if (name == "wire_limit") {
            for (const toml::node& one : list_of_tables(
                     line, node, "quotas of one user or database are written as [[wire_limit]]")) {
                read_wire_limit(*one.as_table(), config.wire_limits);
            }
            continue;
        }
        if (const Setting* setting = find(table, "", name)) {
            store(*setting, node);
            continue;
        }
        const auto sections = sections_of(table);
        if (std::find(sections.begin(), sections.end(), name) == sections.end()) {
            throw LineError{line, "unknown name \"" + name + "\"; there are the sections " +
                                      list_of(sections) +
                                      ", [[route]] and [[wire_limit]] tables and the keys " +
                                      list_of(keys_of(table, ""))};
        }
        if (!node.is_table()) {
            throw LineError{line, "\"" + name + "\" is a section, written [" + name + "]"};
        }
        read_section(table, name, *node.as_table());
    }
}

std::optional<Mistake> override_one(const std::vector<Setting>& table, const std::string& text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos) {
        return Mistake{"--set " + text, "not of the form section.key=value"};
    }
    const std::string name = text.substr(0, equals);
    const auto setting = std::find_if(table.begin(), table.end(),
                                      [&](const Setting& one) { return one.name() == name; });
    if (setting == table.end()) {
        std::vector<std::string> names;
        for (const Setting& one : table) {
            names.push_back(one.name());
        }
        return Mistake{"--set " + name, "unknown setting; there are: " + list_of(names)};
    }
    const Value value = read_value(*setting, text.substr(equals + 1));
    if (const auto allowed = setting->access.store(value)) {
        return Mistake{"--set " + name, refusal(*setting, value, *allowed)};
    }
    return std::nullopt;
}

// Conditions that span more than one value.
std::optional<Mistake> check_together(const Config& config) {
    if (config.relay.poll_busy > config.relay.poll_idle) {
        return Mistake{config.file, "relay.poll_busy must not be longer than relay.poll_idle"};
    }
    if (config.wire.tls != "off" && (config.wire.tls_cert.empty() || config.wire.tls_key.empty())) {
        return Mistake{config.file, "wire.tls = \"" + config.wire.tls +
                                        "\" needs wire.tls_cert and wire.tls_key"};
    }
    const std::uint32_t burst = std::min(config.limits.standard.burst, config.limits.premium.burst);
    for (const Route& route : config.routes) {
        if (config.push.enabled && is_live_path(route)) {
            return Mistake{config.file + ":" + std::to_string(route.line),
                           "route \"" + route.name + "\" has the path \"" + route.path +
                               "\", which is that of live updates unless push.enabled is false"};
        }
        if (config.limits.enabled && route.cost > burst) {
            return Mistake{config.file + ":" + std::to_string(route.line),
                           "route \"" + route.name + "\" has the cost " +
                               std::to_string(route.cost) +
                               ", which must not be above the least burst of a tier, " +
                               std::to_string(burst)};
        }
    }
    return std::nullopt;
}

}  // namespace

Result<Config, Mistake> load(const std::string& file, std::span<const std::string> overrides) {
    Config config;
    config.file = file;
    const std::vector<Setting> table = settings(config);

    std::ifstream stream(file);
    std::ostringstream content;
    if (!stream || !(content << stream.rdbuf())) {
        return Mistake{file, "cannot be read, or is empty"};
    }
    try {
        read_file(config, table, toml::parse(content.str(), file));
    } catch (const toml::parse_error& error) {
        return Mistake{file + ":" + std::to_string(error.source().begin.line),
                       std::string(error.description())};
    } catch (const LineError& error) {
        return Mistake{file + ":" + std::to_string(error.line), error.message};
    }
    for (const std::string& text : overrides) {
        if (auto mistake = override_one(table, text)) {
            return *std::move(mistake);
        }
    }
    if (auto mistake = check_together(config)) {
        return *std::move(mistake);
    }
    return config;
}

}  // namespace muster::config
