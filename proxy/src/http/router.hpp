// Which route answers a method and a path.
//
// A path is walked segment by segment, and where a fixed word and a {parameter} are both possible
// the word is taken for good: "/tools/executions" is never a tool's id, not even for a method that
// only
// "/tools/{id}" has.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"

namespace muster::http {

class Router {
  public:
    struct Match {
        enum class Kind { found, no_path, no_method };
        Kind kind = Kind::no_path;
        std::size_t route = 0;                 // index of the route, when found
        std::vector<std::string_view> values;  // of the path's parameters, in order
        std::string allow;                     // the methods there are, when ours is not
    };

    explicit Router(std::span<const config::Route> routes);

    // `segments` is the decoded path. The values point into it. HEAD is answered where GET is.
    Match match(std::string_view method, const std::vector<std::string>& segments) const;

  private:
    struct Node {
        std::map<std::string, std::unique_ptr<Node>, std::less<>> words;
        std::unique_ptr<Node> parameter;
        std::map<std::string, std::size_t, std::less<>> methods;
    };
    Node root_;
};

}  // namespace muster::http
