// Replacing the running process by a new one without losing a connection: the new one, of the same
// command line, is given the listening sockets, and says when it serves.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "runtime/asio.hpp"
#include "runtime/listeners.hpp"

namespace muster {

// Names the descriptor of the pipe; set in a process that is to replace another.
inline constexpr const char* predecessor_variable = "MUSTER_READY_FD";

// On the thread of one context, which outlives it.
class Successor {
  public:
    // `command` is this process's own command line; its program is looked for anew, so that it may
    // be a newer one.
    Successor(net::io_context& context, std::vector<std::string> command);

    // Starts the new process with these sockets, unless one is being started already. Then either
    // `ready` is called, once it serves, or it has failed, which is logged: it has ended, or was
    // ended for not serving within `patience`.
    void start(const std::vector<Listeners::Socket>& sockets, std::chrono::milliseconds patience,
               std::function<void()> ready);

    // Ends a new process that does not serve yet.
    void abandon();

  private:
    Task<> await(int pipe, std::chrono::milliseconds patience, std::function<void()> ready);

    net::io_context& context_;
    const std::vector<std::string> command_;
    int process_ = 0;  // that is being started; 0: none
};

// In the new process: tells the one that has started it, if any, that it may go. Once.
void tell_predecessor();

}  // namespace muster
