// The rule, and how it learns.
#include "cache/fence.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace muster::cache {
namespace {

constexpr Clock::rep never = std::numeric_limits<Clock::rep>::min();

}  // namespace

Fence::Fence(std::size_t tags_per_shard)
    : tags_per_shard_(tags_per_shard), alive_until_(never), last_heartbeat_(0) {}

TimePoint Fence::last_heartbeat() const {
    return TimePoint(Clock::duration(last_heartbeat_.load(std::memory_order_acquire)));
}

bool Fence::alive(TimePoint now) const {
    return now.time_since_epoch().count() < alive_until_.load(std::memory_order_acquire);
}

Fence::Verdict Fence::judge(const Snapshot& snapshot, Era era, Tags tags, TimePoint now) const {
    if (!alive(now)) {
        return Verdict::no_heartbeat;
    }
    const Verdict verdict = judge_known(snapshot, era, tags);
    return verdict == Verdict::serve && !alive(now) ? Verdict::no_heartbeat : verdict;
}

Fence::Verdict Fence::judge_known(const Snapshot& snapshot, Era era, Tags tags) const {
    if (era != this->era()) {
        return Verdict::other_era;
    }
    for (const std::string& name : tags) {
        const Shard& shard = shard_of(name);
        const std::lock_guard lock(shard.mutex);
        if (!snapshot.covers(shard.floor)) {
            return Verdict::floor;
        }
        const auto found = shard.tags.find(name);
        if (found == shard.tags.end()) {
            continue;
        }
        const Tag& tag = found->second;
        if (tag.floor && !snapshot.covers(*tag.floor)) {
            return Verdict::floor;
        }
        const auto xids = std::span(tag.xids).first(tag.count);
        if (!std::all_of(xids.begin(), xids.end(), [&](Xid xid) { return snapshot.sees(xid); })) {
            return Verdict::changed;
        }
    }
    // A new era forgets the tags of the old one after it has begun: if it began meanwhile, what was
    // found above means nothing.
    return era == this->era() ? Verdict::serve : Verdict::other_era;
}

bool Fence::unchanged_since(Moment moment, Tags tags) const {
    return std::all_of(tags.begin(), tags.end(), [&](const std::string& name) {
        const Shard& shard = shard_of(name);
        const std::lock_guard lock(shard.mutex);
        const auto found = shard.tags.find(name);
        return shard.changed <= moment &&
               (found == shard.tags.end() || found->second.changed <= moment);
    });
}

std::string Fence::epoch() const {
    const std::lock_guard lock(mutex_);
    return epoch_;
}

std::optional<Fence::Era> Fence::era_of(std::string_view epoch) const {
    const std::lock_guard lock(mutex_);
    return !epoch.empty() && epoch == epoch_ ? std::optional(era()) : std::nullopt;
}

std::string Fence::incarnation() const {
    const std::lock_guard lock(mutex_);
    return incarnation_;
}

void Fence::change(std::string_view epoch, Tags tags, Xid xid) {
    const std::lock_guard lock(mutex_);
    if (enter_epoch(epoch)) {
        raise(tags, xid);
    }
}

void Fence::heartbeat(std::string_view epoch, const Snapshot& snapshot, TimePoint now) {
    const std::lock_guard lock(mutex_);
    latest_time_ = now;
    if (!enter_epoch(epoch)) {
        return;
    }
    if (touch_lost_ || !alive(now)) {
        raise_floors(snapshot);
        touch_lost_ = false;
    }
    if (snapshot.covers(latest_)) {
        latest_ = snapshot;
    }
    last_heartbeat_.store(now.time_since_epoch().count(), std::memory_order_release);
    const auto until = (now + heartbeat_patience).time_since_epoch().count();
    alive_until_.store(std::max(until, alive_until_.load(std::memory_order_relaxed)),
                       std::memory_order_release);
}

void Fence::lose_touch() {
    const std::lock_guard lock(mutex_);
    touch_lost_ = true;
    alive_until_.store(never, std::memory_order_release);
}

void Fence::raise_floor(std::string_view epoch, const Snapshot& snapshot) {
    const std::lock_guard lock(mutex_);
    if (enter_epoch(epoch)) {
        raise_floors(snapshot);
    }
}

std::optional<Fence::Era> Fence::observe(std::string_view incarnation, Era asked, TimePoint now) {
    const std::lock_guard lock(mutex_);
    latest_time_ = now;
    if (asked != era()) {
        return std::nullopt;
    }
    if (!incarnation_.empty() && incarnation != incarnation_) {
        // The relay will come back with an epoch of its own. Its old one says nothing any more.
        retire_epoch(now + quarantine);
        begin_era();
    }
    incarnation_ = incarnation;
    return era();
}

std::string Fence::wrote(std::string_view incarnation, Era asked, Tags tags, Xid xid,
                         TimePoint now) {
    observe(incarnation, asked, now);
    const std::lock_guard lock(mutex_);
    // A write of a server that has ended since: every snapshot of the present one was taken later.
    if (!incarnation_.empty() && incarnation != incarnation_) {
        return {};
    }
    raise(tags, xid);
    return incarnation_.empty() ? std::string() : epoch_;
}

std::size_t Fence::tags_known() const {
    std::size_t count = 0;
    for (const Shard& shard : shards_) {
        const std::lock_guard lock(shard.mutex);
        count += shard.tags.size();
    }
    return count;
}

bool Fence::is_retired(std::string_view epoch) const {
    return std::any_of(retired_.begin(), retired_.end(), [&](const Retired& one) {
        return one.epoch == epoch && latest_time_ < one.until;
    });
}

// Makes `epoch` the present one. False if it has been left before: what still comes of it is late.
bool Fence::enter_epoch(std::string_view epoch) {
    if (epoch == epoch_) {
        return true;
    }
    if (is_retired(epoch)) {
        return false;
    }
    if (!epoch_.empty()) {
        retire_epoch(TimePoint::max());
        begin_era();
        incarnation_.clear();  // what is asked from now on is asked of the new relay's server
    }
    epoch_ = epoch;
    touch_lost_ = true;
    alive_until_.store(never, std::memory_order_release);
    return true;
}

void Fence::retire_epoch(TimePoint until) {
    if (epoch_.empty()) {
        return;
    }
    std::erase_if(retired_, [&](const Retired& one) { return one.epoch == epoch_; });
    if (retired_.size() >= most_retired) {
        retired_.erase(retired_.begin());
    }
    retired_.push_back({std::exchange(epoch_, {}), until});
}

// First the number, then the forgetting: judge() reads them in the other order.
void Fence::begin_era() {
    era_.fetch_add(1, std::memory_order_acq_rel);
    alive_until_.store(never, std::memory_order_release);
    touch_lost_ = true;
    latest_ = Snapshot();
    const Moment moment = known_.fetch_add(1, std::memory_order_acq_rel) + 1;
    for (Shard& shard : shards_) {
        const std::lock_guard lock(shard.mutex);
        shard.tags.clear();
        shard.floor = Snapshot();
        shard.changed = moment;
    }
}

void Fence::raise(Tags tags, Xid xid) {
    const Moment moment = known_.fetch_add(1, std::memory_order_acq_rel) + 1;
    for (const std::string& name : tags) {
        Shard& shard = shard_of(name);
        const std::lock_guard lock(shard.mutex);
        if (shard.tags.size() >= tags_per_shard_ && !shard.tags.contains(name)) {
            empty(shard);
            shard.changed = moment;
        }
        Tag& tag = shard.tags[name];
        tag.changed = moment;
        const auto known = std::span(tag.xids).first(tag.count);
        if (std::find(known.begin(), known.end(), xid) != known.end()) {
            continue;
        }
        if (tag.count == most_xids) {
            fold(tag);
        }
        tag.xids[tag.count++] = xid;
    }
}

void Fence::raise_floors(const Snapshot& snapshot) {
    const Moment moment = known_.fetch_add(1, std::memory_order_acq_rel) + 1;
    for (Shard& shard : shards_) {
        const std::lock_guard lock(shard.mutex);
        shard.floor = shard.floor.joined(snapshot);
        shard.changed = moment;
    }
}

// Replaces a full list by a floor that sees all of it. The last heartbeat's snapshot is its base:
// what was open then, and is not of the list, may still be.
void Fence::fold(Tag& tag) const {
    Snapshot floor = latest_.including(std::span(tag.xids).first(tag.count));
    if (tag.floor) {
        floor = floor.joined(*tag.floor);
    }
    tag.floor = std::make_unique<const Snapshot>(std::move(floor));
    tag.count = 0;
}

// Folds all that is known of single tags into the shard's floor.
void Fence::empty(Shard& shard) {
    for (auto& [name, tag] : shard.tags) {
        fold(tag);
        shard.floor = shard.floor.joined(*tag.floor);
    }
    shard.tags.clear();
}

}  // namespace muster::cache
