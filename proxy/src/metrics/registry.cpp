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
void add_up(prometheus::ClientMetric& sum, const prometheus::ClientMetric& more) {
    sum.counter.value += more.counter.value;
    auto& histogram = sum.histogram;
    if (histogram.bucket.empty()) {
        histogram.bucket = more.histogram.bucket;
    } else {
        for (std::size_t i = 0; i < more.histogram.bucket.size(); ++i) {
            histogram.bucket[i].cumulative_count += more.histogram.bucket[i].cumulative_count;
        }
    }
    histogram.sample_count += more.histogram.sample_count;
    histogram.sample_sum += more.histogram.sample_sum;
    sum.gauge.value += more.gauge.value;
}

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

Registry::Registry() : state_(std::make_shared<State>()) {}

Registry::Registry(Registry& whole) : state_(std::make_shared<State>()), whole_(whole.state_) {
    const std::lock_guard lock(whole_->mutex);
    whole_->parts.push_back(state_.get());
}

Registry::~Registry() {
    leave();
    const std::lock_guard lock(state_->mutex);
    state_->over = true;
}

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

void Registry::histograms(const std::string& name, const std::string& help,
                          std::function<std::vector<HistogramSample>()> read) {
    add(name, help, prometheus::MetricType::Histogram, [read = std::move(read)](Metrics& metrics) {
        for (const HistogramSample& sample : read()) {
            metrics.push_back(labelled(sample.labels));
            fill(metrics.back().histogram, sample.value);
        }
    });
}

void Registry::add(const std::string& name, const std::string& help, prometheus::MetricType type,
                   Series series) {
    const std::lock_guard lock(state_->mutex);
    Family& family = state_->families.try_emplace(name, Family{help, type, {}}).first->second;
    if (family.type != type) {
        throw std::logic_error("metric " + name + " is registered with two different types");
    }
    family.series.push_back(std::move(series));
}

void Registry::Collected::add(const prometheus::ClientMetric& metric) {
    Labels labels;
    for (const auto& label : metric.label) {
        labels.emplace_back(label.name, label.value);
    }
    const auto [place, first] = places.try_emplace(std::move(labels), family.metric.size());
    if (first) {
        family.metric.push_back(metric);
    } else {
        add_up(family.metric[place->second], metric);
    }
}

void Registry::State::collect(Collection& into) const {
    const std::lock_guard lock(mutex);
    const auto of = [&into](const std::string& name, const std::string& help,
                            prometheus::MetricType type) -> Collected& {
        Collected& collected = into[name];
        collected.family.name = name;
        collected.family.help = help;
        collected.family.type = type;
        return collected;
    };
    for (const auto& [name, family] : families) {
        Collected& collected = of(name, family.help, family.type);
        for (const Series& series : family.series) {
            Metrics metrics;
            series(metrics);
            for (const prometheus::ClientMetric& metric : metrics) {
                collected.add(metric);
            }
        }
    }
    for (const auto& [name, counted] : past) {
        Collected& collected = of(name, counted.family.help, counted.family.type);
        for (const prometheus::ClientMetric& metric : counted.family.metric) {
            collected.add(metric);
        }
    }
    for (const State* part : parts) {
        part->collect(into);
    }
}

void Registry::leave() {
    const auto whole = std::exchange(whole_, nullptr);
    if (!whole) {
        return;
    }
    const std::lock_guard lock(whole->mutex);
    std::erase(whole->parts, state_.get());
    if (whole->over) {
        return;
    }
    state_->collect(whole->past);
    std::erase_if(whole->past, [](const auto& entry) {
        return entry.second.family.type == prometheus::MetricType::Gauge;
    });
}

std::vector<prometheus::MetricFamily> Registry::Collect() const {
    Collection collection;
    state_->collect(collection);
    std::vector<prometheus::MetricFamily> families;
    for (auto& [name, collected] : collection) {
        families.push_back(std::move(collected.family));
    }
    return families;
}

std::string Registry::text() const {
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, Collect());
    return out.str();
}

}  // namespace muster::metrics
