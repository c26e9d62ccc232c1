// Policies from the configuration.
#include "limit/policy.hpp"

#include <algorithm>

namespace muster::limit {
namespace {

Policy policy_of(std::string name, std::int64_t rate, std::int64_t burst) {
    return {std::move(name), rate, quota_of(rate, burst), lease_of(rate, burst),
            (burst + rate - 1) / rate};
}

Policy policy_of(std::string name, const config::Limits::Quota& quota) {
    return policy_of(std::move(name), quota.rate, quota.burst);
}

std::optional<Policy> policy_of(std::string name, const config::WireLimits::Quota& quota) {
    if (quota.rate == 0) {
        return std::nullopt;
    }
    return policy_of(std::move(name), quota.rate, quota.burst == 0 ? quota.rate : quota.burst);
}

}  // namespace

std::int64_t lease_of(std::int64_t rate, std::int64_t burst) {
    return std::max<std::int64_t>(1, std::min(std::max<std::int64_t>(10, rate / 50), burst / 4));
}

WirePolicies::WirePolicies(const config::WireLimits& limits)
    : address_(policy_of("wire-address", limits.address)),
      users_(named("wire-user", limits.user, limits.users)),
      databases_(named("wire-database", limits.database, limits.databases)) {}

WirePolicies::Named WirePolicies::named(const std::string& kind,
                                        const config::WireLimits::Quota& usual,
                                        const config::WireLimits::Exceptions& exceptions) {
    Named all{policy_of(kind, usual), {}};
    for (const auto& [name, exception] : exceptions) {
        // A rate of its own has its own burst.
        const config::WireLimits::Quota quota{
            exception.rate.value_or(usual.rate),
            exception.burst.value_or(exception.rate ? 0 : usual.burst)};
        all.others.emplace(name, policy_of(kind, quota));
    }
    return all;
}

const Policy* WirePolicies::Named::of(const std::string& name) const {
    const auto found = others.find(name);
    const std::optional<Policy>& policy = found == others.end() ? usual : found->second;
    return policy ? &*policy : nullptr;
}

bool WirePolicies::Named::any() const {
    return usual || std::any_of(others.begin(), others.end(),
                                [](const auto& entry) { return entry.second.has_value(); });
}

Policies::Policies(const config::Limits& limits, const config::WireLimits& wire_limits)
    : standard(policy_of("standard", limits.standard)),
      premium(policy_of("premium", limits.premium)),
      address(policy_of("address", limits.address)),
      wire(wire_limits) {}

}  // namespace muster::limit
