// What the process has to tell Prometheus: series registered by the rooms, read when scraped.
//
// A room keeps its own counters and registers how to read them. Readers run on the scraping thread,
// so they may only read atomics (or lock what the hot path does not), and what they refer to must
// live until the last scrape.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include "metrics/histogram.hpp"

namespace muster::metrics {

using Labels = std::vector<std::pair<std::string, std::string>>;

class Registry : public prometheus::Collectable {
  public:
    Registry();
    // A part of `whole`, for what may be replaced while the process runs: its series show there,
    // added to those of the same name and labels.
    explicit Registry(Registry& whole);
    ~Registry() override;
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;

    // Ends a part, before what its series read goes: what was counted stays in the whole's counters
    // and histograms, and the gauges go.
    void leave();

    // Adds one series to the family `name`, made with the first of them. Names and labels follow
    // Prometheus' conventions: counters end in _total, durations in _seconds.
    void counter(const std::string& name, const std::string& help, Labels labels,
                 std::function<double()> read);
    void gauge(const std::string& name, const std::string& help, Labels labels,
               std::function<double()> read);
    void histogram(const std::string& name, const std::string& help, Labels labels,
                   std::function<HistogramValue()> read);

    // A family whose series come and go: `read` gives those there are at a scrape.
    struct Sample {
        Labels labels;
        double value;
    };
    void counters(const std::string& name, const std::string& help,
                  std::function<std::vector<Sample>()> read);
    void gauges(const std::string& name, const std::string& help,
                std::function<std::vector<Sample>()> read);
    struct HistogramSample {
        Labels labels;
        HistogramValue value;
    };
    void histograms(const std::string& name, const std::string& help,
                    std::function<std::vector<HistogramSample>()> read);

    std::vector<prometheus::MetricFamily> Collect() const override;

    // Everything in the text exposition format.
    std::string text() const;

  private:
    // Appends what it reads, with its labels.
    using Series = std::function<void(std::vector<prometheus::ClientMetric>&)>;
    struct Family {
        std::string help;
        prometheus::MetricType type;
        std::vector<Series> series;
    };
    // A family with one metric for all that have the same labels.
    struct Collected {
        prometheus::MetricFamily family;
        std::map<Labels, std::size_t> places;  // of family.metric

        void add(const prometheus::ClientMetric& metric);
    };
    using Collection = std::map<std::string, Collected>;

    // What is shared with the parts, which may outlive the whole.
    struct State {
        mutable std::mutex mutex;  // of start-up, reload and scrapes
        bool over = false;         // nothing is read any more
        std::map<std::string, Family> families;
        std::vector<const State*> parts;
        Collection past;  // what parts counted that have gone

        void collect(Collection& into) const;
    };

    void add(const std::string& name, const std::string& help, prometheus::MetricType type,
             Series series);

    const std::shared_ptr<State> state_;
    std::shared_ptr<State> whole_;  // null: this is no part, or not any more
};

}  // namespace muster::metrics
