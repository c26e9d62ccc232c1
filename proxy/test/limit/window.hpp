// Checking what was admitted against the bound that the limits promise.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "limit/gcra.hpp"

namespace muster::test {

// A request that was admitted at some moment between these two.
struct Admitted {
    limit::Nanos before;
    limit::Nanos after;
};

// By how many requests the fullest of all windows exceeds rate * its length; negative if none does.
// A request counts in a window that surely holds it, so that a test that was kept waiting itself
// sees fewer, never more.
inline double excess(std::vector<Admitted> all, double rate) {
    std::sort(all.begin(), all.end(),
              [](const Admitted& a, const Admitted& b) { return a.after < b.after; });
    std::vector<limit::Nanos> starts;
    for (const Admitted& one : all) {
        starts.push_back(one.before);
    }
    std::sort(starts.begin(), starts.end());
    double worst = -1;
    for (const limit::Nanos start : starts) {
        std::int64_t count = 0;
        for (const Admitted& one : all) {
            if (one.before >= start) {
                ++count;
                const double length = static_cast<double>(one.after - start) / 1e9;
                worst = std::max(worst, static_cast<double>(count) - rate * length);
            }
        }
    }
    return worst;
}

}  // namespace muster::test
