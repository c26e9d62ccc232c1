// The quotas that keys and addresses have, as configured.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "limit/gcra.hpp"

namespace muster::limit {

struct Policy {
    std::string name;  // "standard"
    std::int64_t rate = 1;
    Quota quota;
    std::int64_t lease = 1;   // tokens asked of Redis at a time
    std::int64_t window = 1;  // seconds in which an empty bucket fills, rounded up
};

// 10 tokens or 20 ms of the quota, whichever is more; but at most a quarter of the burst.
std::int64_t lease_of(std::int64_t rate, std::int64_t burst);

// Those of the wire door's clients; null where there is no limit.
class WirePolicies {
  public:
    explicit WirePolicies(const config::WireLimits& limits);

    const Policy* address() const { return address_ ? &*address_ : nullptr; }
    const Policy* user(const std::string& name) const { return users_.of(name); }
    const Policy* database(const std::string& name) const { return databases_.of(name); }
    // Whether any of them is shared with other proxies.
    bool shared() const { return users_.any() || databases_.any(); }

  private:
    struct Named {
        std::optional<Policy> usual;
        std::map<std::string, std::optional<Policy>> others;

        const Policy* of(const std::string& name) const;
        bool any() const;
    };
    static Named named(const std::string& kind, const config::WireLimits::Quota& usual,
                       const config::WireLimits::Exceptions& exceptions);

    const std::optional<Policy> address_;
    const Named users_;
    const Named databases_;
};

struct Policies {
    explicit Policies(const config::Limits& limits, const config::WireLimits& wire = {});

    // The policy of a key's tier; `standard` for a tier that this version does not know.
    const Policy& of_tier(std::string_view tier) const {
        return tier == premium.name ? premium : standard;
    }

    const Policy standard;
    const Policy premium;
    const Policy address;
    const WirePolicies wire;
};

}  // namespace muster::limit
