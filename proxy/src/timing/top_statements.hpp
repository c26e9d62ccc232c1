// Which statements have labels of their own in the metrics: the busiest, up to a bound, and all the
// others together are "other".
//
// A statement is busy by the time that its runs have taken lately. One that becomes busy begins
// with what it has done since the last scrape, and what was told of it before stays with the
// others; one that is displaced goes to the others with all it has done. So no series ever goes
// down while it lives, and the sum over all is right at every scrape.
#pragma once

#include <array>
#include <map>
#include <string>
#include <vector>

#include "metrics/histogram.hpp"
#include "timing/statements.hpp"

namespace muster::timing {

class TopStatements {
  public:
    explicit TopStatements(std::size_t most) : most_(most) {}

    struct Series {
        std::string name;
        Outcome outcome;
        metrics::HistogramValue value;
    };
    // What to tell at a scrape, given what all statements of a door have come to. Those whose hash
    // is 0 are the door's others.
    std::vector<Series> read(const std::vector<StatementHistograms>& all);

  private:
    struct State {
        OutcomeHistograms told{};  // in the name of all others
        double seconds = 0;        // at the last scrape
        double lately = 0;         // seconds of late: each scrape halves what was before
        bool labelled = false;
        bool seen = false;  // at this scrape
    };
    void choose();

    const std::size_t most_;
    std::map<StatementKey, State> states_;
};

}  // namespace muster::timing
