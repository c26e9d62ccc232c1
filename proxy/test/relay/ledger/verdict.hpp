// What the fault tests of the event path decide by: a comparison of what the writers were told,
// what the table holds, what the stream says and what a subscriber heard. Pure: no I/O, no clock.
#pragma once

#include <compare>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "relay/stream_id.hpp"

namespace muster::test::ledger {

// One change of one row. `words` are unique within the aggregate, so that a change is found again
// wherever it turns up.
struct Change {
    std::string aggregate;
    std::string words;
    auto operator<=>(const Change&) const = default;
};

// What a writer knows of the end of its transaction.
enum class Told {
    acknowledged,  // the server said that it committed
    unknown,       // the connection ended while the answer was awaited
    rolled_back,   // it cannot have committed
};

struct Transaction {
    Told told = Told::unknown;
    bool durable = true;  // false: by synchronous_commit = off, or because the server was replaced
    std::vector<Change> changes;
};

// An entry of the stream, or a message of the channel.
struct Entry {
    relay::StreamId id;
    relay::StreamId previous;
    std::optional<Change> change;  // none: a reset
};

// What a subscriber made of the channel and, where it had a gap, of the stream: each id once.
struct Heard {
    std::vector<Entry> entries;
    // What it learnt it cannot have any more: the ids after `first`, up to and with `second`.
    std::vector<std::pair<relay::StreamId, relay::StreamId>> gaps;
};

struct Evidence {
    std::vector<Transaction> ledger;
    std::vector<Change> table;  // what is committed, the changes of an aggregate as they were made
    // Whether the server crashed, or another one took its place: what was acknowledged without
    // being durable, or without having reached the other, may be gone then.
    bool crashed = false;
    std::vector<Entry> stream;     // from its first entry to its last
    std::vector<Entry> sightings;  // messages and entries seen before, in any order, repeatedly
    Heard subscriber;
};

struct Verdict {
    // Numbers of changes.
    std::size_t acknowledged = 0;
    std::size_t unknown = 0;
    std::size_t rolled_back = 0;
    std::size_t taken_back = 0;  // acknowledged, not durable, and gone in a crash: allowed
    std::size_t in_stream = 0;   // resets not counted
    std::size_t withdrawn = 0;   // published and then taken back by a reset
    std::size_t repeated = 0;    // published again behind a reset
    // All of these are 0 in a good run.
    std::size_t lost = 0;          // committed, or acknowledged, and not to be found
    std::size_t duplicates = 0;    // in one generation of the stream under two ids
    std::size_t out_of_order = 0;  // in the stream before an older change of the aggregate
    std::size_t phantoms = 0;      // to be found without having been committed
    std::size_t ids_back = 0;      // entries whose id is not above the one before
    std::size_t broken_links = 0;  // entries whose prev_id is not the id of the one before
    std::size_t ids_reused = 0;    // ids that meant one thing once and another later
    std::size_t unheard = 0;       // by the subscriber, and it was not told
    std::size_t heard_twice = 0;   // by the subscriber, under two ids of one generation
    // What subscribers were told; whether that is right depends on what was done.
    std::size_t resets = 0;
    std::size_t gaps = 0;
    std::size_t trimmed = 0;  // published, and older than what the stream holds

    std::vector<std::string> findings;  // what is wrong in words, the first ones

    bool good() const {
        return lost + duplicates + out_of_order + phantoms + ids_back + broken_links + ids_reused +
                   unheard + heard_twice ==
               0;
    }
};

Verdict judge(const Evidence& evidence);

}  // namespace muster::test::ledger
