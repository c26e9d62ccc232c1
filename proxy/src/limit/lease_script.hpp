// What runs inside Redis. Its clock is Redis' own, so that the proxies' clocks do not matter.
#pragma once

#include <string_view>

namespace muster::limit {

// One key's bucket, as a theoretical arrival time in microseconds (see gcra.hpp). KEYS: the bucket.
// ARGV: tokens a second, burst, tokens wanted, the fewest that are of use, and tokens that passed
// without having been asked for, which are charged first. Returns the tokens granted (none, or from
// the fewest to what was wanted) and the bucket's backlog in microseconds.
extern const std::string_view lease_script;

// Who shares the quotas: a sorted set of proxies by the time they were last seen. KEYS: the set.
// ARGV: this proxy, and after how many microseconds one is forgotten. Returns their number.
extern const std::string_view presence_script;

}  // namespace muster::limit
