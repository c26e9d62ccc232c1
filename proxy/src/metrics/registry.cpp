// Collection of the registered series into prometheus-cpp's types and its text format.
#include "metrics/registry.hpp"

#include <limits>
#include <sstream>
#include <stdexcept>
#include <utility>

#include <prometheus/text_serializer.h>

namespace muster::metrics {
namespace {

using Metrics = std::vector<prometheus::ClientMetric>;

prometheus::ClientMetric labelled(const Labels& labels) {
    prometheus::ClientMetric metric;
    for (const auto& [label, value] : labels) {
        prometheus::ClientMetric::Label pair;
        pair.name = label;
        pair.value = value;
        metric.label.push_back(std::move(pair));
    }
    return metric;
}

void fill(prometheus::ClientMetric::Histogram& histogram, const HistogramValue& value) {
    std::uint64_t cumulative = 0;
    for (std::size_t i = 0; i < value.counts.size(); ++i) {
        cumulative += value.counts[i];
        prometheus::ClientMetric::Bucket bucket;
        bucket.cumulative_count = cumulative;
        bucket.upper_bound = i < duration_bounds.size() ? duration_bounds[i]
                                                        : std::numeric_limits<double>::infinity();
        histogram.bucket.push_back(bucket);
    }
    histogram.sample_count = cumulative;
    histogram.sample_sum = value.sum;
}

}  // namespace

void Registry::counter(const std::string& name, const std::string& help, Labels labels,
                       std::function<double()> read) {
    add(name, help, prometheus::MetricType::Counter,
        [labels = std::move(labels), read = std::move(read)](Metrics& metrics) {
            metrics.push_back(labelled(labels));
            metrics.back().counter.value = read();
        });
}

void Registry::gauge(const std::string& name, const std::string& help, Labels labels,
                     std::function<double()> read) {
    add(name, help, prometheus::MetricType::Gauge,
        [labels = std::move(labels), read = std::move(read)](Metrics& metrics) {
            metrics.push_back(labelled(labels));
            metrics.back().gauge.value = read();
        });
}

void Registry::histogram(const std::string& name, const std::string& help, Labels labels,
                         std::function<HistogramValue()> read) {
    add(name, help, prometheus::MetricType::Histogram,
        [labels = std::move(labels), read = std::move(read)](Metrics& metrics) {
            metrics.push_back(labelled(labels));
            fill(metrics.back().histogram, read());
        });
}

void Registry::counters(const std::string& name, const std::string& help,
                        std::function<std::vector<Sample>()> read) {
    add(name, help, prometheus::MetricType::Counter, [read = std::move(read)](Metrics& metrics) {
        for (const Sample& sample : read()) {
            metrics.push_back(labelled(sample.labels));
            metrics.back().counter.value = sample.value;
        }
    });
}

void Registry::gauges(const std::string& name, const std::string& help,
                      std::function<std::vector<Sample>()> read) {
    add(name, help, prometheus::MetricType::Gauge, [read = std::move(read)](Metrics& metrics) {
        for (const Sample& sample : read()) {
            metrics.push_back(labelled(sample.labels));
            metrics.back().gauge.value = sample.value;
        }
    });
}

void Registry::add(const std::string& name, const std::string& help, prometheus::MetricType type,
                   Series series) {
    const std::lock_guard lock(mutex_);
    Family& family = families_.try_emplace(name, Family{help, type, {}}).first->second;
    if (family.type != type) {
        throw std::logic_error("metric " + name + " is registered with two different types");
    }
    family.series.push_back(std::move(series));
}

std::vector<prometheus::MetricFamily> Registry::Collect() const {
    const std::lock_guard lock(mutex_);
    std::vector<prometheus::MetricFamily> families;
    for (const auto& [name, family] : families_) {
        prometheus::MetricFamily out;
        out.name = name;
        out.help = family.help;
        out.type = family.type;
        for (const Series& series : family.series) {
            series(out.metric);
        }
        families.push_back(std::move(out));
    }
    return families;
}

std::string Registry::text() const {
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, Collect());
    return out.str();
}

}  // namespace muster::metrics
