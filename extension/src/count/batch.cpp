// Gathering a statement's changes: an open-addressed table that is written and emptied at the end.
#include "count/batch.hpp"

#include "count/counts.hpp"

namespace muster::count {
namespace {

struct Slot {
    pg_uuid_t aggregate;
    std::int64_t n;
    bool used;
};

// A statement of few aggregates, which is almost every one, needs no memory but this.
constexpr std::uint32_t first_size = 64;
Slot first_slots[first_size];

// Beyond this (4 MB) what is gathered is written before the statement's end.
constexpr std::uint32_t largest_size = 1U << 17;

struct Batch {
    int statements;          // begun and not ended
    SubTransactionId level;  // the subtransaction they are in
    Slot* slots;
    std::uint32_t size;  // a power of two
    std::uint32_t used;
};
Batch batch = {0, InvalidSubTransactionId, first_slots, first_size, 0};

std::uint32_t hash(const pg_uuid_t& key) {
    std::uint64_t halves[2];
    std::memcpy(halves, key.data, sizeof(halves));
    std::uint64_t mixed = (halves[0] ^ (halves[1] >> 29) ^ (halves[1] << 35)) * 0x9E3779B97F4A7C15U;
    mixed ^= mixed >> 32;
    return static_cast<std::uint32_t>(mixed * 0xD6E8FEB86659FD93U >> 32);
}

Slot& slot_of(const pg_uuid_t& aggregate) {
    std::uint32_t at = hash(aggregate) & (batch.size - 1);
    while (batch.slots[at].used &&
           std::memcmp(batch.slots[at].aggregate.data, aggregate.data, UUID_LEN) != 0) {
        at = (at + 1) & (batch.size - 1);
    }
    return batch.slots[at];
}

void empty() {
    if (batch.used > 0) {
        std::memset(batch.slots, 0, sizeof(Slot) * batch.size);
        batch.used = 0;
    }
}

// Forgets everything, and lets go of the memory if that is still to be done by hand.
void reset(bool release) {
    if (batch.slots != first_slots) {
        if (release) {
            pfree(batch.slots);
        }
        batch.slots = first_slots;
        batch.size = first_size;
        std::memset(first_slots, 0, sizeof(first_slots));
        batch.used = 0;
    } else {
        empty();
    }
    batch.statements = 0;
    batch.level = InvalidSubTransactionId;
}

void write() {
    if (batch.used == 0) {
        return;
    }
    Writer writer = open_writer();
    for (std::uint32_t i = 0; i < batch.size; i++) {
        const Slot& slot = batch.slots[i];
        if (slot.used && slot.n != 0) {
            writer.add(slot.aggregate, slot.n);
        }
    }
    writer.close();
    empty();
}

void grow() {
    if (batch.size >= largest_size) {
        write();
        return;
    }
    Slot* old = batch.slots;
    const std::uint32_t old_size = batch.size;
    // An error leaves all as it was.
    auto* larger = static_cast<Slot*>(
        MemoryContextAllocZero(TopTransactionContext, sizeof(Slot) * old_size * 4));
    batch.slots = larger;
    batch.size = old_size * 4;
    for (std::uint32_t i = 0; i < old_size; i++) {
        if (old[i].used) {
            slot_of(old[i].aggregate) = old[i];
        }
    }
    if (old == first_slots) {
        std::memset(first_slots, 0, sizeof(first_slots));
    } else {
        pfree(old);
    }
}

bool gathers() {
    return batch.statements > 0 && batch.level == GetCurrentSubTransactionId();
}

void at_transaction(XactEvent event, void*) {
    switch (event) {
        case XACT_EVENT_PRE_COMMIT:
        case XACT_EVENT_PRE_PREPARE:
            // Something is left only if somebody has disabled the trigger that ends statements.
            write();
            break;
        case XACT_EVENT_COMMIT:
        case XACT_EVENT_ABORT:
        case XACT_EVENT_PREPARE:
            reset(false);
            break;
        default:
            break;
    }
}

void at_subtransaction(SubXactEvent event, SubTransactionId level, SubTransactionId parent, void*) {
    if (batch.statements == 0 || batch.level != level) {
        return;
    }
    if (event == SUBXACT_EVENT_ABORT_SUB) {
        reset(true);
    } else if (event == SUBXACT_EVENT_COMMIT_SUB) {
        batch.level = parent;
    }
}

}  // namespace

void begin_statement() {
    if (batch.statements == 0) {
        batch.level = GetCurrentSubTransactionId();
    }
    // A statement in a subtransaction of one that gathers is not gathered, since what it did may be
    // undone alone.
    if (gathers() || batch.statements == 0) {
        batch.statements++;
    }
}

void end_statement() {
    if (!gathers()) {
        return;
    }
    // An outer statement's rows, too, that it has counted so far: one row more than needed, at
    // worst.
    write();
    if (batch.statements == 1) {
        reset(true);
    } else {
        batch.statements--;
    }
}

void add(const pg_uuid_t& aggregate, std::int64_t n) {
    if (!gathers()) {
        Writer writer = open_writer();
        writer.add(aggregate, n);
        writer.close();
        return;
    }
    Slot* slot = &slot_of(aggregate);
    if (!slot->used) {
        if (batch.used >= batch.size / 4 * 3) {
            grow();
            slot = &slot_of(aggregate);
        }
        *slot = {aggregate, 0, true};
        batch.used++;
    }
    slot->n += n;
}

bool in_statement() {
    return batch.statements > 0;
}

void batch_init() {
    RegisterXactCallback(at_transaction, nullptr);
    RegisterSubXactCallback(at_subtransaction, nullptr);
}

}  // namespace muster::count
