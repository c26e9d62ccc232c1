// The words in shared memory: who sleeps for which database, and who wakes him.
#include "wake/wake.hpp"

extern "C" {
PGDLLEXPORT Datum muster_wake_arm(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_wake_wait(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum muster_wake_owner(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(muster_wake_arm);
PG_FUNCTION_INFO_V1(muster_wake_wait);
PG_FUNCTION_INFO_V1(muster_wake_owner);
}

namespace muster::wake {
namespace {

// Databases whose relays can sleep at one time; those of further ones poll.
constexpr int slot_count = 64;
// A session that waits is inside a statement, whose snapshot holds back what can be cleaned up.
constexpr int longest_wait_ms = 500;

// What a sleeper writes into its word: its number among the processes, plus one; 0 is nobody. The
// word says both that there is a sleeper and who it is, so that whoever takes it has both at once.
// The number is good for ever: should its process be gone by then, another one finds its latch set
// without a reason, which every process is used to.
using Sleeper = uint32;
constexpr Sleeper nobody = 0;

struct Slot {
    pg_atomic_uint32 sleeper;
    pg_atomic_uint32 owner;  // the same of who arms this slot; changed under the lock
    char rest[64 - 2 * sizeof(pg_atomic_uint32)];  // of its cache line
};

struct Area {
    LWLock* lock;                            // of handing out slots
    pg_atomic_uint32 databases[slot_count];  // InvalidOid: free
    Slot slots[slot_count];
};

Area* area;           // null unless the library was preloaded
bool enabled = true;  // muster.wake
bool wrote;           // this transaction wrote the outbox
int armed = -1;       // the slot that this process owns, if it still does

shmem_startup_hook_type previous_startup;

Sleeper myself() {
    return static_cast<Sleeper>(compat::my_process_number()) + 1;
}

// The slot of this process' database, or -1. Needs no lock for waking: should the slot change hands
// meanwhile, another database's relay wakes and finds nothing.
int find_slot() {
    static int last = 0;
    if (pg_atomic_read_u32(&area->databases[last]) == MyDatabaseId) {
        return last;
    }
    for (int i = 0; i < slot_count; i++) {
        if (pg_atomic_read_u32(&area->databases[i]) == MyDatabaseId) {
            last = i;
            return i;
        }
    }
    return -1;
}

// Wakes the database's sleeper, if there is one. Must not raise: the transaction is committed.
void wake() {
    const int found = find_slot();
    if (found < 0) {
        return;
    }
    pg_atomic_uint32* word = &area->slots[found].sleeper;
    // The commit is visible by now. The sleeper wrote the word, then looked at what is visible: at
    // least one of us two sees the other. Reading first leaves the line shared while nobody sleeps.
    pg_memory_barrier();
    if (pg_atomic_read_u32(word) == nobody) {
        return;
    }
    const Sleeper sleeper = pg_atomic_exchange_u32(word, nobody);
    if (sleeper != nobody) {
        SetLatch(&GetPGProcByNumber(static_cast<int>(sleeper - 1))->procLatch);
    }
}

void on_transaction_end(XactEvent event, void*) {
    if (!wrote) {
        return;
    }
    switch (event) {
        case XACT_EVENT_COMMIT:
            wrote = false;
            if (enabled) {
                wake();
            }
            break;
        case XACT_EVENT_ABORT:
        case XACT_EVENT_PREPARE:
            wrote = false;
            break;
        default:
            break;
    }
}

// Gives the slot back, unless another process has taken it over.
void on_exit(int, Datum) {
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    if (armed >= 0 && pg_atomic_read_u32(&area->slots[armed].owner) == myself()) {
        pg_atomic_write_u32(&area->slots[armed].sleeper, nobody);
        pg_atomic_write_u32(&area->slots[armed].owner, nobody);
        pg_atomic_write_u32(&area->databases[armed], InvalidOid);
    }
    LWLockRelease(area->lock);
    armed = -1;
}

// Makes a slot this process' own: the one its database has, whoever had it, or a free one. Returns
// -1 if all are taken by other databases. At most one slot is a database's, since slots are handed
// out under the lock.
int take_slot() {
    static bool exit_registered = false;
    if (!exit_registered) {
        before_shmem_exit(on_exit, static_cast<Datum>(0));
        exit_registered = true;
    }
    LWLockAcquire(area->lock, LW_EXCLUSIVE);
    int found = -1;
    for (int i = 0; i < slot_count; i++) {
        const Oid database = pg_atomic_read_u32(&area->databases[i]);
        if (database == MyDatabaseId) {
            found = i;
            break;
        }
        if (database == InvalidOid && found < 0) {
            found = i;
        }
    }
    if (found >= 0) {
        pg_atomic_write_u32(&area->slots[found].owner, myself());
        pg_atomic_write_u32(&area->databases[found], MyDatabaseId);
    }
    LWLockRelease(area->lock);
    return found;
}

bool owns_slot() {
    return armed >= 0 && pg_atomic_read_u32(&area->slots[armed].owner) == myself();
}

bool arm() {
    if (area == nullptr || !enabled) {
        return false;
    }
    if (!owns_slot()) {
        armed = take_slot();
    }
    if (armed < 0) {
        return false;
    }
    // A full barrier, as wake() relies on.
    pg_atomic_exchange_u32(&area->slots[armed].sleeper, myself());
    return true;
}

bool wait(int timeout_ms) {
    pg_atomic_uint32* word = &area->slots[armed].sleeper;
    const TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), timeout_ms);
    while (pg_atomic_read_u32(word) == myself()) {
        const long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
        if (left <= 0) {
            // From here on nobody need set the latch. Unless somebody has just done so.
            Sleeper expected = myself();
            return !pg_atomic_compare_exchange_u32(word, &expected, nobody);
        }
        static_cast<void>(WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, left,
                                    PG_WAIT_EXTENSION));
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    }
    return true;
}

void request_memory() {
    RequestAddinShmemSpace(sizeof(Area));
    RequestNamedLWLockTranche("muster", 1);
}

void find_memory() {
    if (previous_startup != nullptr) {
        previous_startup();
    }
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    bool found;
    area = static_cast<Area*>(ShmemInitStruct("muster", sizeof(Area), &found));
    if (!found) {
        area->lock = &GetNamedLWLockTranche("muster")->lock;
        for (int i = 0; i < slot_count; i++) {
            pg_atomic_init_u32(&area->databases[i], InvalidOid);
            pg_atomic_init_u32(&area->slots[i].sleeper, nobody);
            pg_atomic_init_u32(&area->slots[i].owner, nobody);
        }
    }
    LWLockRelease(AddinShmemInitLock);
}

}  // namespace

void init() {
    DefineCustomBoolVariable("muster.wake", "Wakes the relay at the commit of published changes.",
                             "Turned off, the relay polls, and commits pass it by.", &enabled, true,
                             PGC_SUSET, 0, nullptr, nullptr, nullptr);
    if (!process_shared_preload_libraries_in_progress) {
        return;
    }
    compat::on_shared_memory_request(request_memory);
    previous_startup = shmem_startup_hook;
    shmem_startup_hook = find_memory;
    RegisterXactCallback(on_transaction_end, nullptr);
}

void at_commit() {
    wrote = true;
}

}  // namespace muster::wake

// Marks this session as its database's sleeper, which the next commit of a published change takes
// off again. Returns false where there is no waking: not preloaded, switched off, or no slot left.
Datum muster_wake_arm(PG_FUNCTION_ARGS) {
    (void)fcinfo;
    PG_RETURN_BOOL(muster::wake::arm());
}

// Waits until a commit took the mark off, or for so long, and marks the session again, so that what
// is looked at next is complete. Tells whether a commit did; null where there is no waking any
// more.
Datum muster_wake_wait(PG_FUNCTION_ARGS) {
    using namespace muster::wake;
    const int32 timeout_ms = PG_GETARG_INT32(0);
    if (timeout_ms < 0 || timeout_ms > longest_wait_ms) {
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("timeout of %d ms is out of range", timeout_ms),
                        errhint("Allowed are 0 to %d ms.", longest_wait_ms)));
    }
    if (area == nullptr || armed < 0) {
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("this session has not been armed"),
                        errhint("Call muster.wake_arm() first; it has to return true.")));
    }
    const bool woken = wait(timeout_ms);
    if (!arm()) {
        PG_RETURN_NULL();
    }
    PG_RETURN_BOOL(woken);
}

// The process id of the session that is woken for this database; null if there is none.
Datum muster_wake_owner(PG_FUNCTION_ARGS) {
    using namespace muster::wake;
    const int found = area != nullptr ? find_slot() : -1;
    const Sleeper owner = found >= 0 ? pg_atomic_read_u32(&area->slots[found].owner) : nobody;
    const int pid = owner != nobody ? GetPGProcByNumber(static_cast<int>(owner - 1))->pid : 0;
    if (pid == 0) {
        PG_RETURN_NULL();
    }
    PG_RETURN_INT32(pid);
}
