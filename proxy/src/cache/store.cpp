// Lists in order of use, one a shard.
#include "cache/store.hpp"

namespace muster::cache {

std::size_t Store::cost(const std::string& key, const Entry& entry) {
    constexpr std::size_t nodes = 160;  // of list, map and shared pointer
    return entry.bytes() + key.size() + sizeof(Item) + nodes;
}

EntryPtr Store::get(const std::string& key) {
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.by_key.find(key);
    if (found == shard.by_key.end()) {
        return nullptr;
    }
    shard.items.splice(shard.items.begin(), shard.items, found->second);
    return found->second->entry;
}

void Store::put(const std::string& key, EntryPtr entry) {
    const std::size_t bytes = cost(key, *entry);
    if (bytes > bytes_per_shard_) {
        return;
    }
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    if (const auto found = shard.by_key.find(key); found != shard.by_key.end()) {
        const Entry& present = *found->second->entry;
        if (present.era > entry->era ||
            (present.era == entry->era && present.snapshot != entry->snapshot &&
             present.snapshot.covers(entry->snapshot))) {
            return;
        }
        remove(shard, found->second);
    }
    while (shard.bytes + bytes > bytes_per_shard_) {
        remove(shard, std::prev(shard.items.end()));
        evictions_.fetch_add(1, std::memory_order_relaxed);
    }
    shard.items.push_front({key, std::move(entry), bytes});
    shard.by_key.emplace(shard.items.front().key, shard.items.begin());
    shard.bytes += bytes;
    bytes_.fetch_add(bytes, std::memory_order_relaxed);
    entries_.fetch_add(1, std::memory_order_relaxed);
}

void Store::erase(const std::string& key, const EntryPtr& entry) {
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.by_key.find(key);
    if (found != shard.by_key.end() && found->second->entry == entry) {
        remove(shard, found->second);
    }
}

void Store::clear() {
    for (Shard& shard : shards_) {
        const std::lock_guard lock(shard.mutex);
        while (!shard.items.empty()) {
            remove(shard, shard.items.begin());
        }
    }
}

void Store::remove(Shard& shard, Items::iterator item) {
    shard.by_key.erase(item->key);
    shard.bytes -= item->bytes;
    bytes_.fetch_sub(item->bytes, std::memory_order_relaxed);
    entries_.fetch_sub(1, std::memory_order_relaxed);
    shard.items.erase(item);
}

}  // namespace muster::cache
