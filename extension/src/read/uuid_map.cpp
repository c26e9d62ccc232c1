// The map of uuids.
#include "read/uuid_map.hpp"

namespace muster::read {
namespace {

struct Halves {
    std::uint64_t first;
    std::uint64_t second;

    explicit Halves(const pg_uuid_t& key) { std::memcpy(this, key.data, sizeof(*this)); }
    bool operator==(const Halves& other) const = default;
};

// uuids are mostly random, but need not be: both halves are mixed.
std::uint64_t hash(const Halves& key) {
    std::uint64_t mixed = key.first * 0x9E3779B97F4A7C15U + (key.second ^ (key.second >> 29));
    mixed ^= mixed >> 32;
    mixed *= 0xD6E8FEB86659FD93U;
    return mixed ^ (mixed >> 32);
}

void clear(std::int32_t* slots, std::uint32_t count) {
    std::memset(slots, 0xFF, sizeof(std::int32_t) * count);
}

}  // namespace

UuidMap make_uuid_map() {
    constexpr std::uint32_t count = 256;
    auto* slots = static_cast<std::int32_t*>(palloc(sizeof(std::int32_t) * count));
    clear(slots, count);
    return {make_list<pg_uuid_t>(), slots, count - 1};
}

std::uint32_t UuidMap::slot_of(const pg_uuid_t& key) const {
    const Halves halves(key);
    auto slot = static_cast<std::uint32_t>(hash(halves)) & mask;
    while (slots[slot] >= 0 && Halves(keys[static_cast<std::size_t>(slots[slot])]) != halves) {
        slot = (slot + 1) & mask;
    }
    return slot;
}

std::int32_t UuidMap::find(const pg_uuid_t& key) const {
    return slots[slot_of(key)];
}

std::int32_t UuidMap::add(const pg_uuid_t& key) {
    std::uint32_t slot = slot_of(key);
    if (slots[slot] >= 0) {
        return slots[slot];
    }
    if (keys.count >= mask / 2) {
        grow();
        slot = slot_of(key);
    }
    slots[slot] = static_cast<std::int32_t>(keys.count);
    keys.push(key);
    return slots[slot];
}

void UuidMap::grow() {
    // In the memory context the map was made in, whatever the current one is.
    mask = mask * 2 + 1;
    slots = static_cast<std::int32_t*>(repalloc_huge(slots, sizeof(std::int32_t) * (mask + 1UL)));
    clear(slots, mask + 1);
    for (std::uint32_t i = 0; i < keys.count; i++) {
        slots[slot_of(keys[i])] = static_cast<std::int32_t>(i);
    }
}

Datum UuidMap::array() const {
    // Elements of an array without nulls stand one after the other, and uuids need no padding.
    const std::size_t size =
        ARR_OVERHEAD_NONULLS(1) + UUID_LEN * static_cast<std::size_t>(keys.count);
    if (!AllocSizeIsValid(size)) {
        ereport(ERROR,
                (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("the page has too many rows"),
                 errhint("Ask for fewer rows with row_limit.")));
    }
    auto* array = static_cast<ArrayType*>(palloc0(size));
    SET_VARSIZE(array, size);
    array->ndim = 1;
    array->dataoffset = 0;
    array->elemtype = UUIDOID;
    ARR_DIMS(array)[0] = static_cast<int>(keys.count);
    ARR_LBOUND(array)[0] = 1;
    std::memcpy(ARR_DATA_PTR(array), keys.items, UUID_LEN * static_cast<std::size_t>(keys.count));
    return PointerGetDatum(array);
}

}  // namespace muster::read
