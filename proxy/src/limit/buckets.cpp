// Finding, making and forgetting of buckets.
#include "limit/buckets.hpp"

#include <algorithm>

namespace muster::limit {
namespace {

bool is_full(const Bucket& bucket, Nanos now) {
    return bucket.arrival.value() <= now && bucket.lease.held(now) == 0;
}

}  // namespace

std::shared_ptr<Bucket> Buckets::of(const std::string& id, const Policy& policy, Nanos now) {
    std::string name = policy.name + ":" + id;
    Shard& shard = shards_[std::hash<std::string>{}(name) % shards];
    const std::lock_guard lock(shard.mutex);
    if (const auto found = shard.buckets.find(name); found != shard.buckets.end()) {
        return found->second;
    }
    if (shard.buckets.size() >= shard.sweep_at) {
        shard.make_room(now);
    }
    auto bucket = std::make_shared<Bucket>(name, policy);
    shard.buckets.emplace(std::move(name), bucket);
    return bucket;
}

// Looks through the shard each time that it has doubled, so that an insertion costs the same on
// average whatever the size.
void Buckets::Shard::make_room(Nanos now) {
    std::erase_if(buckets, [&](const auto& entry) {
        return entry.second.use_count() == 1 && is_full(*entry.second, now);
    });
    if (buckets.size() >= most_per_shard) {
        const auto backlog = [](const auto& entry) { return entry.second->arrival.value(); };
        buckets.erase(std::min_element(
            buckets.begin(), buckets.end(),
            [&](const auto& a, const auto& b) { return backlog(a) < backlog(b); }));
    }
    sweep_at = std::clamp(2 * buckets.size(), std::size_t{64}, most_per_shard);
}

std::size_t Buckets::size() const {
    std::size_t all = 0;
    for (const Shard& shard : shards_) {
        const std::lock_guard lock(shard.mutex);
        all += shard.buckets.size();
    }
    return all;
}

}  // namespace muster::limit
