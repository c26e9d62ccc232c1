// An answer that is kept, and its form in Redis.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "cache/fence.hpp"
#include "cache/snapshot.hpp"
#include "runtime/asio.hpp"

namespace muster::cache {

struct Entry {
    Snapshot snapshot;  // that it was read under
    Fence::Era era = 0;
    TimePoint expires;
    unsigned status = 200;
    std::string body;  // empty: there is no such thing
    std::string next;  // the cursor of the following page; empty: none
    std::string etag;  // as in the header, with its quotes; empty if there is no body

    // Memory, approximately.
    std::size_t bytes() const { return sizeof *this + body.size() + next.size() + etag.size(); }

    // A first line of status, snapshot and the lengths of etag and cursor, then these and the body.
    // Era and expiry are not of it: they are its key's.
    std::string packed() const;
    static std::optional<Entry> unpack(std::string_view text);
};

using EntryPtr = std::shared_ptr<const Entry>;

}  // namespace muster::cache
