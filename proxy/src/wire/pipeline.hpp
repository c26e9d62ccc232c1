// What is under way in a session: the client's requests that the server has not answered, in order.
//
// A *sequence* is a Query or a FunctionCall, or extended messages up to their Sync; the server ends
// each with one ReadyForQuery. Two things bend that rule. After an error in extended messages
// the server discards everything up to the next Sync, a Query too. While it takes copy data it
// ignores Sync and Flush, so that a client which sends Parse, Bind, Execute, Sync and then its data
// gets no ReadyForQuery for that Sync. Reference: "Message Flow" in PostgreSQL's documentation.
//
// Fed with both directions' messages in the order in which the door sees them. Where that order
// leaves something open (Syncs among copy data that has an error) a request may be counted as
// outstanding that is none: better than the other way round.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace muster::wire {

class Pipeline {
  public:
    // What the caller wants to know again of a query when it ends.
    struct Tag {
        std::uint64_t statement;
        std::chrono::steady_clock::time_point arrived;
    };

    enum class Outcome {
        done,
        failed,
        skipped,  // discarded unread, behind an error
    };

    // The end of a query: of an Execute at its last message, of others at their ReadyForQuery.
    struct End {
        Tag tag;
        char type;  // Q, E or F: Query, Execute, FunctionCall
        Outcome outcome;
    };

    // A message of the client after its startup message. True if it begins a query, which then is
    // known by `tag`.
    bool from_client(char type, Tag tag = {});

    // Gives the query that began last its statement, when that was not known yet.
    void name_last(std::uint64_t statement) {
        if (outstanding() > 0 && !overflow_)
            tags_.back().statement = statement;
    }

    // A message of the server; `first` is the first byte of its body. Calls `on_end(const End&)`
    // for each query that ends with it, in order.
    template <class OnEnd>
    void from_server(char type, char first, OnEnd&& on_end) {
        if (type == 'D' || type == 'd')  // rows and copy data: most messages, which change nothing
            return;
        ended_.clear();
        advance(type, first);
        for (const End& end : ended_)
            on_end(end);
    }

    // The server is gone. Calls `on_end(const End&)` for each query that it has not answered.
    template <class OnEnd>
    void abandon(OnEnd&& on_end) {
        ended_.clear();
        while (front() != '\0')
            pop(Outcome::skipped);
        for (const End& end : ended_)
            on_end(end);
    }

    // The server has answered the startup message with its first ReadyForQuery.
    bool started() const { return status_ != '\0'; }

    // Of the last ReadyForQuery: I idle, T in a transaction, E in a failed one; NUL before the
    // first.
    char status() const { return status_; }

    // The client has ended what it began: its next message begins a sequence.
    bool at_boundary() const { return !unfinished_ && !skipping_ && !copy_in_; }

    // Queries that have not ended.
    std::size_t outstanding() const { return tags_.size() - first_tag_; }

    // The server has answered all there was, so that status() is that of now.
    bool answered() const { return head_ == pending_.size() && !overflow_ && !unclear_; }

    // So much was pipelined that nothing is known any more of what is outstanding.
    bool overflowed() const { return overflow_; }

    // Started, nothing outstanding, and outside a transaction.
    bool idle() const { return status_ == 'I' && at_boundary() && answered(); }

  private:
    void advance(char type, char first);
    bool push(char type, Tag tag);
    char front();
    char front_with_answer();
    void drop_ignored_syncs(std::size_t from);
    void pop(Outcome outcome);
    void fail();
    void ready();
    void copy_in_begins();
    void compact();

    // From head_ on what the server has still to come to: the types of Parse, Bind, Describe,
    // Close, Execute, Sync, Query and FunctionCall; d and c for copy data and its end that came
    // before the server takes any, s for a Sync that it ignores unless the data has an error.
    std::string pending_;
    std::size_t head_ = 0;
    std::vector<Tag> tags_;  // from first_tag_ on those of the queries among them
    std::size_t first_tag_ = 0;
    std::vector<End> ended_;  // by the current message
    char status_ = '\0';
    bool failed_ = false;      // the Query or FunctionCall at the head has had an error
    bool unfinished_ = false;  // extended messages were sent and no Sync yet
    bool skipping_ = false;    // the server discards what comes before the next Sync
    bool copy_in_ = false;     // the server takes copy data and the client has not ended it
    // Syncs sent with data of a COPY that failed were answered in part: which ReadyForQuery is
    // whose is not known any more. Nothing counts as answered then until everything is that might
    // have to be.
    bool unclear_ = false;
    std::size_t unanswered_ = 0;  // at most so many ReadyForQuery are still to come
    bool overflow_ = false;       // more was pipelined than is kept track of
};

}  // namespace muster::wire
