// A private pgbouncer in front of a PostgresServer, pooling by transaction with SCRAM passwords.
#pragma once

#include <memory>
#include <string>

#include "servers/postgres.hpp"

namespace muster::test {

class Pgbouncer {
  public:
    // Starts it on a free port of 127.0.0.1; roles and their passwords are the server's. `settings`
    // and `users` are more lines of its configuration and of its users' file.
    explicit Pgbouncer(const PostgresServer& server, const std::string& settings = "",
                       const std::string& users = "")
        : Pgbouncer(server.port(), settings, users) {}
    // In front of what leads to such a server, on this port of 127.0.0.1.
    explicit Pgbouncer(unsigned short server_port, const std::string& settings = "",
                       const std::string& users = "");

    unsigned short port() const { return port_; }

    void stop();
    void start();

  private:
    Sandbox sandbox_;
    unsigned short port_;
    std::unique_ptr<Process> process_;
};

}  // namespace muster::test
