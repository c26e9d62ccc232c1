// Policies from the configuration.
#include "limit/policy.hpp"

#include <algorithm>

namespace muster::limit {
namespace {

Policy policy_of(std::string name, const config::Limits::Quota& quota) {
    const std::int64_t rate = quota.rate;
    const std::int64_t burst = quota.burst;
    return {std::move(name), rate, quota_of(rate, burst), lease_of(rate, burst),
            (burst + rate - 1) / rate};
}

}  // namespace

std::int64_t lease_of(std::int64_t rate, std::int64_t burst) {
    return std::max<std::int64_t>(1, std::min(std::max<std::int64_t>(10, rate / 50), burst / 4));
}

Policies::Policies(const config::Limits& limits)
    : standard(policy_of("standard", limits.standard)),
      premium(policy_of("premium", limits.premium)),
      address(policy_of("address", limits.address)) {}

}  // namespace muster::limit
