// Who sends a request: API keys, looked up by their SHA-256 in the database.
//
// One Keys per thread. Answers are believed for a second, so that a revocation works within it;
// unknown keys are kept apart from known ones, so that guessing does not push those out. A key that
// was found valid is remembered beyond its second: while the database cannot be reached, it is
// accepted for a time of grace.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "breaker/breaker.hpp"
#include "http/exchange.hpp"
#include "http/problem.hpp"
#include "limit/limiter.hpp"
#include "postgres/pool.hpp"
#include "runtime/flight.hpp"
#include "runtime/result.hpp"

namespace muster::http {

// Whom a valid key belongs to, and what it may do.
struct Identity {
    std::string id;
    std::string name;
    std::string tier;
    bool may_read = false;
    bool may_write = false;
    std::shared_ptr<limit::Bucket> bucket;  // null: not limited
};

using Digest = std::array<std::uint8_t, 32>;

// SHA-256.
Digest digest_of(std::string_view text);

// The key of a request: X-API-Key, else Authorization: Bearer. Empty if there is none.
std::string_view key_of(const Exchange& exchange);

class Keys {
  public:
    using Answer = Result<std::shared_ptr<const Identity>, Problem>;

    Keys(net::io_context& context, postgres::Pool& pool, limit::Limiter& limiter,
         breaker::Breaker& database, std::chrono::milliseconds grace);

    // The digest of the key that a request brings; 401 if it brings none.
    static Result<Digest, Problem> presented(const Exchange& exchange);

    // What is known without asking: the key's owner, or 401.
    std::optional<Answer> recall(const Digest& digest) const;
    // Whether this was a valid key when the database was last asked, not long ago.
    bool recognizes(const Digest& digest) const;
    // Asks the database. 401 if there is no such key, 503 when that cannot be found out.
    Task<Answer> verify(const Digest& digest, TimePoint deadline);

    std::size_t cached() const { return known_.entries.size() + unknown_.entries.size(); }

  private:
    struct Hash {
        std::uint64_t seed;
        std::size_t operator()(const Digest& digest) const;
    };
    // In constant time.
    struct Equal {
        bool operator()(const Digest& a, const Digest& b) const;
    };
    struct Entry {
        std::shared_ptr<const Identity> identity;  // null: no such key
        TimePoint asked;                           // when the database said so
        TimePoint fresh_until;                     // believed without asking again
    };
    struct Cache {
        Cache(Hash hash, Clock::duration keep_) : entries(16, hash), keep(keep_) {}
        std::unordered_map<Digest, Entry, Hash, Equal> entries;
        std::deque<std::pair<Digest, TimePoint>> order;  // about by age: with an `asked`
        Clock::duration keep;
        const Entry* find(const Digest& digest, TimePoint now) const;
        void insert(const Digest& digest, Entry entry);
    };
    using Lookup = Flight<Answer>;
    class Asking;

    Task<Answer> ask(const Digest& digest, TimePoint deadline);
    Task<Answer> join(std::shared_ptr<Lookup> lookup, TimePoint deadline);
    Task<Answer> query(const Digest& digest, TimePoint deadline);
    Answer unavailable_or_grace(const Digest& digest, Problem problem);

    net::io_context& context_;
    postgres::Pool& pool_;
    limit::Limiter& limiter_;
    breaker::Breaker& database_;
    Cache known_;
    Cache unknown_;
    std::unordered_map<Digest, std::shared_ptr<Lookup>, Hash, Equal> lookups_;
};

}  // namespace muster::http
