#include "wire/conversation.hpp"

#include <algorithm>

namespace muster::wire {
namespace {

// Far more than drivers pipeline; beyond it the session is served as ever, but never called idle.
constexpr std::size_t max_pending = 4096;

}  // namespace

bool Conversation::from_client(char type) {
    switch (type) {
        case 'Q':  // Query
        case 'F':  // FunctionCall
        case 'S':  // Sync
            if (type == 'S' && copy_in_)
                return false;
            unfinished_ = false;
            break;
        case 'c':  // CopyDone
        case 'f':  // CopyFail
            if (copy_in_) {
                copy_in_ = false;
                return false;
            }
            if (!unfinished_ && pending_.find_first_not_of('c') == std::string::npos)
                return false;  // late: the COPY has failed and its ReadyForQuery has been here
            break;             // early: sent before the server said that it takes data
        case 'P':              // Parse
        case 'B':              // Bind
        case 'C':              // Close
        case 'D':              // Describe
        case 'E':              // Execute
            unfinished_ = true;
            return type == 'E';
        default:
            return false;
    }
    if (pending_.size() < max_pending)
        pending_.push_back(type == 'f' ? 'c' : type);
    else
        overflow_ = true;
    return type == 'Q' || type == 'F';
}

void Conversation::from_server(char type, char first) {
    if (type == 'G') {  // CopyInResponse
        copy_in_begins();
    } else if (type == 'E') {  // ErrorResponse: copying, if any, is over
        copy_in_ = false;
    } else if (type == 'Z') {  // ReadyForQuery
        const bool answers_startup = !started();
        status_ = first;
        copy_in_ = false;
        if (answers_startup)
            return;
        // Ends of copy data that nobody waited for lie before the request that is answered.
        const auto answered = pending_.find_first_not_of('c');
        pending_.erase(0, answered == std::string::npos ? answered : answered + 1);
        // Left without a request, they were late data of a COPY that had failed.
        if (pending_.find_first_not_of('c') == std::string::npos)
            pending_.clear();
    }
}

// The server takes copy data for the request at the head: it ignores each Sync up to the data's
// end.
void Conversation::copy_in_begins() {
    const auto from = std::size_t{pending_.starts_with('Q') ? 1u : 0u};
    const auto end = pending_.find('c', from);
    copy_in_ = end == std::string::npos;
    if (copy_in_ && from == 0)
        unfinished_ = true;  // the Sync that counts is yet to come
    const auto stop = copy_in_ ? pending_.end() : pending_.begin() + static_cast<long>(end);
    const auto kept = std::remove(pending_.begin() + static_cast<long>(from), stop, 'S');
    pending_.erase(kept, copy_in_ ? pending_.end() : stop + 1);
}

}  // namespace muster::wire
