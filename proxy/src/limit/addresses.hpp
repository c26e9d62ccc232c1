// The buckets of those who have no valid key, by address.
//
// Anyone can send from many addresses, so the table has a fixed size (2 MiB) and nothing to clean
// up: a bucket that has filled again is as good as none. Where more addresses are busy than fit,
// the newcomer takes the slot with the least backlog, and the backlog with it: crowded, the table
// refuses too much, never too little.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include <boost/asio/ip/address.hpp>

#include "limit/arrival_time.hpp"

namespace muster::limit {

class Addresses {
  public:
    static constexpr std::size_t sets = std::size_t{1} << 15;
    static constexpr std::size_t ways = 4;

    Addresses();

    // The bucket of an address: of IPv6 its /64, for that is what one sender has. From any thread;
    // it stays usable for ever, though later it may be another address's.
    ArrivalTime& of(const boost::asio::ip::address& address, Nanos now) {
        return of(tag_of(address), now);
    }

    // The same in two steps, for who comes often. A tag is never 0.
    std::uint64_t tag_of(const boost::asio::ip::address& address) const;
    ArrivalTime& of(std::uint64_t tag, Nanos now);

    // Slots whose bucket is not full.
    std::size_t busy(Nanos now) const;

  private:
    struct Slot {
        std::atomic<std::uint64_t> tag{0};  // hash of the address; 0: free
        ArrivalTime arrival;
    };
    struct alignas(64) Set {
        std::array<Slot, ways> slots;
    };

    const std::uint64_t seed_;
    std::vector<Set> table_;
};

}  // namespace muster::limit
