// Where PostgreSQL 14 to 18 differ from each other. The rest of the code reads like one server's.
#pragma once

#include "pg.hpp"

extern "C" {
#include "access/genam.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif
}

namespace muster::compat {

// AllocSetContextCreate is a macro that standard C++ warns of. The name must be a string constant.
inline MemoryContext small_context(MemoryContext parent, const char* name) {
    return AllocSetContextCreateInternal(parent, name, ALLOCSET_SMALL_SIZES);
}

// Claims the prefix of our settings, so that a misspelt one is refused or at least warned of.
inline void reserve_settings(const char* prefix) {
#if PG_VERSION_NUM >= 150000
    MarkGUCPrefixReserved(prefix);
#else
    EmitWarningsOnPlaceholders(prefix);
#endif
}

// Adds the index entries of a row just inserted.
inline void insert_index_entries(ResultRelInfo* target, TupleTableSlot* slot, EState* estate) {
#if PG_VERSION_NUM >= 160000
    ExecInsertIndexTuples(target, slot, estate, false, false, nullptr, NIL, false);
#else
    ExecInsertIndexTuples(target, slot, estate, false, false, nullptr, NIL);
#endif
}

// Starts reading a table by one of its indexes.
inline IndexScanDesc begin_index_scan(Relation table, Relation index, Snapshot snapshot, int keys) {
#if PG_VERSION_NUM >= 180000
    return index_beginscan(table, index, snapshot, nullptr, keys, 0);
#else
    return index_beginscan(table, index, snapshot, keys, 0);
#endif
}

inline Oid primary_key_index(Relation relation) {
#if PG_VERSION_NUM >= 180000
    return RelationGetPrimaryKeyIndex(relation, true);
#else
    return RelationGetPrimaryKeyIndex(relation);
#endif
}

// Tells this backend's transactions apart. It is there without an xid.
inline LocalTransactionId local_transaction() {
#if PG_VERSION_NUM >= 170000
    return MyProc->vxid.lxid;
#else
    return MyProc->lxid;
#endif
}

// This process' place in the array of all processes.
inline int my_process_number() {
#if PG_VERSION_NUM >= 170000
    return MyProcNumber;
#else
    return MyProc->pgprocno;
#endif
}

// Has `request` ask for its shared memory when the server counts what it needs: where there is a
// hook for that, in it, after those that were there before. To be called while preloading, once.
inline void on_shared_memory_request(void (*request)()) {
#if PG_VERSION_NUM >= 150000
    static void (*ours)();
    static shmem_request_hook_type previous;
    ours = request;
    previous = shmem_request_hook;
    shmem_request_hook = [] {
        if (previous != nullptr) {
            previous();
        }
        ours();
    };
#else
    request();
#endif
}

// Gives the relation new, empty storage.
inline void set_new_storage(Relation relation) {
#if PG_VERSION_NUM >= 160000
    RelationSetNewRelfilenumber(relation, relation->rd_rel->relpersistence);
#else
    RelationSetNewRelfilenode(relation, relation->rd_rel->relpersistence);
#endif
}

// Builds the indexes of a table again, and those of its TOAST table.
inline void rebuild_indexes(Oid relation) {
    ReindexParams parameters{};
#if PG_VERSION_NUM >= 170000
    reindex_relation(nullptr, relation, REINDEX_REL_PROCESS_TOAST, &parameters);
#else
    reindex_relation(relation, REINDEX_REL_PROCESS_TOAST, &parameters);
#endif
}

// Whether a column is computed when read, so that no tuple holds a value of it.
inline bool is_virtual(Form_pg_attribute attribute) {
#if PG_VERSION_NUM >= 180000
    return attribute->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL;
#else
    (void)attribute;
    return false;
#endif
}

}  // namespace muster::compat
