// Real servers for tests: a directory to live in and child processes that never outlive the test,
// however it ends.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace muster::test {

// A fresh directory that the unprivileged server user can reach and owns. It is removed when the
// Sandbox goes, or by a janitor process once the test has died.
class Sandbox {
  public:
    // `farewell` is a command to run in the directory before it is removed.
    explicit Sandbox(std::vector<std::string> farewell = {});
    ~Sandbox();
    Sandbox(const Sandbox&) = delete;
    Sandbox& operator=(const Sandbox&) = delete;

    const std::filesystem::path& path() const { return path_; }

  private:
    std::filesystem::path path_;
    int janitor_input_ = -1;  // closed by the kernel when we die
    pid_t janitor_ = -1;
};

// A child process. The kernel sends it `end_signal` when this thread dies; the destructor does too,
// and SIGKILL after 10 s.
class Process {
  public:
    // Starts `arguments` as the unprivileged server user if we are root (`drop`), output to `log`.
    // Of our descriptors it gets `passed` alone, as 3 and those that follow.
    Process(const std::vector<std::string>& arguments, const std::filesystem::path& log,
            int end_signal, bool drop = true, const std::vector<int>& passed = {});
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    pid_t pid() const { return pid_; }
    bool running();
    void signal(int number) const;
    // Waits for the end, at most 30 s (then throws). Returns the status of waitpid().
    int wait();

  private:
    pid_t pid_;
    int end_signal_;
    int status_ = 0;
};

// Runs a program to its end as the server user; throws with its log if it fails.
void run_program(const std::vector<std::string>& arguments, const std::filesystem::path& log);

// Waits until `condition` holds; throws, naming `what`, after 30 s.
void wait_until(const std::string& what, const std::function<bool()>& condition);

// A TCP port of 127.0.0.1 that was free a moment ago.
unsigned short free_port();

std::string read_file(const std::filesystem::path& path);

}  // namespace muster::test
