#include "backend.hpp"

namespace fuzz {
namespace {

using Outcome = Pipeline::Outcome;

bool is_noise(char type) {
    return type == 'd' || type == 'c' || type == 'f' || type == 'H';
}

void say(std::string& said, char type, char first = '\0') {
    said.push_back(type);
    said.push_back(first);
}

}  // namespace

void Backend::receive(char type, std::uint64_t tag) {
    queue_.push_back({type, tag});
    serious_ += is_noise(type) ? 0 : 1;
}

bool Backend::idle() const {
    return serious_ == 0 && started_ && !discarding_ && !copying_ && !unsynced_ && status_ == 'I';
}

void Backend::ready(Input& input, std::string& said) {
    status_ = "IIIITTE"[input.below(7)];
    discarding_ = unsynced_ = false;
    say(said, 'Z', status_);
}

void Backend::fail(std::string& said) {
    say(said, 'E', 'S');
    copying_ = false;
    discarding_ = extended_;
}

void Backend::begin_copy(const Message& message, std::string& said) {
    say(said, 'G');
    current_ = message;
    copying_ = true;
    synced_in_copy_ = false;
}

// One of the statements of a Query after the other, as far as the input goes.
void Backend::run_query(Input& input, std::string& said) {
    const Message query = current_;
    for (;;) {
        switch (input.below(8)) {
            case 0:
                fail(said);
                end(Outcome::failed);
                return ready(input, said);
            case 1:
                say(said, 'I');
                break;
            case 2:
                return begin_copy(query, said);
            case 3:
                say(said, 'H');
                say(said, 'd');
                say(said, 'c');
                say(said, 'C');
                break;
            case 4:
                say(said, 'T');
                say(said, 'D');
                say(said, 'C');
                continue;
            default:
                say(said, 'C');
        }
        end(Outcome::done);
        return ready(input, said);
    }
}

void Backend::run_execute(Input& input, std::string& said) {
    switch (input.below(8)) {
        case 0:
            fail(said);
            return end(Outcome::failed);
        case 1:
            say(said, 'D');
            fail(said);
            return end(Outcome::failed);
        case 2:
            return begin_copy(current_, said);
        case 3:
            say(said, 'H');
            say(said, 'd');
            say(said, 'c');
            say(said, 'C');
            break;
        case 4:
            say(said, 's');
            break;
        case 5:
            say(said, 'I');
            break;
        default:
            say(said, 'D');
            say(said, 'C');
    }
    end(Outcome::done);
}

void Backend::copy_step(const Message& message, Input& input, std::string& said) {
    const auto failed = [&] {
        for (const Message& later : queue_)
            synced_in_copy_ = synced_in_copy_ || later.type == 'S';
        unclear_ = unclear_ || synced_in_copy_;
        fail(said);
        end(Outcome::failed);
        if (current_.type == 'Q')
            ready(input, said);
    };
    switch (message.type) {
        case 'd':
            if (input.below(8) == 0)
                failed();
            break;
        case 'c':
            if (input.below(4) == 0)
                return failed();
            copying_ = false;
            say(said, 'C');
            if (current_.type == 'Q')
                return run_query(input, said);
            end(Outcome::done);
            break;
        case 'f':
            failed();
            break;
        case 'S':
            synced_in_copy_ = true;
            break;
        case 'H':
            break;
        default:
            say(said, 'E', 'S');
            gone_ = true;
    }
}

void Backend::step(Input& input, std::string& said) {
    if (gone_)
        return;
    if (!started_) {
        say(said, 'R');
        say(said, 'K');
        started_ = true;
        return ready(input, said);
    }
    if (input.below(8) == 0)
        say(said, "NAS"[input.below(3)]);
    if (queue_.empty())
        return;
    const Message message = queue_.front();
    queue_.pop_front();
    serious_ -= is_noise(message.type) ? 0 : 1;
    if (copying_)
        return copy_step(message, input, said);
    if (message.type == 'S') {
        extended_ = false;
        if (unsynced_ && !discarding_ && input.below(8) == 0)  // the commit fails
            fail(said);
        return ready(input, said);
    }
    if (discarding_) {
        if (message.tag != 0)
            outcomes_[message.tag] = Outcome::skipped;
        return;
    }
    if (is_noise(message.type))
        return;
    current_ = message;
    extended_ = message.type != 'Q' && message.type != 'F';
    if (extended_)
        unsynced_ = true;
    switch (message.type) {
        case 'Q':
            return run_query(input, said);
        case 'E':
            return run_execute(input, said);
        case 'F':
            if (input.below(4) == 0) {
                fail(said);
                end(Outcome::failed);
            } else {
                say(said, 'V');
                end(Outcome::done);
            }
            return ready(input, said);
        default:
            break;
    }
    if (input.below(8) == 0)
        return fail(said);
    if (message.type == 'P')
        say(said, '1');
    else if (message.type == 'B')
        say(said, '2');
    else if (message.type == 'C')
        say(said, '3');
    else
        say(said, input.below(2) == 0 ? 'T' : 'n');
}

}  // namespace fuzz
