// A private PostgreSQL cluster for one test program.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "servers/process.hpp"

namespace muster::test {

class PostgresServer {
  public:
    // Makes and starts a cluster that listens on a free port of 127.0.0.1 and on a Unix socket;
    // superuser "postgres", trusted; role "locked" needs the password "secret" on TCP.
    PostgresServer();

    // The same with the extension to be had, as `make` built it; preloaded unless told otherwise.
    // `settings` ("name=value") win over those of all servers here.
    struct WithMuster {
        bool preloaded = true;
        std::vector<std::string> settings = {};
    };
    explicit PostgresServer(const WithMuster& muster);

    // A standby of `primary`, which streams from it. Not started.
    struct Standby {};
    PostgresServer(Standby, const PostgresServer& primary);
    void promote();

    unsigned short port() const { return port_; }
    std::string socket_directory() const { return sandbox_.path().string(); }
    std::string socket_conninfo(const std::string& database = "postgres") const;
    std::string tcp_conninfo(const std::string& user = "postgres") const;

    const std::filesystem::path& directory() const { return sandbox_.path(); }

    // SIGKILL for the postmaster, for good.
    void kill();
    // SIGKILL for the postmaster and a start over the same data.
    void crash_and_restart();
    // A fast shutdown; start() ends it.
    void stop();
    void start();

    // Runs SQL with psql, one statement after the other; throws if one fails. Returns its output.
    std::string psql(const std::string& sql, const std::string& database = "postgres") const;
    // Dumps a database with pg_dump and restores it into another, empty one.
    void dump_and_restore(const std::string& from, const PostgresServer& server,
                          const std::string& to) const;

  private:
    std::string program(const std::string& name) const;
    void make_cluster();

    Sandbox sandbox_;
    std::string programs_;  // the directory of the server's programs
    std::vector<std::string> settings_;
    unsigned short port_;
    std::unique_ptr<Process> server_;
};

}  // namespace muster::test
