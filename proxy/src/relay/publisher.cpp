// Publishes the rows of one tick after the other.
#include "relay/publisher.hpp"

#include <algorithm>

#include "relay/message.hpp"

namespace muster::relay {

void Publisher::begin(std::uint64_t generation, std::uint64_t tick, std::uint64_t first_n) {
    next_ = StreamId::of(generation, tick, first_n);
}

void Publisher::add(std::string_view fixed) {
    held_.push_back({next_, splice(next_, position_.previous, epoch_, fixed)});
    held_bytes_ += held_.back().message.size();
    position_.previous = next_;
    ++next_.n;
}

bool Publisher::take(const postgres::Rows& row) {
    if (state_ != State::good)
        return false;
    add(row.get(0, 0));
    return held_.size() >= chunk_entries || held_bytes_ >= chunk_bytes;
}

Task<> Publisher::flush() {
    if (state_ != State::good || held_.empty())
        co_return;
    const std::vector<Entry> entries = std::exchange(held_, {});
    held_bytes_ = 0;
    const auto first_new =
        std::upper_bound(entries.begin(), entries.end(), position_.known,
                         [](StreamId known, const Entry& entry) { return known < entry.id; });
    auto published = co_await stream_.publish(
        position_.last, entries, static_cast<std::size_t>(first_new - entries.begin()));
    if (!published) {
        state_ = State::failed;
        error_ = published.error().message;
        co_return;
    }
    position_.last = published.value().last;
    if (published.value().done)
        count(stats_.published, entries.size());
    else {
        state_ = State::mismatch;
        count(stats_.refused);
    }
}

}  // namespace muster::relay
