// Reading and checking of `[[route]]` tables.
#include "config/routes.hpp"

#include <algorithm>
#include <array>

#include "config/caching.hpp"
#include "config/settings.hpp"

namespace muster::config {
namespace {

using namespace std::string_view_literals;

constexpr std::array methods{"GET"sv, "POST"sv, "PUT"sv, "PATCH"sv, "DELETE"sv};
// Paths that the door answers itself, whatever the routes; and those of live updates.
constexpr std::array reserved{"/"sv, "/health"sv, "/health/live"sv, "/health/ready"sv,
                              "/openapi.json"sv};
constexpr std::array live{"/ws"sv, "/events/stream"sv, "/tickets"sv};

// The path as its segments, without a slash at its end and without names of parameters.
std::string canonical_path(const std::vector<Segment>& segments) {
    std::string path;
    for (const Segment& segment : segments) {
        path += '/' + (segment.parameter ? "{}" : segment.text);
    }
    return path.empty() ? "/" : path;
}

// The string at `key`, or an error that says it is missing or no string.
std::string required_text(const toml::table& table, std::string_view key) {
    const toml::node* node = table.get(key);
    if (node == nullptr) {
        throw LineError{line_of(table), "route has no \"" + std::string(key) + "\""};
    }
    auto text = node->value_exact<std::string>();
    if (!text || text->empty() || text->find('\0') != std::string::npos) {
        throw LineError{line_of(*node),
                        std::string(key) + " of a route must be a non-empty string"};
    }
    return *std::move(text);
}

Route::Parameter::Type read_type(const toml::node& node) {
    const auto text = node.value_exact<std::string>();
    if (text == "text") {
        return Route::Parameter::Type::text;
    }
    if (text == "int") {
        return Route::Parameter::Type::integer;
    }
    if (text == "bool") {
        return Route::Parameter::Type::boolean;
    }
    if (text == "uuid") {
        return Route::Parameter::Type::uuid;
    }
    throw LineError{line_of(node), "type of a parameter must be one of text, int, bool, uuid" +
                                       (text ? ", not \"" + *text + "\"" : std::string())};
}

std::optional<std::int64_t> read_bound(const toml::table& table, std::string_view key,
                                       Route::Parameter::Type type) {
    const toml::node* node = table.get(key);
    if (node == nullptr) {
        return std::nullopt;
    }
    if (type != Route::Parameter::Type::integer) {
        throw LineError{line_of(*node), std::string(key) + " is for parameters of type int only"};
    }
    const auto bound = node->value_exact<std::int64_t>();
    if (!bound) {
        throw LineError{line_of(*node), std::string(key) + " of a parameter must be an integer"};
    }
    return bound;
}

Route::Parameter read_parameter(const std::string& name, const toml::node& node) {
    const toml::table* table = node.as_table();
    if (table == nullptr) {
        throw LineError{line_of(node),
                        "parameter \"" + name + "\" must be a table such as { type = \"int\" }"};
    }
    refuse_unknown_keys(*table, {"type", "min", "max", "values"}, "parameter \"" + name + "\"");
    Route::Parameter parameter;
    if (const toml::node* type = table->get("type")) {
        parameter.type = read_type(*type);
    }
    parameter.min = read_bound(*table, "min", parameter.type);
    parameter.max = read_bound(*table, "max", parameter.type);
    if (parameter.min && parameter.max && *parameter.min > *parameter.max) {
        throw LineError{line_of(*table), "parameter \"" + name + "\" has min " +
                                             std::to_string(*parameter.min) + " above max " +
                                             std::to_string(*parameter.max)};
    }
    if (const toml::node* values = table->get("values")) {
        const toml::array* list = values->as_array();
        if (list == nullptr || list->empty() || !list->is_homogeneous<std::string>() ||
            parameter.type != Route::Parameter::Type::text) {
            throw LineError{line_of(*values), "values of parameter \"" + name +
                                                  "\" must be a list of strings, for type text"};
        }
        for (const toml::node& value : *list) {
            parameter.values.push_back(*value.value_exact<std::string>());
        }
    }
    return parameter;
}

// "GET /agents/{id}" into method, path and segments.
void read_match(Route& route, const toml::table& table) {
    const std::string match = required_text(table, "match");
    const unsigned line = line_of(*table.get("match"));
    const std::size_t space = match.find(' ');
    route.method = match.substr(0, space);
    if (space == std::string::npos ||
        std::find(methods.begin(), methods.end(), route.method) == methods.end()) {
        throw LineError{line,
                        "match must be \"METHOD /path\" with one of GET (HEAD comes with it), "
                        "POST, PUT, PATCH, DELETE, not \"" +
                            match + "\""};
    }
    route.path = match.substr(space + 1);
    auto segments = parse_path(route.path);
    if (!segments) {
        throw LineError{line, segments.error()};
    }
    route.segments = std::move(segments).value();
    const std::string path = canonical_path(route.segments);
    if (std::find(reserved.begin(), reserved.end(), path) != reserved.end()) {
        throw LineError{line, "path \"" + route.path + "\" is answered by the proxy itself"};
    }
}

// Every parameter must come from somewhere and go somewhere.
void check_parameters(const Route& route, const toml::table& table) {
    const unsigned call_line = line_of(*table.get("call"));
    const auto used = [&](const std::string& name) {
        const auto& all = route.compiled.parameters;
        return std::any_of(all.begin(), all.end(), [&](const auto& p) { return p.name == name; });
    };
    for (const Segment& segment : route.segments) {
        if (!segment.parameter) {
            continue;
        }
        if (segment.text == "body" || segment.text == "key") {
            throw LineError{line_of(*table.get("match")), "{" + segment.text +
                                                              "} cannot be a path's parameter: $" +
                                                              segment.text + " is reserved"};
        }
        if (!used(segment.text)) {
            throw LineError{call_line, "call does not use the path's parameter $" + segment.text};
        }
    }
    for (const auto& [name, parameter] : route.params) {
        if (!used(name)) {
            throw LineError{line_of(*table.get("params")),
                            "call does not use the parameter \"" + name + "\" of params"};
        }
        if (name == "body") {
            throw LineError{line_of(*table.get("params")),
                            "$body is the request's body, checked "
                            "by the function, not in params"};
        }
    }
    if (used("body") && route.method == "GET") {
        throw LineError{call_line, "call uses $body, but a GET request has none"};
    }
}

}  // namespace

unsigned line_of(const toml::node& node) {
    return node.source().begin.line;
}

void refuse_unknown_keys(const toml::table& table, std::initializer_list<std::string_view> known,
                         const std::string& what) {
    for (const auto& [key, node] : table) {
        if (std::find(known.begin(), known.end(), key.str()) == known.end()) {
            std::string list;
            for (std::string_view name : known) {
                list += (list.empty() ? "" : ", ") + std::string(name);
            }
            throw LineError{key.source().begin.line, "unknown key \"" + std::string(key.str()) +
                                                         "\" in " + what + "; it has: " + list};
        }
    }
}

Route read_route(const toml::table& table) {
    refuse_unknown_keys(table,
                        {"name", "match", "params", "call", "success", "cost", "cache", "writes",
                         "idempotent", "slow"},
                        "a route");
    Route route;
    route.line = static_cast<int>(line_of(table));
    route.name = required_text(table, "name");
    if (!is_parameter_name(route.name)) {
        throw LineError{line_of(*table.get("name")),
                        "\"" + route.name +
                            "\" cannot name a route: letters, digits and "
                            "underscores, at most 63, not starting with a digit"};
    }
    read_match(route, table);

    route.call = required_text(table, "call");
    auto call = compile_call(route.call);
    if (!call) {
        throw LineError{line_of(*table.get("call")), call.error()};
    }
    route.compiled = std::move(call).value();

    if (const toml::node* params = table.get("params")) {
        if (!params->is_table()) {
            throw LineError{line_of(*params), "params must be a table, one entry a parameter"};
        }
        for (const auto& [key, node] : *params->as_table()) {
            const std::string name(key.str());
            route.params.emplace(name, read_parameter(name, node));
        }
    }
    if (const toml::node* success = table.get("success")) {
        const auto status = success->value_exact<std::int64_t>();
        if (!status || *status < 200 || *status > 299) {
            throw LineError{line_of(*success), "success must be a status from 200 to 299"};
        }
        route.success = static_cast<unsigned>(*status);
    }
    if (const toml::node* cost = table.get("cost")) {
        const auto tokens = cost->value_exact<std::int64_t>();
        if (!tokens || *tokens < 1 || *tokens > 1000000) {
            throw LineError{line_of(*cost), "cost must be a number of tokens from 1 to 1000000"};
        }
        route.cost = static_cast<std::uint32_t>(*tokens);
    }
    route.idempotent = route.method != "GET";
    if (const toml::node* idempotent = table.get("idempotent")) {
        const auto wanted = idempotent->value_exact<bool>();
        if (!wanted || (*wanted && route.method == "GET")) {
            throw LineError{line_of(*idempotent),
                            "idempotent must be true or false, and a GET route has no use for it"};
        }
        route.idempotent = *wanted;
    }
    if (const toml::node* slow = table.get("slow")) {
        const auto text = slow->value_exact<std::string>();
        route.slow = text ? read_duration(*text) : std::nullopt;
        if (!route.slow) {
            throw LineError{line_of(*slow),
                            "slow must be a duration in ms, s, min or h such as \"250ms\", up to "
                            "24h"};
        }
    }
    check_parameters(route, table);
    read_caching(route, table);
    return route;
}

bool is_live_path(const Route& route) {
    return std::find(live.begin(), live.end(), canonical_path(route.segments)) != live.end();
}

void check_routes_differ(const std::vector<Route>& routes) {
    const auto same_path = [](const Route& a, const Route& b) {
        return std::equal(a.segments.begin(), a.segments.end(), b.segments.begin(),
                          b.segments.end(), [](const Segment& x, const Segment& y) {
                              return x.parameter == y.parameter &&
                                     (x.parameter || x.text == y.text);
                          });
    };
    for (std::size_t i = 0; i < routes.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            const Route& earlier = routes[j];
            const Route& later = routes[i];
            const auto line = static_cast<unsigned>(later.line);
            if (earlier.name == later.name) {
                throw LineError{line, "route name \"" + later.name + "\" is taken by line " +
                                          std::to_string(earlier.line)};
            }
            if (earlier.method == later.method && same_path(earlier, later)) {
                throw LineError{line, "\"" + later.method + " " + later.path +
                                          "\" is answered by route \"" + earlier.name +
                                          "\" of line " + std::to_string(earlier.line)};
            }
        }
    }
}

}  // namespace muster::config
