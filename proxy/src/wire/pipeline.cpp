#include "wire/pipeline.hpp"

#include <algorithm>

namespace muster::wire {
namespace {

// Far more than drivers pipeline; beyond it the session is served as ever, but nothing is known of
// its queries any more and it is never called idle.
constexpr std::size_t max_pending = 65536;

bool is_query(char type) {
    return type == 'Q' || type == 'E' || type == 'F';
}

bool ends_sequence(char type) {
    return type == 'Q' || type == 'F' || type == 'S';
}

}  // namespace

bool Pipeline::from_client(char type, Tag tag) {
    if (skipping_ && type != 'S')
        return false;
    switch (type) {
        case 'S':  // Sync
            if (copy_in_)
                return false;
            unfinished_ = skipping_ = false;
            break;
        case 'Q':  // Query
        case 'F':  // FunctionCall
            unfinished_ = false;
            break;
        case 'c':  // CopyDone
        case 'f':  // CopyFail
            if (copy_in_) {
                copy_in_ = false;
                return false;
            }
            if (!unfinished_ && front() == '\0')
                return false;  // late: the COPY has failed and its ReadyForQuery has been here
            type = 'c';        // early: sent before the server said that it takes data
            break;
        case 'P':  // Parse
        case 'B':  // Bind
        case 'C':  // Close
        case 'D':  // Describe
        case 'E':  // Execute
            unfinished_ = true;
            break;
        default:
            return false;
    }
    return push(type, tag);
}

bool Pipeline::push(char type, Tag tag) {
    if (pending_.size() - head_ >= max_pending)
        overflow_ = true;
    if (overflow_)
        return is_query(type);
    compact();
    pending_.push_back(type);
    if (!is_query(type))
        return false;
    tags_.push_back(tag);
    return true;
}

// The type at the head, NUL if there is none. An end of copy data that nobody has waited for is
// none.
char Pipeline::front() {
    while (head_ < pending_.size() && pending_[head_] == 'c')
        ++head_;
    return head_ < pending_.size() ? pending_[head_] : '\0';
}

// Takes the head off.
void Pipeline::pop(Outcome outcome) {
    const char type = pending_[head_++];
    if (is_query(type))
        ended_.push_back({tags_[first_tag_++], type, outcome});
}

void Pipeline::compact() {
    constexpr std::size_t enough = 1024;
    if (head_ == pending_.size() || head_ >= enough) {
        pending_.erase(0, head_);
        tags_.erase(tags_.begin(), tags_.begin() + static_cast<std::ptrdiff_t>(first_tag_));
        head_ = first_tag_ = 0;
    }
}

void Pipeline::advance(char type, char first) {
    const char at = front();
    const auto answers = [at](char request) { return at == request; };
    switch (type) {
        case '1':  // ParseComplete
            if (answers('P'))
                pop(Outcome::done);
            break;
        case '2':  // BindComplete
            if (answers('B'))
                pop(Outcome::done);
            break;
        case '3':  // CloseComplete
            if (answers('C'))
                pop(Outcome::done);
            break;
        case 'T':  // RowDescription
        case 'n':  // NoData
            if (answers('D'))
                pop(Outcome::done);
            break;
        case 'C':  // CommandComplete
        case 'I':  // EmptyQueryResponse
        case 's':  // PortalSuspended
            if (answers('E'))
                pop(Outcome::done);
            break;
        case 'G':  // CopyInResponse
            copy_in_begins();
            break;
        case 'E':  // ErrorResponse
            fail();
            break;
        case 'Z':  // ReadyForQuery
            if (started())
                ready();
            status_ = first;
            break;
        default:
            break;
    }
}

// An error: of the request at the head, and everything else up to the Sync is discarded.
void Pipeline::fail() {
    copy_in_ = false;
    const char at = front();
    if (at == '\0' || at == 'S') {
        skipping_ = at == '\0' && unfinished_;
        return;
    }
    if (at == 'Q' || at == 'F') {
        failed_ = true;
        return;
    }
    pop(Outcome::failed);
    while (head_ < pending_.size() && pending_[head_] != 'S')
        pop(Outcome::skipped);
    // The Sync may have been sent as an end that the server ignores, in a COPY; then Z ends it.
    skipping_ = head_ == pending_.size() && !overflow_;
}

// The sequence at the head has ended.
void Pipeline::ready() {
    while (head_ < pending_.size() && !ends_sequence(pending_[head_]))
        pop(Outcome::failed);
    if (head_ < pending_.size())
        pop(failed_ ? Outcome::failed : Outcome::done);
    front();  // ends of copy data left over
    failed_ = copy_in_ = skipping_ = false;
}

// The server takes copy data for the request at the head: it ignores each Sync up to the data's
// end.
void Pipeline::copy_in_begins() {
    const char at = front();
    if (at == '\0')
        return;
    const auto begin = pending_.begin() + static_cast<std::ptrdiff_t>(head_) + 1;
    const auto end = std::find(begin, pending_.end(), 'c');
    copy_in_ = end == pending_.end();
    const auto kept = std::remove(begin, end, 'S');
    const bool ignored = kept != end;
    pending_.erase(kept, copy_in_ ? end : end + 1);
    if (copy_in_ && at == 'E' && ignored)
        unfinished_ = true;  // the Sync that counts is yet to come
}

}  // namespace muster::wire
