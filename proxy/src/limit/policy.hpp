// The quotas that keys and addresses have, as configured.
#pragma once

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

struct Policies {
    explicit Policies(const config::Limits& limits);

    // The policy of a key's tier; `standard` for a tier that this version does not know.
    const Policy& of_tier(std::string_view tier) const {
        return tier == premium.name ? premium : standard;
    }

    const Policy standard;
    const Policy premium;
    const Policy address;
};

}  // namespace muster::limit
