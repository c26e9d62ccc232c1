#include "wire/throttle.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "timing/sql_lexer.hpp"
#include "wire/bytes.hpp"

namespace muster::wire {

bool sets_in_order(std::string_view bytes) {
    constexpr std::array<std::string_view, 8> verbs{"abort", "close",    "deallocate", "discard",
                                                    "reset", "rollback", "set",        "unlisten"};
    constexpr std::size_t header = 5;
    if (bytes.size() <= header || bytes.front() != 'Q')
        return false;
    const auto sql = bytes.substr(header, read_uint32(bytes.data() + 1) - 4);
    timing::SqlLexer lexer(sql);
    const bool whole =
        lexer.next() == timing::SqlLexer::Kind::word && lexer.end() < sql.data() + sql.size();
    std::string verb(lexer.text());
    std::transform(verb.begin(), verb.end(), verb.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    return whole && std::find(verbs.begin(), verbs.end(), verb) != verbs.end();
}

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
