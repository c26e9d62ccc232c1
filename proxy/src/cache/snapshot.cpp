// Snapshots as sets of transactions.
#include "cache/snapshot.hpp"

#include <algorithm>
#include <charconv>

namespace muster::cache {
namespace {

// Takes a decimal number off the front of `text`.
std::optional<Xid> take_number(std::string_view& text) {
    Xid number = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) {
        return std::nullopt;
    }
    text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
    return number;
}

bool take(std::string_view& text, char c) {
    if (text.empty() || text.front() != c) {
        return false;
    }
    text.remove_prefix(1);
    return true;
}

}  // namespace

Snapshot::Snapshot(Xid xmax, std::vector<Xid> xip)
    : xmin_(xip.empty() ? xmax : xip.front()), xmax_(xmax), xip_(std::move(xip)) {}

std::optional<Snapshot> Snapshot::parse(std::string_view text) {
    const auto xmin = take_number(text);
    if (!xmin || *xmin == 0 || !take(text, ':')) {
        return std::nullopt;
    }
    const auto xmax = take_number(text);
    if (!xmax || *xmax < *xmin || !take(text, ':')) {
        return std::nullopt;
    }
    Snapshot snapshot;
    snapshot.xmin_ = *xmin;
    snapshot.xmax_ = *xmax;
    while (!text.empty()) {
        const auto xid = take_number(text);
        const Xid least = snapshot.xip_.empty() ? *xmin : snapshot.xip_.back() + 1;
        if (!xid || *xid < least || *xid >= *xmax ||
            (!text.empty() && (!take(text, ',') || text.empty()))) {
            return std::nullopt;
        }
        snapshot.xip_.push_back(*xid);
    }
    return snapshot;
}

std::string Snapshot::text() const {
    std::string out = std::to_string(xmin_) + ':' + std::to_string(xmax_) + ':';
    for (const Xid xid : xip_) {
        out += (xid == xip_.front() ? "" : ",") + std::to_string(xid);
    }
    return out;
}

bool Snapshot::sees(Xid xid) const {
    return xid < xmin_ || (xid < xmax_ && !std::binary_search(xip_.begin(), xip_.end(), xid));
}

bool Snapshot::covers(const Snapshot& other) const {
    if (xmax_ < other.xmax_) {
        return false;
    }
    return std::all_of(xip_.begin(), xip_.end(), [&](Xid xid) { return !other.sees(xid); });
}

Snapshot Snapshot::joined(const Snapshot& other) const {
    std::vector<Xid> xip;
    std::set_union(xip_.begin(), xip_.end(), other.xip_.begin(), other.xip_.end(),
                   std::back_inserter(xip));
    std::erase_if(xip, [&](Xid xid) { return sees(xid) || other.sees(xid); });
    return {std::max(xmax_, other.xmax_), std::move(xip)};
}

Snapshot Snapshot::including(std::span<const Xid> xids) const {
    Xid xmax = xmax_;
    std::vector<Xid> xip = xip_;
    for (const Xid xid : xids) {
        xmax = std::max(xmax, xid + 1);
        std::erase(xip, xid);
    }
    return {xmax, std::move(xip)};
}

Snapshot Snapshot::certain_on_standby() const {
    return {xmin_, {}};
}

}  // namespace muster::cache
