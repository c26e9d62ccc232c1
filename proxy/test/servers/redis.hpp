// A private Redis for one test program.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "servers/process.hpp"

namespace muster::test {

class RedisServer {
  public:
    // Starts a server on a free port of 127.0.0.1 and on a Unix socket, without persistence unless
    // `options` ("--appendonly", "yes", …) say otherwise.
    explicit RedisServer(std::vector<std::string> options = {});

    config::Redis tcp() const;
    config::Redis unix_socket() const;
    std::filesystem::path directory() const { return sandbox_.path(); }

    // SIGKILL; start() brings it back with what its persistence kept.
    void kill();
    void start();
    void signal(int number) const { server_->signal(number); }

    // Runs one command with redis-cli. Returns its output.
    std::string cli(const std::vector<std::string>& words) const;

  private:
    Sandbox sandbox_;
    std::vector<std::string> options_;
    unsigned short port_;
    std::unique_ptr<Process> server_;
};

}  // namespace muster::test
