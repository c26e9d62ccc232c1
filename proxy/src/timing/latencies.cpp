// Reading, merging and percentiles.
#include "timing/latencies.hpp"

#include <cmath>

namespace muster::timing {

using std::chrono::nanoseconds;

LatencyCounts& LatencyCounts::operator+=(const LatencyCounts& other) {
    for (std::size_t i = 0; i < counts.size(); ++i) {
        counts[i] += other.counts[i];
    }
    total += other.total;
    sum += other.sum;
    max = std::max(max, other.max);
    return *this;
}

nanoseconds LatencyCounts::quantile(double q) const {
    if (total == 0) {
        return nanoseconds(0);
    }
    const auto rank = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(total)));
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        below += counts[i];
        if (counts[i] > 0 && below >= rank) {
            return std::min(buckets::middle(i), max);
        }
    }
    return max;
}

LatencyCounts Latencies::read() const {
    LatencyCounts read;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        read.counts[i] = counts_[i].value();
        read.total += read.counts[i];
    }
    read.sum = nanoseconds(static_cast<std::int64_t>(sum_.value()));
    read.max = nanoseconds(max_.value());
    return read;
}

void Latencies::absorb(const Latencies& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        counts_[i].add(other.counts_[i].value());
    }
    sum_.add(other.sum_.value());
    max_.set(std::max(max_.value(), other.max_.value()));
}

void Latencies::clear() {
    for (metrics::Counter& count : counts_) {
        count.set(0);
    }
    sum_.set(0);
    max_.set(0);
}

}  // namespace muster::timing
