// What the rate limits make of a session's messages: a pure state machine between the scanner, the
// pipeline and the session's account.
//
// Every query is paid for. At the first message of a sequence one token is asked for; what the
// sequence holds beyond one query is charged as it passes, into debt if need be, for what has begun
// cannot be stopped. Where there is no token the sequence is held: until the server has answered
// everything before it, and then, outside a transaction, until the debt is paid. If that takes too
// long it is refused: dropped up to its end, with an ErrorResponse in place of its answers; unless
// it sets the session in order, which waits as long as it takes. Inside a transaction it goes on at
// once, on debt.
#pragma once

#include <cstdint>
#include <string_view>

#include "limit/account.hpp"
#include "wire/pipeline.hpp"

namespace muster::wire {

// Whether the message that `bytes` begin with is a Query that sets a session in order: DISCARD,
// RESET, SET and the like. A pooler sends it between two clients, and pgbouncer takes an error for
// success: the next client would have the role and settings of the one before. False if `bytes` end
// before they tell, which a pooler's, sent alone, do not.
bool sets_in_order(std::string_view bytes);

class Throttle {
  public:
    using Account = limit::Account;
    using Nanos = limit::Nanos;

    // Pays from `account` from now on. Before, no sequence may begin: until its login a client is
    // nobody's, and whoever does not wait for that would have what it sends for nothing.
    void open(Account account);
    bool opened() const { return opened_; }
    const Account& account() const { return account_; }

    // False: nothing is limited, and the clock need not be read.
    bool in_force() const { return !account_.empty(); }

    // Whether the message of `type` that comes next may go on, else the session has it decide().
    bool may_begin(char type, const Pipeline& pipeline, Nanos now) {
        if (!opened_)
            return !begins_sequence(type);
        if (!in_force() || paid_ || !pipeline.at_boundary() || !begins_sequence(type))
            return true;
        paid_ = account_.pay(1, 0, now).paid;
        return paid_;
    }

    // A query goes on.
    void charge(Nanos now) {
        if (paid_)
            paid_ = false;
        else if (in_force())
            account_.pay(1, limit::never, now);
    }

    // What is to be done about a sequence that may not begin.
    struct Decision {
        enum What { await_answers, let_pass, refuse } what = let_pass;
        Nanos wait = 0;  // before it passes; of one refused, until it would pass at once
        Account::Kind kind = Account::address;
    };
    // After let_pass it may begin. `most` is what it may wait, once all is answered. Who is not
    // `patient` is not told to await answers any more.
    Decision decide(const Pipeline& pipeline, Nanos most, Nanos now, bool patient = true);

    // Drops the sequence that begins with a message of `type`.
    void drop(char type);
    bool dropping() const { return dropping_ != Dropping::nothing; }
    // The dropped sequence gets all its answer at its end, not the error at its beginning.
    bool answers_at_end() const { return dropping_ == Dropping::message; }
    // Whether the message of `type` that comes next is dropped too; if so it has to be told.
    bool drops(char type);
    void dropped(char type);
    // Of all that is dropped the last byte has come, if the client is `between` two messages. True
    // once.
    bool drop_ends(bool between);

  private:
    static bool begins_sequence(char type) {
        return type == 'Q' || type == 'P' || type == 'B' || type == 'E' || type == 'D' ||
               type == 'C' || type == 'F';
    }

    enum class Dropping : std::uint8_t { nothing, message, sequence };

    Account account_;
    bool opened_ = false;
    bool paid_ = false;  // for the next query
    Dropping dropping_ = Dropping::nothing;
    bool last_ = false;  // the message that comes, or came last, is the last that is dropped
};

}  // namespace muster::wire
