// The order of messages.
#include "cache/feed.hpp"

#include "cache/message.hpp"

namespace muster::cache {

void Feed::lose_touch() {
    last_id_.clear();
    fence_.lose_touch();
}

void Feed::gap() {
    counters_.gaps.add();
    fence_.lose_touch();
}

void Feed::change(std::string_view message) {
    auto change = Change::parse(message);
    const auto tick = change ? Change::tick_of(change->id) : std::nullopt;
    if (!tick) {
        counters_.malformed.add();
        lose_touch();
        return;
    }
    if (change->concerns_whole_table()) {
        change->tags.push_back(whole_table(change->tags.front() + ':'));
    }
    fence_.change(change->epoch, change->tags, change->xid);
    counters_.changes.add();
    const bool follows = last_id_.empty() || change->prev_id == last_id_;
    last_id_ = change->id;
    tick_ = *tick;
    if (!follows || change->xid == 0 || change->tags.empty()) {
        gap();
    }
}

// A tick of which nothing was heard was lost, unless this is the first that is heard of any.
void Feed::heartbeat(std::string_view message, TimePoint now) {
    const auto heartbeat = Heartbeat::parse(message);
    if (!heartbeat) {
        counters_.malformed.add();
        return;
    }
    counters_.heartbeats.add();
    if (!last_id_.empty() && heartbeat->tick > tick_) {
        counters_.gaps.add();
        fence_.raise_floor(heartbeat->epoch, heartbeat->snapshot);
    }
    tick_ = std::max(tick_, heartbeat->tick);
    fence_.heartbeat(heartbeat->epoch, heartbeat->snapshot, now);
}

}  // namespace muster::cache
