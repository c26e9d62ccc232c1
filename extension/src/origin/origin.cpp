// Where an answer comes from: the snapshot it is read under, the transaction that writes, and which
// run of which server this is. Transaction ids may be used again after a crash, by a postmaster
// that went on or by a new one: its start and the reset of its statistics, which recovery throws
// away, tell the two runs apart.
#include "compat.hpp"

extern "C" {
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "commands/dbcommands.h"
#include "lib/stringinfo.h"
#include "pgstat.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

PGDLLEXPORT Datum muster_origin(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(muster_origin);
}

// "<snapshot>|<transaction id, or 0>|primary or standby|<start>|<statistics' reset>|<database>",
// the times in microseconds since 2000.
Datum muster_origin(PG_FUNCTION_ARGS) {
    const Datum snapshot = pg_current_snapshot(fcinfo);
    StringInfoData out;
    initStringInfo(&out);
    appendStringInfoString(&out, DatumGetCString(DirectFunctionCall1(pg_snapshot_out, snapshot)));
    appendStringInfo(&out, "|" UINT64_FORMAT "|%s|" INT64_FORMAT "|" INT64_FORMAT "|%s",
                     U64FromFullTransactionId(GetTopFullTransactionIdIfAny()),
                     RecoveryInProgress() ? "standby" : "primary", PgStartTime,
                     pgstat_fetch_stat_bgwriter()->stat_reset_timestamp,
                     get_database_name(MyDatabaseId));
    PG_RETURN_TEXT_P(cstring_to_text_with_len(out.data, out.len));
}
