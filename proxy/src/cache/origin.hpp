// Where an answer of the database comes from: the snapshot it was read under, the transaction that
// wrote it, and which run of which server that was.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cache/snapshot.hpp"

namespace muster::cache {

struct Origin {
    // The last column that a statement carries for this, of type text. Transaction ids may be used
    // again after a crash, by a postmaster that went on or by a new one: its start and the reset of
    // its statistics, which recovery throws away, tell the two runs of a server apart.
    static constexpr const char* sql =
        "concat_ws('|', pg_current_snapshot(), coalesce(pg_current_xact_id_if_assigned(), '0'),"
        " case when pg_is_in_recovery() then 'standby' else 'primary' end,"
        " extract(epoch from pg_postmaster_start_time()),"
        " extract(epoch from pg_stat_get_bgwriter_stat_reset_time()), current_database())";

    Snapshot snapshot;  // on a standby only what is certain there
    Xid xid = 0;        // 0: nothing was written
    std::string incarnation;

    // Reads that column.
    static std::optional<Origin> parse(std::string_view text);
};

}  // namespace muster::cache
