// Who sends a request: API keys, looked up by their SHA-256 in the database.
//
// One Keys per thread. Answers are kept for a second, so that a revocation works within it; unknown
// keys are kept apart from known ones, so that guessing does not push those out.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "http/exchange.hpp"
#include "http/problem.hpp"
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
};

using Digest = std::array<std::uint8_t, 32>;

// SHA-256.
Digest digest_of(std::string_view text);

// The key of a request: X-API-Key, else Authorization: Bearer. Empty if there is none.
std::string_view key_of(const Exchange& exchange);

class Keys {
  public:
    using Answer = Result<std::shared_ptr<const Identity>, Problem>;

    Keys(net::io_context& context, postgres::Pool& pool);

    // Identifies the sender. 401 without a valid key, 503 when that cannot be found out.
    Task<Answer> identify(const Exchange& exchange);

    std::size_t cached() const { return known_.entries.size() + unknown_.entries.size(); }

  private:
    struct Hash {
        std::uint64_t seed;
        std::size_t operator()(const Digest& digest) const;
    };
    struct Entry {
        std::shared_ptr<const Identity> identity;  // null: no such key
        TimePoint expires;
    };
    // Entries all live equally long, so the order of insertion is that of expiry.
    struct Cache {
        explicit Cache(Hash hash) : entries(16, hash) {}
        std::unordered_map<Digest, Entry, Hash> entries;
        std::deque<std::pair<Digest, TimePoint>> order;
        const Entry* find(const Digest& digest, TimePoint now) const;
        void insert(const Digest& digest, Entry entry, TimePoint now);
    };
    using Lookup = Flight<Answer>;
    class Asking;

    std::optional<Answer> cached_answer(const Digest& digest) const;
    Task<Answer> ask(const Digest& digest, TimePoint deadline);
    Task<Answer> join(std::shared_ptr<Lookup> lookup, TimePoint deadline);
    Task<Answer> query(const Digest& digest, TimePoint deadline);

    net::io_context& context_;
    postgres::Pool& pool_;
    Cache known_;
    Cache unknown_;
    std::unordered_map<Digest, std::shared_ptr<Lookup>, Hash> lookups_;
};

}  // namespace muster::http
