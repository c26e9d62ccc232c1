// Reading and checking of what a route has to do with the cache.
#include "config/caching.hpp"

#include <algorithm>

#include "config/routes.hpp"
#include "config/settings.hpp"

namespace muster::config {
namespace {

// "agents" or "agents:$id". The parameter must be one of the path, so that it is always there, and
// in params, so that its value has one form: what changes say of a uuid is its canonical text.
Route::Tag read_tag(const Route& route, const toml::node& node, const std::string& text) {
    const std::size_t dollar = text.find('$');
    Route::Tag tag{text.substr(0, dollar), {}};
    if (tag.text.empty()) {
        throw LineError{line_of(node),
                        "a tag must begin with a table's name, not \"" + text + "\""};
    }
    if (dollar == std::string::npos) {
        return tag;
    }
    tag.parameter = text.substr(dollar + 1);
    const bool of_path = std::any_of(
        route.segments.begin(), route.segments.end(),
        [&](const Segment& segment) { return segment.parameter && segment.text == tag.parameter; });
    if (tag.text.back() != ':' || !of_path || !route.params.contains(tag.parameter)) {
        throw LineError{line_of(node),
                        "tag \"" + text +
                            "\" must be a table's name, or one with the value of a parameter of "
                            "the path whose type stands in params, as in \"agents:$id\""};
    }
    return tag;
}

std::vector<Route::Tag> read_tags(const Route& route, const toml::node& node,
                                  const std::string& what) {
    const toml::array* list = node.as_array();
    if (list == nullptr || list->empty() || !list->is_homogeneous<std::string>()) {
        throw LineError{line_of(node), what + " must be a list of tags such as [\"agents\"]"};
    }
    std::vector<Route::Tag> tags;
    for (const toml::node& tag : *list) {
        tags.push_back(read_tag(route, tag, *tag.value_exact<std::string>()));
    }
    return tags;
}

void read_include_tags(Route& route, const toml::node& node) {
    const auto& parameters = route.compiled.parameters;
    const bool includes = std::any_of(parameters.begin(), parameters.end(),
                                      [](const auto& one) { return one.name == "include"; });
    if (!node.is_table() || !includes) {
        throw LineError{line_of(node),
                        "include_tags must be a table of tags by the words of the parameter "
                        "\"include\", which the call must use"};
    }
    for (const auto& [key, tags] : *node.as_table()) {
        const std::string word(key.str());
        route.cache->include_tags.emplace(
            word, read_tags(route, tags, "\"" + word + "\" of include_tags"));
    }
}

}  // namespace

void read_caching(Route& route, const toml::table& table) {
    if (const toml::node* writes = table.get("writes")) {
        if (route.method == "GET") {
            throw LineError{line_of(*writes), "writes is not for GET: it changes nothing"};
        }
        route.writes = read_tags(route, *writes, "writes");
    }
    const toml::node* node = table.get("cache");
    if (node == nullptr) {
        return;
    }
    const toml::table* cache = node->as_table();
    if (cache == nullptr || route.method != "GET") {
        throw LineError{line_of(*node),
                        "cache must be a table such as { ttl = \"60s\", tags = "
                        "[\"agents\"] }, of a GET route"};
    }
    refuse_unknown_keys(*cache, {"ttl", "tags", "include_tags"}, "cache");
    const toml::node* ttl = cache->get("ttl");
    const auto text = ttl == nullptr ? std::nullopt : ttl->value_exact<std::string>();
    const auto duration = text ? read_duration(*text) : std::nullopt;
    if (!duration || *duration == milliseconds(0)) {
        throw LineError{line_of(ttl == nullptr ? *node : *ttl),
                        "ttl of cache must be a duration such as \"60s\", at most a day"};
    }
    const toml::node* tags = cache->get("tags");
    if (tags == nullptr) {
        throw LineError{line_of(*node), "cache has no \"tags\": they say which changes end it"};
    }
    route.cache.emplace();
    route.cache->ttl = *duration;
    route.cache->tags = read_tags(route, *tags, "tags of cache");
    if (const toml::node* include_tags = cache->get("include_tags")) {
        read_include_tags(route, *include_tags);
    }
}

}  // namespace muster::config
