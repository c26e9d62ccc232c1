// What a route has to do with the cache: the key of a read, and the tags of a read or a write.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "postgres/connection.hpp"

namespace muster::http {

// SHA-256 in hexadecimal.
std::string digest_text(std::string_view text);

class CachePlan {
  public:
    // The values of a call, as BoundCall::bind() gives them.
    using Values = std::vector<postgres::Parameter>;

    explicit CachePlan(const config::Route& route);

    bool caches() const { return ttl_.count() > 0; }
    bool writes() const { return !writes_.empty(); }
    std::chrono::milliseconds ttl() const { return ttl_; }

    // The route, its definition and its bound parameters. What a request says beyond them is not in
    // it, so that neither unknown parameters nor their order split an entry.
    std::string key(const Values& values) const;
    // A digest of what the route asks, so that proxies with different files share no entries.
    const std::string& definition() const { return definition_; }

    // The tags of a read: the route's, and those of each word of its `include`; a word of which
    // nothing is said stands for all.
    std::vector<std::string> read_tags(const Values& values) const;
    std::vector<std::string> written_tags(const Values& values) const;

  private:
    struct Tag {
        std::string text;
        int parameter = -1;  // index of the value that follows the text; -1: none
    };
    using Tags = std::vector<Tag>;

    static Tags resolve(const config::Route& route, const std::vector<config::Route::Tag>& tags);
    static Tags resolve_read(const config::Route& route,
                             const std::vector<config::Route::Tag>& tags);
    static void append(std::vector<std::string>& out, const Tags& tags, const Values& values);

    std::string name_;
    std::string definition_;
    std::chrono::milliseconds ttl_{0};
    Tags tags_;
    std::map<std::string, Tags, std::less<>> include_tags_;
    int include_ = -1;  // index of the parameter
    Tags writes_;
};

}  // namespace muster::http
