// What this process knows of the changes in the database, and which answers are therefore still
// good: the cache's rule.
//
// An answer was read under a snapshot E. It may be served only while
//   - the relay's heartbeats come: without one for a second we may have missed any change;
//   - it belongs to the present era: transaction ids begin again after a crash, a failover or a
//     restore, so that snapshots of before say nothing about the changes of after;
//   - every known change of its tags is visible in E, and E covers the floors of its tags. A floor
//     is a snapshot that stands for all changes that are not known one by one.
// Changes are known from the relay's messages and from writes through this process. Since E itself
// says what it saw, neither the order of messages nor the time at which an answer arrives matters.
//
// Thread-safe. A judgement locks nothing but the shard of each tag. Time is passed in.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "cache/snapshot.hpp"
#include "runtime/asio.hpp"

namespace muster::cache {

class Fence {
  public:
    // Ends when transaction ids may have begun again. Counts from 1.
    using Era = std::uint64_t;
    // How many changes were known at some moment.
    using Moment = std::uint64_t;
    using Tags = std::span<const std::string>;

    static constexpr std::chrono::seconds heartbeat_patience{1};
    // How long an epoch stays distrusted after the server was seen to have been restarted. A
    // relay's session does not survive that, so that nothing of it is under way for longer.
    static constexpr std::chrono::seconds quarantine{5};

    enum class Verdict { serve, no_heartbeat, other_era, floor, changed };

    // `tags_per_shard` bounds the memory: when a shard is full, what it knows of single tags is
    // folded into its floor.
    explicit Fence(std::size_t tags_per_shard = 1024);

    // Whether an answer read under `snapshot` in `era` may be served now.
    Verdict judge(const Snapshot& snapshot, Era era, Tags tags, TimePoint now) const;

    // The same without the heartbeats: whether anything known speaks against it.
    Verdict judge_known(const Snapshot& snapshot, Era era, Tags tags) const;

    bool alive(TimePoint now) const;
    // When a heartbeat was heard last; long ago if none ever was.
    TimePoint last_heartbeat() const;
    Era era() const { return era_.load(std::memory_order_acquire); }
    Moment now_known() const { return known_.load(std::memory_order_acquire); }
    // Whether no change of these tags has become known since `moment`.
    bool unchanged_since(Moment moment, Tags tags) const;

    // The relay's present epoch; empty while there is none.
    std::string epoch() const;
    // The era in which this epoch's transaction ids mean something, if that is the present one.
    std::optional<Era> era_of(std::string_view epoch) const;
    // What the server of the present era said of itself; empty before the first answer.
    std::string incarnation() const;

    // A change that the relay of `epoch` has published.
    void change(std::string_view epoch, Tags tags, Xid xid);
    // Everything visible in `snapshot` has been published by the relay of `epoch`.
    void heartbeat(std::string_view epoch, const Snapshot& snapshot, TimePoint now);
    // Changes may have been missed: nothing is served until the next heartbeat, whose snapshot then
    // is everything's floor.
    void lose_touch();
    // Changes have been missed that are visible in `snapshot`.
    void raise_floor(std::string_view epoch, const Snapshot& snapshot);

    // What an answer of the database tells: it comes from the server `incarnation`, and was asked
    // for in era `asked`. Returns the era that it belongs to, nothing if that has passed. A server
    // that is another than before begins an era.
    std::optional<Era> observe(std::string_view incarnation, Era asked, TimePoint now);
    // As observe(), for a write of transaction `xid`, which changed `tags`. Returns the epoch for
    // its token; empty if no epoch fits.
    std::string wrote(std::string_view incarnation, Era asked, Tags tags, Xid xid, TimePoint now);

    std::size_t tags_known() const;

  private:
    static constexpr std::size_t shards = 64;
    static constexpr std::size_t most_xids = 16;     // of a tag, one by one
    static constexpr std::size_t most_retired = 16;  // epochs

    struct Tag {
        std::array<Xid, most_xids> xids{};
        std::size_t count = 0;
        Moment changed = 0;
        std::unique_ptr<const Snapshot> floor;  // null: none of its own
    };
    struct alignas(64) Shard {
        mutable std::mutex mutex;
        std::unordered_map<std::string, Tag> tags;
        Snapshot floor;  // of all its tags, known or not
        Moment changed = 0;
    };
    struct Retired {
        std::string epoch;
        TimePoint until;
    };

    // All of these with mutex_ held.
    bool is_retired(std::string_view epoch) const;
    bool enter_epoch(std::string_view epoch);
    void begin_era();
    void retire_epoch(TimePoint until);
    void raise(Tags tags, Xid xid);
    void raise_floors(const Snapshot& snapshot);
    void fold(Tag& tag) const;
    void empty(Shard& shard);

    Shard& shard_of(const std::string& tag) {
        return shards_[std::hash<std::string>{}(tag) % shards];
    }
    const Shard& shard_of(const std::string& tag) const {
        return shards_[std::hash<std::string>{}(tag) % shards];
    }

    const std::size_t tags_per_shard_;
    std::atomic<Era> era_{1};
    std::atomic<Moment> known_{1};
    std::atomic<Clock::rep> alive_until_;     // of Clock
    std::atomic<Clock::rep> last_heartbeat_;  // likewise
    std::array<Shard, shards> shards_;

    mutable std::mutex mutex_;  // of what follows, and of every change; locked before a shard's
    std::string epoch_;
    std::string incarnation_;
    std::vector<Retired> retired_;
    TimePoint latest_time_{};  // of the last call that said the time
    Snapshot latest_;          // of the last heartbeat
    bool touch_lost_ = true;
};

}  // namespace muster::cache
