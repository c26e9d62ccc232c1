// L1: entries in the memory of this process, bounded by bytes; the least recently used go first.
// Thread-safe; each shard has its own lock and its part of the bytes.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <list>
#include <mutex>
#include <string>
#include <unordered_map>

#include "cache/entry.hpp"

namespace muster::cache {

class Store {
  public:
    // An entry of more than a shard's part is not kept.
    explicit Store(std::size_t bytes) : bytes_per_shard_(bytes / shards) {}

    // The entry of this key, whatever its state; null if there is none.
    EntryPtr get(const std::string& key);
    // Keeps an entry, unless one of the same era that saw more is there.
    void put(const std::string& key, EntryPtr entry);
    // Forgets this entry, but not one that has replaced it.
    void erase(const std::string& key, const EntryPtr& entry);
    void clear();

    std::size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
    std::size_t entries() const { return entries_.load(std::memory_order_relaxed); }
    // Entries that went for want of room.
    std::uint64_t evictions() const { return evictions_.load(std::memory_order_relaxed); }

  private:
    static constexpr std::size_t shards = 16;

    struct Item {
        std::string key;
        EntryPtr entry;
        std::size_t bytes;
    };
    using Items = std::list<Item>;
    struct alignas(64) Shard {
        std::mutex mutex;
        Items items;  // the most recently used first
        std::unordered_map<std::string_view, Items::iterator> by_key;  // views of the items' keys
        std::size_t bytes = 0;
    };

    static std::size_t cost(const std::string& key, const Entry& entry);
    Shard& shard_of(const std::string& key) {
        return shards_[std::hash<std::string>{}(key) % shards];
    }
    void remove(Shard& shard, Items::iterator item);

    const std::size_t bytes_per_shard_;
    std::array<Shard, shards> shards_;
    std::atomic<std::size_t> bytes_{0};
    std::atomic<std::size_t> entries_{0};
    std::atomic<std::uint64_t> evictions_{0};
};

}  // namespace muster::cache
