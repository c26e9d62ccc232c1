// The buckets of API keys, and of the wire door's users and databases, shared by the threads of the
// process.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "limit/arrival_time.hpp"
#include "limit/lease.hpp"
#include "limit/policy.hpp"

namespace muster::limit {

// What has been used of one key's quota.
struct Bucket {
    Bucket(std::string id_, const Policy& policy_) : id(std::move(id_)), policy(policy_) {}

    const std::string id;  // "standard:6e0c…", "wire-user:alice": the policy's name and whose
    const Policy& policy;
    // What may pass here without asking.
    Lease lease;
    // The bucket of all proxies together, as last heard of, and what passed here without a lease.
    ArrivalTime arrival;
    std::atomic<std::int64_t> unreported{0};  // tokens without a lease that Redis does not know of
    std::atomic<bool> asking{false};          // Redis is being asked for a lease
    std::atomic<Nanos> asked_at{0};           // since when
};

// A bounded table. Whoever uses a key keeps its bucket, so that the hot path does not come here.
class Buckets {
  public:
    static constexpr std::size_t shards = 64;
    static constexpr std::size_t most_per_shard = 1024;

    // The bucket of a key; made if there is none. From any thread. A full bucket that nobody holds
    // is forgotten sooner or later, for a new one is the same. When all are in use, the one with
    // the least backlog is given up.
    std::shared_ptr<Bucket> of(const std::string& id, const Policy& policy, Nanos now);

    std::size_t size() const;

  private:
    struct Shard {
        mutable std::mutex mutex;
        std::unordered_map<std::string, std::shared_ptr<Bucket>> buckets;
        std::size_t sweep_at = 64;  // entries
        void make_room(Nanos now);
    };

    std::array<Shard, shards> shards_;
};

}  // namespace muster::limit
