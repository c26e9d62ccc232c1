// The table of statements.
#include "timing/statements.hpp"

#include <algorithm>
#include <utility>

namespace muster::timing {
namespace {

// Of a door's other statements; a token hash that happens to be the same is counted with them.
constexpr std::uint64_t others = 0;

}  // namespace

void Tally::clear(std::uint32_t generation) {
    errors_.set(0);
    rows_.set(0);
    bytes_.set(0);
    times_.clear();
    // A reader that sees the new generation sees what was cleared for it.
    generation_.store(generation, std::memory_order_release);
}

void Tally::absorb(const Tally& other) {
    const std::uint32_t now = current_.load(std::memory_order_relaxed);
    if (now != generation_.load(std::memory_order_relaxed)) {
        clear(now);
    }
    if (now == other.generation_.load(std::memory_order_relaxed)) {
        errors_.add(other.errors_.value());
        rows_.add(other.rows_.value());
        bytes_.add(other.bytes_.value());
        times_.absorb(other.times_);
    }
    for (std::size_t i = 0; i < by_outcome_.size(); ++i) {
        by_outcome_[i].absorb(other.by_outcome_[i]);
    }
}

std::string_view name_of(Outcome outcome) {
    constexpr std::array<std::string_view, 3> names{"success", "error", "timeout"};
    return names[static_cast<std::size_t>(outcome)];
}

std::string_view name_of(Door door) {
    return door == Door::http ? "http" : "wire";
}

// FNV-1a.
std::uint64_t hash_of(std::string_view name) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : name) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    }
    return hash;
}

Statements::Statements(unsigned threads, std::size_t capacity)
    : threads_(threads), capacity_(capacity), since_(std::chrono::system_clock::now()) {}

Tally& Statements::tally(unsigned thread, StatementKey key, std::string_view name,
                         std::string_view text) {
    const std::lock_guard lock(mutex_);
    auto found = entries_.find(key);
    if (found == entries_.end()) {
        if (entries_.size() >= capacity_) {
            key.hash = others;
            name = "other";
            text = "";
        }
        found = entries_.try_emplace(key).first;
        if (found->second.tallies.empty()) {
            found->second = {std::string(name), std::string(text), {}};
            found->second.tallies.resize(threads_);
        }
    }
    auto& tally = found->second.tallies.at(thread);
    if (!tally) {
        tally = std::make_shared<Tally>(generation_);
    }
    return *tally;
}

void Statements::release(unsigned thread, StatementKey key) {
    Tally& sum = tally(thread, {key.door, others}, "other", "");
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end() || key.hash == others) {
        return;
    }
    auto& tallies = found->second.tallies;
    if (tallies.at(thread)) {
        sum.absorb(*tallies[thread]);
        tallies[thread].reset();
    }
    if (std::all_of(tallies.begin(), tallies.end(), [](const auto& one) { return !one; })) {
        entries_.erase(found);
    }
}

void Statements::describe(StatementKey key, std::string_view name, std::string_view text) {
    const std::lock_guard lock(mutex_);
    if (const auto found = entries_.find(key); found != entries_.end()) {
        found->second.name = name;
        found->second.text = text;
    }
}

std::pair<std::string, std::string> Statements::description(StatementKey key) const {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    return found == entries_.end() ? std::pair<std::string, std::string>()
                                   : std::pair(found->second.name, found->second.text);
}

std::vector<StatementFigures> Statements::read() const {
    struct Found {
        StatementFigures figures;
        std::vector<std::shared_ptr<const Tally>> tallies;
    };
    std::vector<Found> found;
    {
        // A thread that meets a new statement does not wait for the sums.
        const std::lock_guard lock(mutex_);
        for (const auto& [key, entry] : entries_) {
            Found& one = found.emplace_back();
            one.figures.door = key.door;
            one.figures.name = entry.name;
            one.figures.text = entry.text;
            for (const auto& tally : entry.tallies) {
                if (tally) {
                    one.tallies.push_back(tally);
                }
            }
        }
    }
    const std::uint32_t now = generation_.load(std::memory_order_relaxed);
    std::vector<StatementFigures> figures;
    for (Found& one : found) {
        for (const auto& tally : one.tallies) {
            if (tally->generation_.load(std::memory_order_acquire) == now) {
                one.figures.errors += tally->errors_.value();
                one.figures.rows += tally->rows_.value();
                one.figures.bytes += tally->bytes_.value();
                one.figures.times += tally->times_.read();
            }
        }
        if (one.figures.times.total > 0) {
            figures.push_back(std::move(one.figures));
        }
    }
    return figures;
}

std::vector<StatementHistograms> Statements::observed(Door door) const {
    std::vector<StatementHistograms> observed;
    // Locked all the time, so that what is released meanwhile is not counted twice or not at all.
    const std::lock_guard lock(mutex_);
    for (const auto& [key, entry] : entries_) {
        if (key.door != door) {
            continue;
        }
        StatementHistograms& one = observed.emplace_back();
        one.key = key;
        one.name = entry.name;
        for (const auto& tally : entry.tallies) {
            for (std::size_t i = 0; tally && i < one.by_outcome.size(); ++i) {
                one.by_outcome[i] += tally->by_outcome_[i].value();
            }
        }
    }
    return observed;
}

void Statements::reset() {
    const std::lock_guard lock(mutex_);
    generation_.fetch_add(1, std::memory_order_relaxed);
    since_ = std::chrono::system_clock::now();
}

std::chrono::system_clock::time_point Statements::since() const {
    const std::lock_guard lock(mutex_);
    return since_;
}

}  // namespace muster::timing
