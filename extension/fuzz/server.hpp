// What the pure part of the writer needs of a server, outside of one: memory over malloc(), so that
// the sanitizers see the end of every piece, and errors that end an attempt.
//
// The writer is compiled with limit.hpp, which makes the largest size of a value a variable.
#pragma once

#include <csetjmp>
#include <cstddef>
#include <string>

namespace fuzz {

// How much of the stack may be used from an attempt on before the server calls it too deep.
extern std::size_t stack_limit;

// The largest value, at most `largest_limit`. Asking for more memory at once is a failure of the
// test: the writer is to refuse before.
extern std::size_t size_limit;
constexpr std::size_t largest_limit = 64 * 1024 * 1024;

// The error that ended the last attempt.
extern std::string refusal;

namespace server {
extern std::jmp_buf start;
extern bool attempting;
void begin(const void* stack_base);
void end();
}  // namespace server

// Calls `action` as the server calls a function, and returns whether it came to its end. An error
// jumps out of it, so its frames must have nothing to destroy. What it allocated is gone after
// `finish`, which is called only without an error.
template <class Action, class Finish>
bool attempt(Action action, Finish finish) {
    server::begin(__builtin_frame_address(0));
    const bool done = setjmp(server::start) == 0;
    if (done) {
        action();
        server::attempting = false;
        finish();
    }
    server::end();
    return done;
}

// Ends the program as a failure that the fuzzer reports, saying what was got instead of what.
[[noreturn]] void fail(const char* what, const std::string& got, const std::string& wanted);

inline void expect(const char* what, const std::string& got, const std::string& wanted) {
    if (got != wanted) {
        fail(what, got, wanted);
    }
}

}  // namespace fuzz
