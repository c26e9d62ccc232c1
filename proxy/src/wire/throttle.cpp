#include "wire/throttle.hpp"

#include <algorithm>

namespace muster::wire {

void Throttle::open(Account account) {
    account_ = std::move(account);
    opened_ = true;
}

Throttle::Decision Throttle::decide(const Pipeline& pipeline, Nanos most, Nanos now, bool patient) {
    // What the server says next may make the client send something else first: copy data.
    const bool awaited = pipeline.at_boundary() && !pipeline.answered();
    if (awaited && patient && !pipeline.overflowed())
        return {Decision::await_answers};
    const bool idle = pipeline.idle();
    const auto payment = account_.pay(1, idle ? most : limit::never, now);
    paid_ = payment.paid;
    if (!paid_)
        return {Decision::refuse, payment.debt, payment.kind};
    if (idle)
        return {Decision::let_pass, payment.debt, payment.kind};
    // Nothing is known but that it is in debt: of a client that has hidden what is outstanding
    // behind too much of it, and where an answer is awaited that may never come.
    if (awaited)
        return {Decision::let_pass, std::min(payment.debt, most), payment.kind};
    return {};
}

void Throttle::drop(char type) {
    const bool alone = type == 'Q' || type == 'F';
    dropping_ = alone ? Dropping::message : Dropping::sequence;
    last_ = false;
}

bool Throttle::drops(char type) {
    if (last_ || dropping_ == Dropping::nothing)
        return false;
    // A client may leave without a Sync.
    if (dropping_ == Dropping::sequence && type == 'X') {
        dropping_ = Dropping::nothing;
        return false;
    }
    return true;
}

void Throttle::dropped(char type) {
    last_ = dropping_ == Dropping::message || type == 'S';
}

bool Throttle::drop_ends(bool between) {
    if (!dropping() || !last_ || !between)
        return false;
    dropping_ = Dropping::nothing;
    return true;
}

}  // namespace muster::wire
