// A whole private stack for tests, by way of deploy/stack.
#include "harness/stack.hpp"

#include <chrono>
#include <csignal>
#include <set>
#include <sstream>
#include <stdexcept>
#include <thread>

#include <sys/wait.h>

namespace muster::test {
namespace {

using namespace std::chrono_literals;

const std::string script = std::string(MUSTER_SOURCE_DIR) + "/deploy/stack";

constexpr const char* services[] = {"http", "admin", "wire", "pgbouncer", "postgres", "redis"};

std::map<std::string, unsigned short> free_ports() {
    std::map<std::string, unsigned short> ports;
    std::set<unsigned short> taken;
    for (const char* service : services) {
        auto port = free_port();
        while (!taken.insert(port).second)
            port = free_port();
        ports[service] = port;
    }
    return ports;
}

// Waits for a program that may take minutes on a busy machine.
int wait_long(Process& process) {
    for (int i = 0; i < 24000; ++i) {
        if (!process.running())
            return process.wait();
        std::this_thread::sleep_for(10ms);
    }
    throw std::runtime_error("a program did not end in four minutes");
}

}  // namespace

Stack::Stack()
    : ports_(free_ports()), sandbox_({"env", "MUSTER_STACK_DIR=stack", script, "clean"}) {
    start();
}

void Stack::start() {
    start_with(MUSTER_PROXY_PROGRAM);
}

void Stack::start_servers_only() {
    start_with("none");
}

void Stack::start_with(const std::string& proxy) {
    std::vector<std::string> command{"env", "MUSTER_STACK_DIR=" + directory().string(),
                                     "MUSTER_PROXY=" + proxy, "MUSTER_DEMO=0"};
    for (const auto& [service, port] : ports_) {
        std::string name = service;
        for (char& c : name)
            c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
        command.push_back("MUSTER_" + name + "_PORT=" + std::to_string(port));
    }
    command.push_back(script);
    command.push_back("start");
    const auto log = sandbox_.path() / "start.log";
    Process process(command, log, SIGTERM, false);
    if (wait_long(process) != 0)
        throw std::runtime_error("deploy/stack start failed:\n" + read_file(log));

    std::istringstream lines(read_file(directory() / "env"));
    for (std::string line; std::getline(lines, line);) {
        const auto equals = line.find('=');
        if (equals != std::string::npos)
            env_[line.substr(0, equals)] = line.substr(equals + 1);
    }
}

const std::string& Stack::env(const std::string& name) const {
    const auto found = env_.find(name);
    if (found == env_.end())
        throw std::runtime_error("no " + name + " in the stack's env file");
    return found->second;
}

int Stack::pid(const std::string& server) const {
    return std::stoi(read_file(directory() / "run" / (server + ".pid")));
}

void Stack::stop(const std::string& server) const {
    const auto process = pid(server);
    ::kill(process, server == "postgres" ? SIGINT : SIGTERM);
    wait_for_end(server, process);
}

void Stack::signal(const std::string& server, int number) const {
    const auto process = pid(server);
    ::kill(process, number);
    if (number == SIGKILL)
        wait_for_end(server, process);
}

void Stack::wait_for_end(const std::string& server, int process) {
    // It is nobody's child any more; until init has reaped it, it is a zombie.
    const auto stat = "/proc/" + std::to_string(process) + "/stat";
    wait_until("the end of " + server, [&] {
        const auto text = read_file(stat);
        return text.empty() || text.find(") Z ") != std::string::npos;
    });
}

std::vector<std::string> Stack::proxy_command() const {
    std::istringstream text(read_file("/proc/" + std::to_string(pid("proxy")) + "/cmdline"));
    std::vector<std::string> words;
    for (std::string word; std::getline(text, word, '\0');)
        words.push_back(word);
    return words;
}

RedisSubscriber Stack::subscriber(const std::string& channel) const {
    return {{env("MUSTER_REDIS_HOST"), std::stoi(env("MUSTER_REDIS_PORT")),
             env("MUSTER_REDIS_USERNAME"), env("MUSTER_REDIS_PASSWORD")},
            channel};
}

std::string Stack::http_headers() const {
    return "X-API-Key: " + env("MUSTER_API_KEY") + "\r\nContent-Type: application/json\r\n";
}

HttpAnswer Stack::http(const std::string& method, const std::string& target,
                       std::optional<std::string> body) const {
    return HttpClient(port("http")).request(method, target, http_headers(), std::move(body));
}

Json Stack::http_json(int status, const std::string& method, const std::string& target,
                      std::optional<std::string> body) const {
    const auto answer = http(method, target, std::move(body));
    if (answer.status != status)
        throw std::runtime_error(method + " " + target + ": " + std::to_string(answer.status) +
                                 " " + answer.body);
    return Json::parse(answer.body);
}

std::string Stack::run(const std::vector<std::string>& arguments) const {
    static int count = 0;
    const auto log = sandbox_.path() / ("run." + std::to_string(++count));
    run_program(arguments, log);
    return read_file(log);
}

Stack& shared_stack() {
    static Stack stack;
    return stack;
}

}  // namespace muster::test
