// Bucketing of durations.
#include "metrics/histogram.hpp"

#include <algorithm>

namespace muster::metrics {

namespace {

// The bounds as they are compared with: in nanoseconds.
constexpr auto bounds = [] {
    std::array<std::int64_t, duration_bounds.size()> all{};
    for (std::size_t i = 0; i < all.size(); ++i) {
        all[i] = static_cast<std::int64_t>(duration_bounds[i] * 1e9 + 0.5);
    }
    return all;
}();

}  // namespace

void Histogram::record(std::chrono::nanoseconds duration) {
    const auto nanoseconds = std::max<std::int64_t>(duration.count(), 0);
    // A bucket holds what is at most its bound.
    const auto bucket =
        std::lower_bound(bounds.begin(), bounds.end(), nanoseconds) - bounds.begin();
    counts_[static_cast<std::size_t>(bucket)].add();
    nanoseconds_.add(static_cast<std::uint64_t>(nanoseconds));
}

HistogramValue Histogram::value() const {
    HistogramValue value;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        value.counts[i] = counts_[i].value();
    }
    value.sum = static_cast<double>(nanoseconds_.value()) / 1e9;
    return value;
}

HistogramValue& HistogramValue::operator+=(const HistogramValue& other) {
    for (std::size_t i = 0; i < counts.size(); ++i) {
        counts[i] += other.counts[i];
    }
    sum += other.sum;
    return *this;
}

std::uint64_t HistogramValue::count() const {
    std::uint64_t all = 0;
    for (std::uint64_t one : counts) {
        all += one;
    }
    return all;
}

}  // namespace muster::metrics
