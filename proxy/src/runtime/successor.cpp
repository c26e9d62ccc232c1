// posix_spawn() with the protocol of sd_listen_fds(3), and a pipe that the new process writes to.
#include "runtime/successor.hpp"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <spdlog/spdlog.h>

#include "runtime/runtime.hpp"

namespace muster {
namespace {

constexpr int first_descriptor = 3;  // SD_LISTEN_FDS_START

std::vector<char*> pointers(const std::vector<std::string>& texts) {
    std::vector<char*> list;
    for (const std::string& text : texts) {
        list.push_back(const_cast<char*>(text.c_str()));
    }
    list.push_back(nullptr);
    return list;
}

// Ours, without what is said anew.
std::vector<std::string> environment(std::size_t sockets, const std::string& names, int pipe) {
    std::vector<std::string> variables;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        const std::string_view text(*variable);
        if (!text.starts_with("LISTEN_") && !text.starts_with(predecessor_variable)) {
            variables.emplace_back(text);
        }
    }
    variables.push_back("LISTEN_FDS=" + std::to_string(sockets));
    variables.push_back("LISTEN_FDNAMES=" + names);
    variables.push_back(std::string(predecessor_variable) + '=' + std::to_string(pipe));
    return variables;
}

// Starts the command with the sockets as descriptors from 3 on and the pipe's end after them, and
// with no other of ours. Returns its process id, or the negative of errno.
int spawn_with(const std::vector<std::string>& command,
               const std::vector<Listeners::Socket>& sockets, int pipe) {
    const int count = static_cast<int>(sockets.size());
    const int beyond = first_descriptor + count + 1;
    std::string names;
    std::vector<int> copies;  // above every number that is a target
    for (const Listeners::Socket& socket : sockets) {
        names += (names.empty() ? "" : ":") + socket.name;
        copies.push_back(::fcntl(socket.descriptor, F_DUPFD_CLOEXEC, beyond));
    }
    copies.push_back(::fcntl(pipe, F_DUPFD_CLOEXEC, beyond));

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (int i = 0; i <= count; ++i) {
        posix_spawn_file_actions_adddup2(&actions, copies[static_cast<std::size_t>(i)],
                                         first_descriptor + i);
    }
    posix_spawn_file_actions_addclosefrom_np(&actions, beyond);  // connections, too
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none;
    sigemptyset(&none);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);

    const auto variables = environment(sockets.size(), names, first_descriptor + count);
    pid_t process = -1;
    const int error = ::posix_spawnp(&process, command.front().c_str(), &actions, &attributes,
                                     pointers(command).data(), pointers(variables).data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    for (const int copy : copies) {
        ::close(copy);
    }
    return error == 0 ? process : -error;
}

std::string outcome_of(int process) {
    int status = 0;
    if (::waitpid(process, &status, 0) != process) {
        return "was lost";
    }
    return WIFEXITED(status) ? "ended with status " + std::to_string(WEXITSTATUS(status))
                             : "was ended by signal " + std::to_string(WTERMSIG(status));
}

}  // namespace

Successor::Successor(net::io_context& context, std::vector<std::string> command)
    : context_(context), command_(std::move(command)) {}

void Successor::start(const std::vector<Listeners::Socket>& sockets,
                      std::chrono::milliseconds patience, std::function<void()> ready) {
    if (process_ != 0) {
        return;
    }
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
        spdlog::error("cannot start a new process: {}", std::strerror(errno));
        return;
    }
    const int process = spawn_with(command_, sockets, ends[1]);
    ::close(ends[1]);
    if (process < 0) {
        ::close(ends[0]);
        spdlog::error("cannot start {}: {}; this process goes on", command_.front(),
                      std::strerror(-process));
        return;
    }
    spdlog::info("started process {}, which is to take over", process);
    process_ = process;
    spawn(context_, "the start of a new process", await(ends[0], patience, std::move(ready)));
}

// The pipe ends with the process, whatever becomes of it.
Task<> Successor::await(int pipe, std::chrono::milliseconds patience, std::function<void()> ready) {
    StreamDescriptor reader(context_.get_executor(), pipe);
    Timer timer(context_.get_executor());
    timer.expires_after(patience);
    timer.async_wait([this](const error_code& ec) {
        if (!ec) {
            spdlog::error("the new process does not come to serve; it is ended");
            abandon();
        }
    });
    char byte = 0;
    error_code ec;
    const std::size_t size = co_await reader.async_read_some(net::buffer(&byte, 1), capture(ec));
    timer.cancel();
    const int process = std::exchange(process_, 0);
    if (size == 1) {
        spdlog::info("process {} serves", process);
        ready();
    } else {
        spdlog::error("the new process {}; this one goes on", outcome_of(process));
    }
}

void Successor::abandon() {
    if (process_ != 0) {
        ::kill(process_, SIGKILL);
    }
}

void tell_predecessor() {
    const char* const text = std::getenv(predecessor_variable);
    int pipe = -1;
    if (text == nullptr ||
        std::from_chars(text, text + std::strlen(text), pipe).ec != std::errc()) {
        return;
    }
    ::unsetenv(predecessor_variable);
    const char byte = 1;
    if (::write(pipe, &byte, 1) != 1) {
        spdlog::warn("the process before this one is gone already");
    }
    ::close(pipe);
}

}  // namespace muster
