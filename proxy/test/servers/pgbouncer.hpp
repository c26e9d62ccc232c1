// A private pgbouncer in front of a PostgresServer, pooling by transaction with SCRAM passwords.
#pragma once

#include <memory>
#include <string>

#include "servers/postgres.hpp"

namespace muster::test {

class Pgbouncer {
  public:
    // Starts it on a free port of 127.0.0.1; roles and their passwords are the server's.
    explicit Pgbouncer(const PostgresServer& server) : Pgbouncer(server.port()) {}
    // In front of what leads to such a server, on this port of 127.0.0.1. With `auth` "trust" the
    // roles postgres and recorder may enter without a password.
    explicit Pgbouncer(unsigned short server_port, const std::string& auth = "scram-sha-256");

    unsigned short port() const { return port_; }

    void stop();
    void start();

  private:
    Sandbox sandbox_;
    unsigned short port_;
    std::unique_ptr<Process> process_;
};

}  // namespace muster::test
