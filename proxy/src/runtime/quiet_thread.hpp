// A thread that no signal is delivered to: signals are for the thread that waits for them.
#pragma once

#include <csignal>
#include <thread>
#include <utility>

namespace muster {

// Starts `run` in a thread of its own, which the caller joins or detaches. Throws
// std::system_error, as std::thread does.
template <class Run>
std::thread start_quiet_thread(Run&& run) {
    class AllBlocked {
      public:
        AllBlocked() {
            sigset_t all;
            sigfillset(&all);
            pthread_sigmask(SIG_SETMASK, &all, &before_);
        }
        ~AllBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
        AllBlocked(const AllBlocked&) = delete;
        AllBlocked& operator=(const AllBlocked&) = delete;

      private:
        sigset_t before_;
    };
    const AllBlocked inherited;
    return std::thread(std::forward<Run>(run));
}

}  // namespace muster
