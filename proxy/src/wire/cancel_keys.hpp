// Where the server is that a cancel request is for.
//
// A cancel request is a connection of its own, with nothing in it but the key that the server gave
// its session. Where the upstream is a name, it may lead to another server by the time of the
// request, or have several: then the sessions' keys are kept, with the addresses that they use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "wire/leg.hpp"

namespace muster::wire {

// Picks the key out of what a server says during a login, however the stream is cut.
class KeyReader {
  public:
    // Behind the protocol: process id, and up to 256 bytes.
    static constexpr std::size_t max_key = 4 + 256;

    void feed(std::string_view bytes);

    // The body of the last BackendKeyData, empty if there was none or it was too long.
    const std::string& key() const { return key_; }

  private:
    char header_[5] = {};
    std::size_t have_ = 0;
    std::size_t skip_ = 0;  // left of the current body
    bool taking_ = false;   // it is the key
    std::string key_;
};

// Shared by all threads. As large as there are sessions.
class CancelKeys {
    using Map = std::unordered_multimap<std::string, Protocol::endpoint>;

  public:
    // One session's key, forgotten with it. Must not outlive the keys.
    class Entry {
      public:
        Entry(CancelKeys& keys, std::string key, const Protocol::endpoint& address);
        ~Entry();
        Entry(const Entry&) = delete;
        Entry& operator=(const Entry&) = delete;

      private:
        CancelKeys& keys_;
        Map::iterator entry_;
    };

    // The address that the session of this key uses, nothing if there is no such session here.
    std::optional<Protocol::endpoint> find(std::string_view key) const;
    std::size_t size() const;

  private:
    mutable std::mutex mutex_;
    Map addresses_;
};

}  // namespace muster::wire
