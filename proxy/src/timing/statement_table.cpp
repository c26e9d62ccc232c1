// Entering and displacing.
#include "timing/statement_table.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include "timing/token_hash.hpp"

namespace muster::timing {
namespace {

// New statements that a thread enters in a second; what is above counts among the others.
constexpr std::uint32_t most_new = 500;

// Bytes of a text that is kept to be compared.
constexpr std::size_t longest_recent = 1000;

constexpr std::uint32_t fixed_entries =
    static_cast<std::uint32_t>(StatementKind::function_call) + 1;

}  // namespace

StatementTable::StatementTable(Timing& timing, unsigned thread, std::size_t capacity)
    : timing_(timing),
      thread_(thread),
      capacity_(capacity),
      index_(std::bit_ceil(2 * (capacity + fixed_entries))),
      admission_(most_new) {
    for (std::uint32_t i = 0; i < fixed_entries; ++i) {
        const auto kind = static_cast<StatementKind>(i);
        const std::string_view name = is_class(kind) ? name_of(kind) : "other";
        const StatementKey key = key_of(is_class(kind) ? hash_of(name) : 0);
        entries_.push_back(
            {.tally = &timing.statements().tally(thread, key, name, ""), .kind = kind});
    }
}

StatementTable::Ref StatementTable::find(std::string_view sql, bool cut) {
    const std::uint64_t hash = token_hash(sql, cut);
    const std::size_t mask = index_.size() - 1;
    std::uint32_t place = 0;
    for (std::size_t at = hash & mask; (place = index_[at]) != 0; at = (at + 1) & mask) {
        if (entries_[place].hash == hash) {
            return {place, entries_[place].generation};
        }
    }
    if (!admission_.admit(Clock::now())) {
        return {};
    }
    place = enter(hash, sql, cut);
    return {place, entries_[place].generation};
}

StatementTable::Ref StatementTable::find_prepared(std::string_view sql, bool cut) {
    if (cut || sql.size() > longest_recent || sql.size() < sizeof(std::uint64_t)) {
        return find(sql, cut);
    }
    std::uint64_t tail = 0;
    std::memcpy(&tail, sql.data() + sql.size() - sizeof tail, sizeof tail);
    Recent& recent = recent_[((tail ^ sql.size()) * 0x9e3779b97f4a7c15U) >> 58];
    if (recent.sql != sql || entries_[recent.ref.entry].generation != recent.ref.generation) {
        recent.ref = find(sql);
        recent.sql = recent.ref.entry == 0 ? std::string_view() : sql;  // else it is entered yet
    }
    return recent.ref;
}

std::uint32_t StatementTable::enter(std::uint64_t hash, std::string_view sql, bool cut) {
    if (free_.empty() && entries_.size() >= capacity_ + fixed_entries) {
        make_room();
    }
    auto place = static_cast<std::uint32_t>(entries_.size());
    if (free_.empty()) {
        entries_.emplace_back();
    } else {
        place = free_.back();
        free_.pop_back();
    }
    Entry& entry = entries_[place];
    entry.hash = hash;
    entry.kind = kind_of(sql);
    if (is_class(entry.kind)) {
        entry.tally = entries_[all_of(entry.kind).entry].tally;
    } else {
        std::string own = statement_name(sql, hash);
        entry.tally =
            &timing_.statements().tally(thread_, key_of(hash), own, masked_text(sql, cut));
        if (!cut) {
            timing_.normalizer().add(key_of(hash), std::move(own), std::string(sql));
        }
    }
    index(place);
    return place;
}

void StatementTable::index(std::uint32_t place) {
    const std::size_t mask = index_.size() - 1;
    std::size_t at = entries_[place].hash & mask;
    while (index_[at] != 0) {
        at = (at + 1) & mask;
    }
    index_[at] = place;
}

// Displaces the eighth that was run least.
void StatementTable::make_room() {
    std::vector<std::uint32_t> places(entries_.size() - fixed_entries);
    std::iota(places.begin(), places.end(), fixed_entries);
    const auto end = places.begin() + static_cast<std::ptrdiff_t>(capacity_ / 8);
    std::nth_element(places.begin(), end, places.end(), [this](std::uint32_t a, std::uint32_t b) {
        return entries_[a].runs < entries_[b].runs;
    });
    places.erase(end, places.end());
    for (const std::uint32_t place : places) {
        Entry& entry = entries_[place];
        if (!is_class(entry.kind)) {
            timing_.statements().release(thread_, key_of(entry.hash));
        }
        entry = {.generation = entry.generation + 1};
        free_.push_back(place);
    }
    for (Entry& entry : entries_) {
        entry.runs /= 2;
    }
    std::fill(index_.begin(), index_.end(), 0);
    for (std::uint32_t place = fixed_entries; place < entries_.size(); ++place) {
        if (entries_[place].hash != 0) {
            index(place);
        }
    }
}

void StatementTable::log_slow(const Entry& entry, Outcome outcome, const Run& run,
                              const Circumstances& circumstances) {
    const auto [name, text] = timing_.statements().description(key_of(entry.hash));
    SlowQuery slow;
    slow.door = Door::wire;
    slow.name = name;
    slow.text = text;
    slow.client = circumstances.client;
    slow.status = name_of(outcome);
    slow.sqlstate = circumstances.sqlstate;
    slow.run = run;
    timing_.slow_log().write(slow);
}

}  // namespace muster::timing
