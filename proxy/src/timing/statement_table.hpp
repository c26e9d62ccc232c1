// One thread's way from a statement's text to its figures, for a door that learns of statements as
// they come.
//
// A statement that is known costs a hash over its tokens and a look into a table of this thread's
// own. One that is new is entered, and its normalised text made elsewhere; what a second may bring
// of those is bounded, as is the table: when it is full, what was run least of late makes room, and
// its figures go to the others'. So a flood of statements of which none comes twice displaces no
// statement that is in use.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "timing/statement_text.hpp"
#include "timing/statements.hpp"
#include "timing/timing.hpp"

namespace muster::timing {

class StatementTable {
  public:
    // `timing` outlives this. `capacity` is at least 8.
    StatementTable(Timing& timing, unsigned thread, std::size_t capacity = 1000);

    // A statement of this table; it may be displaced, and is all others together then, as it is
    // when it was made by nobody.
    struct Ref {
        std::uint32_t entry = 0;
        std::uint32_t generation = 0;
    };

    // The statement of an SQL text; all others if it is new and there is no room for it now. `cut`:
    // the text goes on.
    Ref find(std::string_view sql, bool cut = false);
    // The same for a text that is likely to come again as it is, because its values are sent apart:
    // those that came last are known without being read.
    Ref find_prepared(std::string_view sql, bool cut = false);
    // What has no text of its own, or none that matters: all of the kind together.
    static Ref all_of(StatementKind kind) { return {static_cast<std::uint32_t>(kind), 0}; }

    StatementKind kind(Ref ref) const {
        const Entry& known = entries_[ref.entry];
        return known.generation == ref.generation ? known.kind : StatementKind::query;
    }

    // What is known of a run beside its figures.
    struct Circumstances {
        std::string_view client;    // its address
        std::string_view sqlstate;  // of the error, empty: none
    };
    // Counts a run, and writes the slow-query log's line if it was slow.
    void record(Ref ref, const Run& run, const Circumstances& circumstances) {
        Entry& known = entries_[ref.entry];
        Entry& of = known.generation == ref.generation ? known : entries_[0];
        ++of.runs;
        const Outcome outcome = !run.failed                         ? Outcome::success
                                : circumstances.sqlstate == "57014" ? Outcome::timeout
                                                                    : Outcome::error;
        of.tally->record(run);
        of.tally->observe(outcome, run.duration);
        if (run.duration >= timing_.slow_query() && !is_class(of.kind)) {
            log_slow(of, outcome, run, circumstances);
        }
    }

  private:
    struct Entry {
        std::uint64_t hash = 0;  // 0: not in use
        Tally* tally = nullptr;  // of its own, or of its class
        std::uint64_t runs = 0;  // halved whenever room is made
        std::uint32_t generation = 0;
        StatementKind kind = StatementKind::query;
    };
    static StatementKey key_of(std::uint64_t hash) { return {Door::wire, hash}; }
    struct Recent {
        std::string sql;
        Ref ref;
    };
    std::uint32_t enter(std::uint64_t hash, std::string_view sql, bool cut);
    void make_room();
    void index(std::uint32_t entry);
    void log_slow(const Entry& entry, Outcome outcome, const Run& run,
                  const Circumstances& circumstances);

    Timing& timing_;
    const unsigned thread_;
    const std::size_t capacity_;
    std::vector<Entry> entries_;        // first all of each StatementKind
    std::vector<std::uint32_t> free_;   // places in entries_
    std::vector<std::uint32_t> index_;  // by hash, open addressing: a place in entries_, or 0
    std::array<Recent, 64> recent_;     // by length and the last bytes
    LinesPerSecond admission_;
};

}  // namespace muster::timing
