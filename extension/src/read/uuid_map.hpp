// Numbers the distinct uuids of a page in the order they come: open addressing on a table of
// indexes.
#pragma once

#include "read/list.hpp"

namespace muster::read {

struct UuidMap {
    List<pg_uuid_t> keys;  // by number
    std::int32_t* slots;   // numbers, or -1
    std::uint32_t mask;

    // The number of the key, or -1.
    std::int32_t find(const pg_uuid_t& key) const;
    // The number of the key, which is added if it is new.
    std::int32_t add(const pg_uuid_t& key);
    // The keys as a uuid[].
    Datum array() const;

  private:
    std::uint32_t slot_of(const pg_uuid_t& key) const;
    void grow();
};

// An empty map in the current memory context.
UuidMap make_uuid_map();

}  // namespace muster::read
