// Reads of cached routes: from L1, from another request's query, from L2, else from the database.
//
// One per thread, over the process's Cache. Requests come here when it is known that they may ask.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "cache/cache.hpp"
#include "cache/origin.hpp"
#include "cache/remote.hpp"
#include "cache/token.hpp"
#include "http/cache_plan.hpp"
#include "http/exchange.hpp"
#include "http/problem.hpp"
#include "http/url.hpp"
#include "runtime/flight.hpp"

namespace muster::http {

class CachedReads {
  public:
    // What the database has answered, before it is known where in history that belongs.
    struct Fresh {
        cache::Entry entry;    // status, body and next
        cache::Origin origin;  // its snapshot is the entry's
        bool storable = true;
    };
    using Answer = Result<Fresh, Problem>;

    // One read. All of it outlives the call.
    struct Question {
        const Exchange& exchange;
        const Target& target;
        const CachePlan& plan;
        const CachePlan::Values& values;
        std::function<Task<Answer>()> ask;  // asks the database
        std::function<bool()> refused;      // whether its breaker keeps questions away
    };

    CachedReads(net::io_context& context, cache::Cache& cache, const config::Cache& settings,
                unsigned thread);

    Task<Response> answer(const Question& question);

    // What a write has to leave behind before it is answered: its tags are raised. Returns its
    // token. `asked` is the era in which it was sent.
    std::string wrote(const cache::Origin& origin, cache::Fence::Era asked,
                      const std::vector<std::string>& tags);

    // Keeps no connection from now on. On the thread of the reads.
    void close() { remote_.close(); }

    cache::Fence::Era era() { return cache_.fence().era(); }

  private:
    using Landed = Result<cache::EntryPtr, Problem>;
    // A query under way, and what was known when it began.
    struct Query {
        Flight<Landed> flight;
        cache::Fence::Era era;
        cache::Fence::Moment known;
    };
    class Flying;

    // A question with what has been found out about it.
    struct Read {
        const Question& question;
        std::string key;
        std::vector<std::string> tags;
        cache::Xid token = 0;        // a transaction that the answer must have seen; 0: none
        cache::Fence::Era era = 0;   // of the token
        std::string_view forwarded;  // RFC 9211's word for why L1 did not answer

        bool token_seen(const cache::Entry& entry) const {
            return token == 0 || (entry.era == era && entry.snapshot.sees(token));
        }
    };

    cache::EntryPtr find(Read& read);
    bool serves(const cache::Entry& entry, Read& read);
    std::optional<std::chrono::seconds> staleness(const cache::Entry& entry,
                                                  const Read& read) const;
    Task<Response> miss(Read& read);
    std::shared_ptr<Query> joinable(const Read& read) const;
    Task<cache::EntryPtr> find_remote(const Read& read, cache::Fence::Era era);
    Task<Landed> ask(const Read& read);
    std::string remote_key(const Read& read) const;
    Response respond_entry(const Read& read, const cache::EntryPtr& entry, std::string status);
    Response respond_landed(const Read& read, const Landed& landed, std::string status);

    net::io_context& context_;
    cache::Cache& cache_;
    const config::Cache settings_;
    cache::ReadCounters& counters_;
    cache::Remote remote_;
    std::unordered_map<std::string, std::shared_ptr<Query>> queries_;  // the newest of each key
};

}  // namespace muster::http
