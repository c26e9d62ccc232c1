// Which transactions a reader saw: PostgreSQL's pg_snapshot, and what can be concluded from it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace muster::cache {

// A 64-bit transaction id (xid8). 0 is no transaction's.
using Xid = std::uint64_t;

class Snapshot {
  public:
    // Sees nothing.
    Snapshot() = default;

    // Reads pg_snapshot's text, "xmin:xmax:xip,xip,…". Nothing for any text that the server would
    // not write: 0 < xmin <= xmax, and the list ascending from xmin to below xmax.
    static std::optional<Snapshot> parse(std::string_view text);
    std::string text() const;

    // Whether what this transaction committed is visible: it is below xmax and was not in progress.
    bool sees(Xid xid) const;

    // Whether everything that `other` sees is visible here too. The transactions that `other` saw
    // in progress may be so here; all others below its xmax must have ended.
    bool covers(const Snapshot& other) const;

    // The least snapshot that sees what either of the two sees.
    Snapshot joined(const Snapshot& other) const;

    // This, and these transactions too. Those that began after this snapshot and before the last of
    // `xids` count as seen: it demands more than was asked for, never less.
    Snapshot including(std::span<const Xid> xids) const;

    // What is certain on a standby, whose list of transactions in progress is always empty.
    Snapshot certain_on_standby() const;

    Xid xmin() const { return xmin_; }
    Xid xmax() const { return xmax_; }
    std::span<const Xid> in_progress() const { return xip_; }

    bool operator==(const Snapshot&) const = default;

  private:
    Snapshot(Xid xmax, std::vector<Xid> xip);

    Xid xmin_ = 1;  // all below have ended
    Xid xmax_ = 1;  // none from here on has
    std::vector<Xid> xip_;
};

}  // namespace muster::cache
