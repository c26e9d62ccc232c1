// A private Redis for one test program.
#include "servers/redis.hpp"

#include <csignal>
#include <stdexcept>

namespace muster::test {

RedisServer::RedisServer(std::vector<std::string> options)
    : options_(std::move(options)), port_(free_port()) {
    start();
}

config::Redis RedisServer::tcp() const {
    config::Redis redis;
    redis.address = {"127.0.0.1", port_};
    return redis;
}

config::Redis RedisServer::unix_socket() const {
    config::Redis redis;
    redis.address = {(sandbox_.path() / "redis.sock").string(), 0};
    return redis;
}

void RedisServer::start() {
    std::vector<std::string> arguments{"redis-server",
                                       "--port",
                                       std::to_string(port_),
                                       "--bind",
                                       "127.0.0.1",
                                       "--unixsocket",
                                       (sandbox_.path() / "redis.sock").string(),
                                       "--dir",
                                       sandbox_.path().string(),
                                       "--save",
                                       "",
                                       "--enable-debug-command",
                                       "yes"};
    arguments.insert(arguments.end(), options_.begin(), options_.end());
    const auto log = sandbox_.path() / "redis.log";
    server_ = std::make_unique<Process>(arguments, log, SIGKILL);
    wait_until("Redis to start", [&] {
        if (!server_->running())
            throw std::runtime_error("Redis ended: " + read_file(log));
        Process ping({"redis-cli", "-h", "127.0.0.1", "-p", std::to_string(port_), "PING"},
                     sandbox_.path() / "ping.log", SIGKILL);
        ping.wait();
        const std::string said = read_file(sandbox_.path() / "ping.log");
        std::filesystem::remove(sandbox_.path() / "ping.log");
        return said.find("PONG") != std::string::npos || said.find("NOAUTH") != std::string::npos;
    });
}

void RedisServer::kill() {
    server_->signal(SIGKILL);
    server_->wait();
}

std::string RedisServer::cli(const std::vector<std::string>& words) const {
    static int count = 0;
    const auto output = sandbox_.path() / ("cli." + std::to_string(++count));
    std::vector<std::string> arguments{"redis-cli", "--no-auth-warning",  "-h", "127.0.0.1",
                                       "-p",        std::to_string(port_)};
    arguments.insert(arguments.end(), words.begin(), words.end());
    run_program(arguments, output);
    return read_file(output);
}

}  // namespace muster::test
