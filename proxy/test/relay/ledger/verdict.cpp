// The comparison of a ledger with what became of it.
#include "relay/ledger/verdict.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string_view>
#include <utility>

namespace muster::test::ledger {

namespace {

using relay::StreamId;

constexpr std::size_t most_findings = 20;

class Judge {
  public:
    explicit Judge(const Evidence& evidence) : evidence_(evidence) {
        for (std::size_t i = 0; i < evidence.table.size(); ++i)
            committed_.emplace(evidence.table[i], i);
    }

    Verdict run() {
        compare_ledger_and_table();
        gather_published();
        check_ids();
        compare_published_and_table();
        check_order();
        check_subscriber();
        return std::move(verdict_);
    }

  private:
    static std::string text(const Change& change) {
        return "\"" + change.aggregate + " " + change.words + "\"";
    }
    static std::string text(const Entry& entry) {
        return entry.id.text() + " " + (entry.change ? text(*entry.change) : "reset");
    }
    void wrong(std::size_t& count, std::string finding) {
        ++count;
        if (verdict_.findings.size() < most_findings)
            verdict_.findings.push_back(std::move(finding));
    }

    // Every change that was acknowledged is in the table, and none that was rolled back.
    void compare_ledger_and_table() {
        std::set<Change> written;
        for (const Transaction& transaction : evidence_.ledger)
            for (const Change& change : transaction.changes) {
                written.insert(change);
                judge_told(transaction, change);
            }
        for (const Change& change : evidence_.table)
            if (!written.contains(change))
                wrong(verdict_.phantoms, text(change) + " is in the table, but nobody wrote it");
    }

    void judge_told(const Transaction& transaction, const Change& change) {
        const bool is_there = committed_.contains(change);
        switch (transaction.told) {
            case Told::acknowledged:
                ++verdict_.acknowledged;
                if (is_there)
                    break;
                if (evidence_.crashed && !transaction.durable)
                    ++verdict_.taken_back;
                else
                    wrong(verdict_.lost, text(change) + " was acknowledged, but is not there");
                break;
            case Told::unknown:
                ++verdict_.unknown;
                break;
            case Told::rolled_back:
                ++verdict_.rolled_back;
                if (is_there)
                    wrong(verdict_.phantoms, text(change) + " was rolled back, but is there");
                break;
        }
    }

    void note(const Entry& entry) {
        const auto [at, is_new] = published_.emplace(entry.id, entry);
        if (!is_new && at->second.change != entry.change)
            wrong(verdict_.ids_reused, text(at->second) + " became " + text(entry));
    }

    // All that was ever said, by id.
    void gather_published() {
        for (const Entry& entry : evidence_.stream)
            note(entry);
        for (const Entry& entry : evidence_.sightings)
            note(entry);
        for (const Entry& entry : evidence_.subscriber.entries)
            note(entry);
    }

    void check_ids() {
        const auto& stream = evidence_.stream;
        for (std::size_t i = 1; i < stream.size(); ++i) {
            if (stream[i].id <= stream[i - 1].id)
                wrong(verdict_.ids_back, text(stream[i]) + " follows " + text(stream[i - 1]));
            if (stream[i].previous != stream[i - 1].id)
                wrong(verdict_.broken_links, text(stream[i]) + " names " +
                                                 stream[i].previous.text() + ", but follows " +
                                                 text(stream[i - 1]));
        }
        if (stream.empty()) {
            verdict_.trimmed = published_.size();
            return;
        }
        // What was seen once and is not older than what is kept is still there, unless a reset
        // followed.
        std::set<StreamId> kept;
        for (const Entry& entry : stream)
            kept.insert(entry.id);
        for (const auto& [id, entry] : published_) {
            if (id < stream.front().id)
                ++verdict_.trimmed;
            else if (!kept.contains(id) && id.generation() == stream.back().id.generation())
                wrong(verdict_.lost, text(entry) + " was published, but left the stream");
        }
        if (const Entry& first = stream.front(); verdict_.trimmed == 0) {
            if (first.previous != StreamId{})
                wrong(verdict_.broken_links,
                      text(first) + " is the first, but names " + first.previous.text());
        }
    }

    void compare_published_and_table() {
        for (const auto& [id, entry] : published_) {
            if (!entry.change) {
                ++verdict_.resets;
                continue;
            }
            ++verdict_.in_stream;
            const bool is_last_word = id.generation() == published_.rbegin()->first.generation();
            if (!committed_.contains(*entry.change)) {
                if (is_last_word)
                    wrong(verdict_.phantoms, text(entry) + " is not in the table");
                else
                    ++verdict_.withdrawn;
            }
            const auto [at, is_new] = last_said_.emplace(*entry.change, id);
            if (is_new)
                continue;
            if (at->second.generation() == id.generation())
                wrong(verdict_.duplicates, text(entry) + " is also " + at->second.text());
            else
                ++verdict_.repeated;
            at->second = id;
        }
        for (const Change& change : evidence_.table)
            if (!last_said_.contains(change))
                wrong(verdict_.lost, text(change) + " is in the table, but was not published");
    }

    void check_order() {
        std::map<std::string_view, std::size_t> newest;  // by aggregate: how far it has come
        std::set<std::pair<std::uint64_t, Change>> seen;
        std::uint64_t generation = 0;
        for (const auto& [id, entry] : published_) {
            if (generation != id.generation())
                newest.clear();
            generation = id.generation();
            if (!entry.change || !seen.emplace(generation, *entry.change).second)
                continue;
            const auto place = committed_.find(*entry.change);
            if (place == committed_.end())
                continue;
            const auto [at, is_new] = newest.emplace(entry.change->aggregate, place->second);
            if (!is_new && place->second < at->second)
                wrong(verdict_.out_of_order,
                      text(entry) + " is older than what came before it of its aggregate");
            at->second = std::max(at->second, place->second);
        }
    }

    void check_subscriber() {
        const Heard& heard = evidence_.subscriber;
        verdict_.gaps = heard.gaps.size();
        std::set<StreamId> ids;
        std::set<std::pair<std::uint64_t, Change>> changes;
        for (const Entry& entry : heard.entries) {
            if (!ids.insert(entry.id).second ||
                (entry.change && !changes.emplace(entry.id.generation(), *entry.change).second))
                wrong(verdict_.heard_twice, text(entry) + " reached the subscriber again");
        }
        for (const auto& [id, entry] : published_) {
            const bool told = std::any_of(heard.gaps.begin(), heard.gaps.end(), [&](auto& gap) {
                return gap.first < id && id <= gap.second;
            });
            if (!told && !ids.contains(id))
                wrong(verdict_.unheard, text(entry) + " did not reach the subscriber");
        }
        for (std::size_t i = 1; i < heard.entries.size(); ++i)
            if (heard.entries[i].id <= heard.entries[i - 1].id)
                wrong(verdict_.ids_back, text(heard.entries[i]) + " reached the subscriber after " +
                                             text(heard.entries[i - 1]));
    }

    const Evidence& evidence_;
    Verdict verdict_;
    std::map<Change, std::size_t> committed_;  // with its place in the table's order
    std::map<StreamId, Entry> published_;
    std::map<Change, StreamId> last_said_;
};

}  // namespace

Verdict judge(const Evidence& evidence) {
    return Judge(evidence).run();
}

}  // namespace muster::test::ledger
