// What is known of API keys, by their digests.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "limit/limiter.hpp"
#include "runtime/asio.hpp"

namespace muster::http {

// Whom a valid key belongs to, and what it may do.
struct Owner {
    std::string id;
    std::string name;
    std::string tier;
    bool may_read = false;
    bool may_write = false;
};

// The owner as a request meets it: with a bucket, which is the limiter's of one configuration.
struct Identity : Owner {
    std::shared_ptr<limit::Bucket> bucket;  // null: not limited
};

using Digest = std::array<std::uint8_t, 32>;

// SHA-256.
Digest digest_of(std::string_view text);

// Keys are chosen by clients, so their digests' order in a table must not be theirs to choose.
struct DigestHash {
    DigestHash();  // with a seed of its own
    std::size_t operator()(const Digest& digest) const;
    std::uint64_t seed;
};
// In constant time.
struct DigestEqual {
    bool operator()(const Digest& a, const Digest& b) const;
};
template <class Value>
using DigestMap = std::unordered_map<Digest, Value, DigestHash, DigestEqual>;

// How long an answer of the database is believed, so that a revocation works within it.
inline constexpr std::chrono::seconds key_lifetime{1};

// Answers of the database, each for a time; the oldest leave when there are too many. `Who` is
// Owner or Identity. For one thread at a time.
template <class Who>
class KeyTable {
  public:
    struct Entry {
        std::shared_ptr<const Who> who;  // null: no such key
        TimePoint asked;                 // when the database was
        TimePoint until;                 // not told of from then on
    };
    // Null if there is none, or its time is over.
    const Entry* find(const Digest& digest, TimePoint now) const;
    // At `now`; in place of the key's last one.
    void insert(const Digest& digest, Entry entry, TimePoint now);
    // Has each be told of for so long after the database was asked.
    void keep_for(Clock::duration time);

    std::size_t size() const { return entries_.size(); }

  private:
    DigestMap<Entry> entries_;
    std::deque<std::pair<Digest, TimePoint>> order_;  // about by age: with an `until`
};

// The valid keys that any thread has heard of, for a second and the time of grace: in an outage
// what one thread knows holds for all, and after a reload what was known before it. Thread-safe.
class KnownKeys {
  public:
    using Known = KeyTable<Owner>::Entry;  // of one that is valid

    explicit KnownKeys(std::chrono::milliseconds grace);

    // The time of grace from now on, for what is known already, too.
    void set_grace(std::chrono::milliseconds grace);

    // What the database has said when asked at `asked`: null if there is no such key. Of two
    // answers the one to the younger question stays.
    void learn(const Digest& digest, std::shared_ptr<const Owner> owner, TimePoint asked);

    std::optional<Known> find(const Digest& digest, TimePoint now) const;

  private:
    mutable std::mutex mutex_;
    Clock::duration keep_;
    KeyTable<Owner> table_;
};

}  // namespace muster::http
