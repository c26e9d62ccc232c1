// Reading and merging.
#include "metrics/histogram.hpp"

namespace muster::metrics {

HistogramValue Histogram::value() const {
    HistogramValue value;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        value.counts[i] = counts_[i].value();
    }
    value.sum = static_cast<double>(nanoseconds_.value()) / 1e9;
    return value;
}

void Histogram::absorb(const Histogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        counts_[i].add(other.counts_[i].value());
    }
    nanoseconds_.add(other.nanoseconds_.value());
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
