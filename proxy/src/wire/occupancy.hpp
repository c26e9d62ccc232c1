// How many connections each of many has open: addresses, users.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>

namespace muster::wire {

// Holds an entry for each that has a connection, and no other. From any thread; taken up once a
// connection, not once a message.
class Occupancy {
  public:
    // One connection's place, given up when it goes. The occupancy outlives it.
    class Place {
      public:
        Place() = default;
        ~Place();
        Place(const Place&) = delete;
        Place& operator=(const Place&) = delete;

      private:
        friend class Occupancy;
        Occupancy* in_ = nullptr;
        std::string whose_;
    };

    // Takes `place`, which is none yet, unless `whose` has `most` already; 0: no limit. It is taken
    // without a limit too, for there may be one later.
    bool take(Place& place, std::string whose, std::uint32_t most);

  private:
    std::mutex mutex_;
    std::unordered_map<std::string, std::uint32_t> places_;
};

}  // namespace muster::wire
