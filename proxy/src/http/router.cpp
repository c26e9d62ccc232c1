// The tree of path segments.
#include "http/router.hpp"

namespace muster::http {

Router::Router(std::span<const config::Route> routes) {
    for (std::size_t i = 0; i < routes.size(); ++i) {
        Node* node = &root_;
        for (const config::Segment& segment : routes[i].segments) {
            auto& next = segment.parameter ? node->parameter : node->words[segment.text];
            if (!next) {
                next = std::make_unique<Node>();
            }
            node = next.get();
        }
        node->methods.emplace(routes[i].method, i);
    }
}

Router::Match Router::match(std::string_view method,
                            const std::vector<std::string>& segments) const {
    Match match;
    const Node* node = &root_;
    for (const std::string& segment : segments) {
        if (const auto word = node->words.find(segment); word != node->words.end()) {
            node = word->second.get();
        } else if (node->parameter && !segment.empty()) {
            node = node->parameter.get();
            match.values.push_back(segment);
        } else {
            return match;
        }
    }
    if (node->methods.empty()) {
        return match;
    }
    const auto found = node->methods.find(method == "HEAD" ? "GET" : method);
    if (found != node->methods.end()) {
        match.kind = Match::Kind::found;
        match.route = found->second;
        return match;
    }
    match.kind = Match::Kind::no_method;
    for (const auto& [name, route] : node->methods) {
        match.allow += (match.allow.empty() ? "" : ", ") + name;
        match.allow += name == "GET" ? ", HEAD" : "";
    }
    return match;
}

}  // namespace muster::http
