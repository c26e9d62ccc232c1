// What muster.rotate() cannot do in SQL: locking without waiting, emptying a table without anybody
// hearing of it, and telling writers where to write. Only muster.rotate() calls these functions.
#include "rotate/server.hpp"

extern "C" {
PGDLLEXPORT Datum muster_try_lock(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_empty(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_announce_rotation(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(muster_try_lock);
PG_FUNCTION_INFO_V1(muster_empty);
PG_FUNCTION_INFO_V1(muster_announce_rotation);
}

namespace muster::rotate {
namespace {

void empty_storage(Relation table) {
    compat::set_new_storage(table);
    const Oid toast_table = table->rd_rel->reltoastrelid;
    if (OidIsValid(toast_table)) {
        Relation toast = relation_open(toast_table, AccessExclusiveLock);
        compat::set_new_storage(toast);
        relation_close(toast, NoLock);
    }
}

}  // namespace
}  // namespace muster::rotate

// Locks the table against everybody until the transaction ends, if that is possible at once. LOCK
// TABLE ... NOWAIT would end the transaction where it is not.
Datum muster_try_lock(PG_FUNCTION_ARGS) {
    PG_RETURN_BOOL(ConditionalLockRelationOid(PG_GETARG_OID(0), AccessExclusiveLock));
}

// Empties a table that muster_try_lock() has locked, as TRUNCATE does, but for this: a TRUNCATE is
// replicated, and would empty the table of a subscriber, whose own it is.
Datum muster_empty(PG_FUNCTION_ARGS) {
    Relation table = table_open(PG_GETARG_OID(0), AccessExclusiveLock);
    CheckTableNotInUse(table, "empty");
    muster::rotate::empty_storage(table);
    muster::compat::rebuild_indexes(RelationGetRelid(table));
    pgstat_count_truncate(table);
    table_close(table, NoLock);
    PG_RETURN_VOID();
}

// Tells every session, when the transaction commits, that muster.rotation has changed.
Datum muster_announce_rotation(PG_FUNCTION_ARGS) {
    CacheInvalidateRelcacheByRelid(PG_GETARG_OID(0));
    PG_RETURN_VOID();
}
