// The table of addresses: set-associative, of atomics only.
#include "limit/addresses.hpp"

#include <cstring>
#include <random>

namespace muster::limit {
namespace {

std::uint64_t random_seed() {
    std::random_device device;
    return static_cast<std::uint64_t>(device()) << 32 | device();
}

// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
std::uint64_t mixed(std::uint64_t value) {
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9U;
    value = (value ^ value >> 27) * 0x94d049bb133111ebU;
    return value ^ value >> 31;
}

}  // namespace

Addresses::Addresses() : seed_(random_seed()), table_(sets) {}

// Addresses are their senders' choice, so which of them meet must not be.
std::uint64_t Addresses::tag_of(const boost::asio::ip::address& address) const {
    std::uint64_t part = 0;
    std::uint64_t family = 4;
    if (address.is_v4()) {
        part = address.to_v4().to_uint();
    } else {
        const auto bytes = address.to_v6().to_bytes();
        std::memcpy(&part, bytes.data(), sizeof part);
        family = 6;
    }
    return mixed(mixed(part ^ seed_) + seed_ + family) | 1;
}

// Two threads that bring the same new address at the same moment may give it two slots, and one
// that is slow may charge a slot that has just changed hands. Neither lets more through than two
// buckets would, and both pass.
ArrivalTime& Addresses::of(std::uint64_t tag, Nanos now) {
    Set& set = table_[(tag >> 32) % sets];
    for (;;) {
        Slot* victim = nullptr;
        std::uint64_t victim_tag = 0;
        Nanos least = never;
        for (Slot& slot : set.slots) {
            const std::uint64_t known = slot.tag.load(std::memory_order_relaxed);
            if (known == tag) {
                return slot.arrival;
            }
            const Nanos backlog = known == 0 ? -1 : std::max<Nanos>(0, slot.arrival.value() - now);
            if (victim == nullptr || backlog < least) {
                victim = &slot;
                victim_tag = known;
                least = backlog;
            }
        }
        if (victim->tag.compare_exchange_strong(victim_tag, tag, std::memory_order_relaxed)) {
            return victim->arrival;
        }
    }
}

std::size_t Addresses::busy(Nanos now) const {
    std::size_t count = 0;
    for (const Set& set : table_) {
        for (const Slot& slot : set.slots) {
            count += slot.arrival.value() > now ? 1 : 0;
        }
    }
    return count;
}

}  // namespace muster::limit
