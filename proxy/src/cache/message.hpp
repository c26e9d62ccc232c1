// The relay's messages, as far as caches are concerned. Of a change only the leading members are
// read: the relay writes them first, in this order, and what follows may be megabytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/snapshot.hpp"

namespace muster::cache {

// The tag that a change of a whole table has beside its name, where others have "<table>:<key>".
// What is read by key has it, too.
std::string whole_table(std::string_view table_and_colon);

// {"id":"…","prev_id":"…","epoch":"…","xid":"…","tags":["…",…], …
struct Change {
    std::string id;
    std::string prev_id;
    std::string epoch;
    Xid xid = 0;  // 0: a reset
    std::vector<std::string> tags;

    static std::optional<Change> parse(std::string_view json);
    // Whether this concerns all rows of its table, and tells of none: TRUNCATE's.
    bool concerns_whole_table() const;
    // The tick that an id was published in.
    static std::optional<std::uint64_t> tick_of(std::string_view id);
};

// {"epoch":"…","tick":…,"snapshot":"…"}
struct Heartbeat {
    std::string epoch;
    std::uint64_t tick = 0;
    Snapshot snapshot;

    static std::optional<Heartbeat> parse(std::string_view json);
};

}  // namespace muster::cache
