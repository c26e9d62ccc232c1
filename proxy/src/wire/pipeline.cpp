#include "wire/pipeline.hpp"

#include <algorithm>
#include <string_view>

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
    // While it is unclear which answers were whose, so is whether the server is skipping. What it
    // does skip then keeps the session from ever being called idle again.
    if (skipping_ && !unclear_ && type != 'S')
        return false;
    switch (type) {
        case 'S':  // Sync
            if (copy_in_)
                type = 's';
            else
                unfinished_ = skipping_ = false;
            break;
        case 'Q':  // Query
        case 'F':  // FunctionCall
            unfinished_ = copy_in_ = false;
            break;
        case 'd':  // CopyData
            if (copy_in_ || head_ == pending_.size() || pending_.back() == 'd')
                return false;
            break;  // early: sent before the server said that it takes data
        case 'c':   // CopyDone
        case 'f':   // CopyFail
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
            copy_in_ = false;
            break;
        default:
            return false;
    }
    if (ends_sequence(type) || type == 's')
        ++unanswered_;
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

// The type at the head, NUL if there is none. Copy data that nobody has waited for is none.
char Pipeline::front() {
    while (head_ < pending_.size() && (pending_[head_] == 'c' || pending_[head_] == 'd'))
        ++head_;
    return head_ < pending_.size() ? pending_[head_] : '\0';
}

// The same, when something has come that no Sync is answered with: those at the head have been
// ignored.
char Pipeline::front_with_answer() {
    while (front() == 's' || front() == 'S')
        ++head_;
    return front();
}

// The COPY at the head goes on or has ended well: what was sent within it has been ignored.
void Pipeline::drop_ignored_syncs(std::size_t from) {
    const auto begin = pending_.begin() + static_cast<std::ptrdiff_t>(from);
    pending_.erase(begin, std::find_if(begin, pending_.end(), [](char c) { return c != 's'; }));
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
    constexpr std::string_view answers_to_requests = "123TnCIsGHWV";
    const bool answer = answers_to_requests.find(type) != std::string_view::npos;
    const char at = answer ? front_with_answer() : front();
    if (answer && at != '\0')
        drop_ignored_syncs(head_ + 1);
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
            if (started()) {
                ready();
                unanswered_ -= unanswered_ > 0 ? 1 : 0;
                if (unanswered_ == 0)
                    unclear_ = false;
                else if (!unclear_ && head_ == pending_.size())
                    unanswered_ = 0;  // the rest has been ignored
            }
            status_ = first;
            break;
        default:
            break;
    }
}

// An error: of the request at the head, and everything else up to the Sync is discarded.
void Pipeline::fail() {
    copy_in_ = false;
    while (front() == 's')  // ignored: behind the error of a COPY a Sync has none of its own
        ++head_;
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
    while (head_ < pending_.size() && pending_[head_] != 'S' && pending_[head_] != 's')
        pop(Outcome::skipped);
    // The Sync may have been sent as an end that the server ignores, in a COPY; then Z ends it.
    skipping_ = head_ == pending_.size() && !overflow_;
}

// The sequence at the head has ended.
void Pipeline::ready() {
    if (front() == 's') {  // behind the error of a COPY, it has not been ignored
        ++head_;
        // Or it has, and this is the answer to one that came later.
        unclear_ = unclear_ || head_ < pending_.size();
        copy_in_ = skipping_ = false;
        return;
    }
    while (head_ < pending_.size() && !ends_sequence(pending_[head_]))
        pop(Outcome::failed);
    if (head_ < pending_.size())
        pop(failed_ ? Outcome::failed : Outcome::done);
    front();  // copy data left over
    failed_ = copy_in_ = skipping_ = false;
}

// The server takes copy data for the request at the head: it ignores each Sync up to the data's
// end. Or up to an error in the data: of a Sync that was sent behind some it is not known.
void Pipeline::copy_in_begins() {
    const char at = front();
    if (at == '\0')
        return;
    std::string unclear;
    bool ignored = false;
    auto next = head_ + 1;
    for (; next < pending_.size(); ++next) {
        const char sent = pending_[next];
        if (sent != 'S' && sent != 'd')
            break;
        if (sent == 'd')
            unclear += unclear.empty() ? "d" : "";
        else if (!unclear.empty())
            unclear += 's';
        ignored = ignored || sent == 'S';
    }
    copy_in_ = next == pending_.size();
    if (!copy_in_ && pending_[next] == 'c')
        ++next;
    if (!unclear.empty())
        unclear.erase(0, 1);
    pending_.replace(head_ + 1, next - head_ - 1, unclear);
    const auto behind = pending_.begin() + static_cast<std::ptrdiff_t>(head_ + 1);
    if (at == 'E' && ignored && std::none_of(behind, pending_.end(), ends_sequence))
        unfinished_ = true;  // the Sync that counts is yet to come
}

}  // namespace muster::wire
