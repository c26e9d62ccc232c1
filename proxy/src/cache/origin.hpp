// Where an answer of the database comes from: the snapshot it was read under, the transaction that
// wrote it, and which run of which server that was.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cache/snapshot.hpp"

namespace muster::cache {

struct Origin {
    // The last column that a statement carries for this, of type text.
    static constexpr const char* sql = "muster.origin()";

    Snapshot snapshot;        // on a standby only what is certain there
    Xid xid = 0;              // 0: nothing was written
    std::string incarnation;  // which run of which server, and the database

    // Reads that column.
    static std::optional<Origin> parse(std::string_view text);
};

}  // namespace muster::cache
