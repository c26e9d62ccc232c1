// Collection of the registered series into prometheus-cpp's types and its text format.
#include "metrics/registry.hpp"

#include <limits>
#include <sstream>
#include <stdexcept>
#include <utility>

#include <prometheus/text_serializer.h>

namespace muster::metrics {

void Registry::counter(const std::string& name, const std::string& help, Labels labels,
                       std::function<double()> read) {
    add(name, help, prometheus::MetricType::Counter,
        {std::move(labels), [read = std::move(read)](prometheus::ClientMetric& metric) {
             metric.counter.value = read();
         }});
}

void Registry::gauge(const std::string& name, const std::string& help, Labels labels,
                     std::function<double()> read) {
    add(name, help, prometheus::MetricType::Gauge,
        {std::move(labels), [read = std::move(read)](prometheus::ClientMetric& metric) {
             metric.gauge.value = read();
         }});
}

void Registry::histogram(const std::string& name, const std::string& help, Labels labels,
                         std::function<HistogramValue()> read) {
    add(name, help, prometheus::MetricType::Histogram,
        {std::move(labels), [read = std::move(read)](prometheus::ClientMetric& metric) {
             const HistogramValue value = read();
             std::uint64_t cumulative = 0;
             for (std::size_t i = 0; i < value.counts.size(); ++i) {
                 cumulative += value.counts[i];
                 prometheus::ClientMetric::Bucket bucket;
                 bucket.cumulative_count = cumulative;
                 bucket.upper_bound = i < duration_bounds.size()
                                          ? duration_bounds[i]
                                          : std::numeric_limits<double>::infinity();
                 metric.histogram.bucket.push_back(bucket);
             }
             metric.histogram.sample_count = cumulative;
             metric.histogram.sample_sum = value.sum;
         }});
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
            prometheus::ClientMetric metric;
            for (const auto& [label, value] : series.labels) {
                prometheus::ClientMetric::Label pair;
                pair.name = label;
                pair.value = value;
                metric.label.push_back(std::move(pair));
            }
            series.read(metric);
            out.metric.push_back(std::move(metric));
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
