// Whether a session is between two requests: what the messages of both directions say together.
//
// Query, FunctionCall and Sync are each answered by one ReadyForQuery, in order. The exception is
// COPY ... FROM STDIN: while the server takes copy data it ignores Sync, so that a client which
// sends Parse, Bind, Execute, Sync and then its data gets no ReadyForQuery for that Sync.
//
// The class errs on one side only. Where it cannot know (a Query behind a failed extended sequence
// is discarded by the server without an answer) it counts a request as outstanding that is none,
// and the session is never taken for idle while a request is under way.
#pragma once

#include <cstddef>
#include <string>

namespace muster::wire {

class Conversation {
  public:
    // A message of the client after its startup message. True if it begins a query: Query, Execute
    // or FunctionCall.
    bool from_client(char type);

    // A message of the server; `first` is the first byte of its body.
    void from_server(char type, char first);

    // The server has answered the startup message with its first ReadyForQuery.
    bool started() const { return status_ != '\0'; }

    // Started, nothing outstanding, and outside a transaction.
    bool idle() const { return status_ == 'I' && pending_.empty() && !unfinished_ && !overflow_; }

  private:
    void copy_in_begins();

    // What the server still has to come to, in order: Q, F and S for the messages of those types,
    // c for the end of copy data. A short string allocates nothing.
    std::string pending_;
    char status_ = '\0';       // of the last ReadyForQuery
    bool unfinished_ = false;  // extended messages were sent and no Sync yet
    bool copy_in_ = false;     // the server takes copy data and the client has not ended it
    bool overflow_ = false;    // more was pipelined than is kept track of
};

}  // namespace muster::wire
