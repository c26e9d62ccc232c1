// The choice, and the subtraction.
#include "timing/top_statements.hpp"

#include <algorithm>

namespace muster::timing {
namespace {

using metrics::HistogramValue;

HistogramValue less(HistogramValue value, const HistogramValue& told) {
    for (std::size_t i = 0; i < value.counts.size(); ++i) {
        value.counts[i] -= std::min(told.counts[i], value.counts[i]);
    }
    value.sum = std::max(value.sum - told.sum, 0.0);
    return value;
}

double seconds_of(const OutcomeHistograms& histograms) {
    double seconds = 0;
    for (const HistogramValue& one : histograms) {
        seconds += one.sum;
    }
    return seconds;
}

bool never_run(const OutcomeHistograms& histograms) {
    return std::all_of(histograms.begin(), histograms.end(),
                       [](const HistogramValue& one) { return one.count() == 0; });
}

}  // namespace

// Labels free places to the busiest, and has those that are twice as busy as the laziest with a
// label take its place: a tie does not move anything to and fro.
void TopStatements::choose() {
    std::vector<State*> with;
    std::vector<State*> without;
    for (auto& [key, state] : states_) {
        (state.labelled ? with : without).push_back(&state);
    }
    const auto busier = [](const State* a, const State* b) { return a->lately > b->lately; };
    std::sort(with.begin(), with.end(), busier);
    std::sort(without.begin(), without.end(), busier);
    for (State* candidate : without) {
        if (with.size() < most_) {
            with.push_back(candidate);
        } else if (!with.empty() && candidate->lately > 2 * with.back()->lately) {
            with.back()->labelled = false;
            with.back() = candidate;
        } else {
            break;
        }
        candidate->labelled = true;
        std::sort(with.begin(), with.end(), busier);
    }
}

std::vector<TopStatements::Series> TopStatements::read(
    const std::vector<StatementHistograms>& all) {
    for (const StatementHistograms& one : all) {
        if (one.key.hash == 0 || never_run(one.by_outcome)) {
            continue;
        }
        State& state = states_[one.key];
        const double seconds = seconds_of(one.by_outcome);
        state.lately = state.lately / 2 + std::max(seconds - state.seconds, 0.0);
        state.seconds = seconds;
        state.seen = true;
    }
    // What is no more counts among the others by now.
    std::erase_if(states_, [](const auto& entry) { return !entry.second.seen; });
    choose();

    std::vector<Series> series;
    OutcomeHistograms others{};
    for (const StatementHistograms& one : all) {
        const auto found = states_.find(one.key);
        const bool labelled = found != states_.end() && found->second.labelled;
        for (std::size_t i = 0; i < one.by_outcome.size(); ++i) {
            if (labelled) {
                series.push_back({one.name, static_cast<Outcome>(i),
                                  less(one.by_outcome[i], found->second.told[i])});
                others[i] += found->second.told[i];
            } else {
                others[i] += one.by_outcome[i];
            }
        }
        if (found != states_.end()) {
            found->second.seen = false;
            if (!labelled) {
                found->second.told = one.by_outcome;
            }
        }
    }
    for (std::size_t i = 0; i < others.size(); ++i) {
        series.push_back({"other", static_cast<Outcome>(i), others[i]});
    }
    return series;
}

}  // namespace muster::timing
