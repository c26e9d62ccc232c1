// A private pgbouncer in front of a PostgresServer.
#include "servers/pgbouncer.hpp"

#include <csignal>
#include <fstream>

#include <libpq-fe.h>

namespace muster::test {

Pgbouncer::Pgbouncer(unsigned short server_port, const std::string& settings,
                     const std::string& users)
    : port_(free_port()) {
    const auto directory = sandbox_.path().string();
    std::ofstream(sandbox_.path() / "users.txt") << "\"postgres\" \"\"\n" << users;
    std::ofstream(sandbox_.path() / "pgbouncer.ini")
        << "[databases]\n* = host=127.0.0.1 port=" << server_port
        << " auth_user=postgres\n"
           "[pgbouncer]\n"
           "listen_addr = 127.0.0.1\nlisten_port = "
        << port_ << "\nunix_socket_dir = " << directory
        << "\nauth_type = scram-sha-256\nauth_file = " << directory
        << "/users.txt\n"
           "auth_query = select usename, passwd from pg_catalog.pg_shadow where usename = $1\n"
           "pool_mode = transaction\nmax_client_conn = 2000\ndefault_pool_size = 10\n"
           "server_login_retry = 1\nquery_wait_timeout = 5\n"
           "ignore_startup_parameters = extra_float_digits,options\n"
        << settings;
    start();
}

void Pgbouncer::start() {
    const auto log = sandbox_.path() / "pgbouncer.log";
    process_ = std::make_unique<Process>(
        std::vector<std::string>{"/usr/sbin/pgbouncer",
                                 (sandbox_.path() / "pgbouncer.ini").string()},
        log, SIGINT);
    const auto conninfo = "host=127.0.0.1 port=" + std::to_string(port_);
    wait_until("pgbouncer to start", [&] {
        if (!process_->running())
            throw std::runtime_error("pgbouncer ended: " + read_file(log));
        return PQping(conninfo.c_str()) == PQPING_OK;
    });
}

void Pgbouncer::stop() {
    process_->signal(SIGKILL);  // since 1.23 it takes SIGTERM for leave to wait for its clients
    process_->wait();
}

}  // namespace muster::test
