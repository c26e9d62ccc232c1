// Real servers for tests: directories and child processes that never outlive the test.
#include "servers/process.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pwd.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace muster::test {

namespace {

constexpr int most_passed = 8;

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

struct Account {
    uid_t user;
    gid_t group;
};
// Whom servers run as where root may not run them. Looked up once: getpwnam() is for one thread.
const Account& servers_account() {
    static const Account account = [] {
        const passwd* found = ::getpwnam("postgres");
        if (found == nullptr)
            throw std::runtime_error("no user \"postgres\" to run servers as");
        return Account{found->pw_uid, found->pw_gid};
    }();
    return account;
}

std::vector<char*> c_arguments(const std::vector<std::string>& arguments) {
    std::vector<char*> list;
    list.reserve(arguments.size() + 1);
    for (const std::string& argument : arguments)
        list.push_back(const_cast<char*>(argument.c_str()));
    list.push_back(nullptr);
    return list;
}

// Empties the directory once its standard input, held by the test alone, is closed. Servers may
// need a moment to end and leave files until then.
constexpr const char* janitor_script =
    "cat >/dev/null; if [ $# -gt 0 ] && cd \"$0\"; then \"$@\" >/dev/null 2>&1; cd /; fi;"
    " for i in 1 2 3 4 5 6 7 8 9 10 11 12; do"
    " rm -rf -- \"$0\" 2>/dev/null && exit; sleep 0.5; done";

}  // namespace

Sandbox::Sandbox(std::vector<std::string> farewell) {
    std::string name = (std::filesystem::temp_directory_path() / "muster-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
        fail("mkdtemp");
    path_ = name;
    if (::geteuid() == 0) {
        if (::chown(name.c_str(), servers_account().user, servers_account().group) != 0)
            fail("chown");
    }
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        fail("pipe2");
    std::vector<std::string> arguments{"/bin/sh", "-c", janitor_script, name};
    arguments.insert(arguments.end(), farewell.begin(), farewell.end());
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[0], 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);  // connections, too
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);  // out of the terminal's reach
    const int error = ::posix_spawn(&janitor_, "/bin/sh", &actions, &attributes,
                                    c_arguments(arguments).data(), environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    ::close(ends[0]);
    janitor_input_ = ends[1];
    if (error != 0)
        throw std::system_error(error, std::generic_category(), "posix_spawn");
}

Sandbox::~Sandbox() {
    ::close(janitor_input_);
    while (::waitpid(janitor_, nullptr, 0) < 0 && errno == EINTR) {
    }
}

Process::Process(const std::vector<std::string>& arguments, const std::filesystem::path& log,
                 int end_signal, bool drop, const std::vector<int>& passed)
    : end_signal_(end_signal) {
    if (passed.size() > most_passed)
        throw std::invalid_argument("too many descriptors to pass on");
    const pid_t parent = ::getpid();
    const auto list = c_arguments(arguments);
    const bool drops = drop && ::geteuid() == 0;
    const uid_t uid = drops ? servers_account().user : ::geteuid();
    const gid_t gid = drops ? servers_account().group : ::getegid();
    pid_ = ::fork();
    if (pid_ < 0)
        fail("fork");
    if (pid_ > 0)
        return;
    // Between fork and exec only what is safe in a child of a program with threads.
    const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    const int input = ::open("/dev/null", O_RDONLY);
    ::dup2(input, 0);
    ::dup2(output, 1);
    ::dup2(output, 2);
    // Aside first, where none is overwritten by another.
    int aside[most_passed];
    int count = 0;
    for (const int one : passed)
        aside[count++] = ::fcntl(one, F_DUPFD, 3 + most_passed);
    for (int i = 0; i < count; ++i)
        ::dup2(aside[i], 3 + i);
    // Neither Asio nor libpq opens sockets for this process alone. A connection that a server here
    // has, too, stays open to its peer once it is closed.
    ::closefrom(3 + count);
    if (drops && (::setgid(gid) != 0 || ::setuid(uid) != 0))
        ::_exit(126);
    // The directory of the tests may be closed to the new user, which some programs complain about.
    if (drops && ::chdir("/") != 0)
        ::_exit(126);
    // After the change of user, which clears it; and our parent may be gone already.
    ::prctl(PR_SET_PDEATHSIG, end_signal);
    if (::getppid() != parent)
        ::_exit(126);
    ::execvp(list[0], list.data());
    ::_exit(127);
}

Process::~Process() {
    if (!running())
        return;
    signal(end_signal_);
    for (int i = 0; i < 1000 && running(); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (running()) {
        signal(SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
}

bool Process::running() {
    if (pid_ > 0 && ::waitpid(pid_, &status_, WNOHANG) == pid_)
        pid_ = -1;
    return pid_ > 0;
}

void Process::signal(int number) const {
    if (pid_ > 0)
        ::kill(pid_, number);
}

int Process::wait() {
    wait_until("the end of a child process", [this] { return !running(); });
    return status_;
}

void run_program(const std::vector<std::string>& arguments, const std::filesystem::path& log) {
    Process process(arguments, log, SIGKILL);
    const int status = process.wait();
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        throw std::runtime_error(arguments[0] + " failed: " + read_file(log));
}

void wait_until(const std::string& what, const std::function<bool()>& condition) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > give_up)
            throw std::runtime_error("waited 30 s in vain for " + what);
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

// Below the ports that the kernel gives to connections: tests that run beside this one open many.
unsigned short free_port() {
    thread_local std::minstd_rand random{std::random_device{}()};
    std::uniform_int_distribution<unsigned short> any(10000, 19999);
    for (int i = 0; i < 1000; ++i) {
        const unsigned short port = any(random);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(port);
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const bool bound =
            fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
        ::close(fd);
        if (bound)
            return port;
    }
    fail("free port");
}

std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

}  // namespace muster::test
