// Keys and tags.
#include "http/cache_plan.hpp"

#include "cache/message.hpp"
#include "http/keys.hpp"

namespace muster::http {
namespace {

int index_of(const config::Route& route, std::string_view parameter) {
    const auto& parameters = route.compiled.parameters;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        if (parameters[i].name == parameter) {
            return static_cast<int>(i);
        }
    }
    return -1;
}

}  // namespace

std::string digest_text(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    for (const std::uint8_t byte : digest_of(text)) {
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
    return out;
}

CachePlan::CachePlan(const config::Route& route)
    : name_(route.name), writes_(resolve(route, route.writes)) {
    if (!route.cache) {
        return;
    }
    definition_ = digest_text(route.call + '\n' + std::to_string(route.success)).substr(0, 16);
    ttl_ = route.cache->ttl;
    tags_ = resolve_read(route, route.cache->tags);
    for (const auto& [word, tags] : route.cache->include_tags) {
        include_tags_.emplace(word, resolve_read(route, tags));
    }
    include_ = index_of(route, "include");
}

CachePlan::Tags CachePlan::resolve(const config::Route& route,
                                   const std::vector<config::Route::Tag>& tags) {
    Tags resolved;
    for (const config::Route::Tag& tag : tags) {
        resolved.push_back({tag.text, tag.parameter.empty() ? -1 : index_of(route, tag.parameter)});
    }
    return resolved;
}

// What is read by key changes with its row and with its whole table.
CachePlan::Tags CachePlan::resolve_read(const config::Route& route,
                                        const std::vector<config::Route::Tag>& tags) {
    Tags resolved = resolve(route, tags);
    for (const config::Route::Tag& tag : tags) {
        if (!tag.parameter.empty()) {
            resolved.push_back({cache::whole_table(tag.text), -1});
        }
    }
    return resolved;
}

std::string CachePlan::key(const Values& values) const {
    std::string key = name_ + ':' + definition_;
    for (const postgres::Parameter& parameter : values) {
        if (!parameter.value) {
            key += ",-";
            continue;
        }
        key += ',' + std::to_string(parameter.value->size()) + ':';
        key += *parameter.value;
    }
    return key;
}

void CachePlan::append(std::vector<std::string>& out, const Tags& tags, const Values& values) {
    for (const Tag& tag : tags) {
        out.push_back(tag.text);
        if (tag.parameter >= 0) {
            out.back() += values[static_cast<std::size_t>(tag.parameter)].value.value_or("");
        }
    }
}

std::vector<std::string> CachePlan::read_tags(const Values& values) const {
    std::vector<std::string> tags;
    append(tags, tags_, values);
    if (include_ < 0 || include_tags_.empty()) {
        return tags;
    }
    const auto& include = values[static_cast<std::size_t>(include_)].value;
    std::string_view rest = include ? std::string_view(*include) : std::string_view();
    while (!rest.empty()) {
        const std::size_t comma = std::min(rest.find(','), rest.size());
        std::string_view word = rest.substr(0, comma);
        rest.remove_prefix(std::min(comma + 1, rest.size()));
        const std::size_t begin = std::min(word.find_first_not_of(" \t\n\r\f\v"), word.size());
        word.remove_prefix(begin);
        word = word.substr(0, word.find_last_not_of(" \t\n\r\f\v") + 1);
        if (const auto found = include_tags_.find(word); found != include_tags_.end()) {
            append(tags, found->second, values);
            continue;
        }
        for (const auto& [name, all] : include_tags_) {
            append(tags, all, values);
        }
    }
    return tags;
}

std::vector<std::string> CachePlan::written_tags(const Values& values) const {
    std::vector<std::string> tags;
    append(tags, writes_, values);
    return tags;
}

}  // namespace muster::http
