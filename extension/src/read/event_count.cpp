// Deciding whether sums may stand for counting, and taking them.
#include "read/event_count.hpp"

#include "count/count.hpp"
#include "count/counts.hpp"

extern "C" {
#include "utils/acl.h"
#include "utils/rls.h"
}

namespace muster::read {
namespace {

// Whether the caller could run count(*) over all events by their aggregate: who may, may know the
// sums, and so nobody needs a right on muster.event_counts.
bool may_count(Oid events) {
    if (check_enable_rls(events, InvalidOid, true) == RLS_ENABLED) {
        return false;
    }
    const Oid caller = GetUserId();
    if (pg_class_aclcheck(events, caller, ACL_SELECT) == ACLCHECK_OK) {
        return true;
    }
    const AttrNumber column = get_attnum(events, "aggregate_id");
    return column != InvalidAttrNumber &&
           pg_attribute_aclcheck(events, column, caller, ACL_SELECT) == ACLCHECK_OK;
}

}  // namespace

bool sum_event_counts(const Source& source, const UuidMap& keys, std::int64_t* counts) {
    // The lock that count(*) would take, and keep: a TRUNCATE or a change of the triggers waits for
    // it.
    Relation events = try_table_open(source.relation("events"), AccessShareLock);
    if (events == nullptr) {
        return false;
    }
    const bool usable = may_count(RelationGetRelid(events)) && count::counted(events);
    table_close(events, NoLock);
    count::Reader reader;
    if (!usable || !count::open_reader(reader)) {
        return false;
    }
    for (std::uint32_t i = 0; i < keys.keys.count; i++) {
        counts[i] = reader.sum(keys.keys[i]);
        CHECK_FOR_INTERRUPTS();
    }
    reader.close();
    return true;
}

}  // namespace muster::read
