// A private PostgreSQL cluster for one test program.
#include "servers/postgres.hpp"

#include <csignal>
#include <fstream>

#include <sys/wait.h>

namespace muster::test {

namespace {

// A PostgreSQL of this program's own with the extension in it.
const std::string& programs_with_muster() {
    static const Sandbox sandbox;
    static const std::string programs = [] {
        const auto output = sandbox.path() / "programs";
        // As ourselves: the servers' user may not be able to enter the repository.
        Process make({MUSTER_SOURCE_DIR "/deploy/prefix", (sandbox.path() / "prefix").string()},
                     output, SIGKILL, false);
        const int status = make.wait();
        const std::string text = read_file(output);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            throw std::runtime_error("deploy/prefix failed: " + text);
        return text.substr(0, text.find('\n'));
    }();
    return programs;
}

}  // namespace

PostgresServer::PostgresServer() : programs_(MUSTER_PG_BINDIR), port_(free_port()) {
    make_cluster();
}

PostgresServer::PostgresServer(const WithMuster& muster)
    : programs_(programs_with_muster()), settings_(muster.settings), port_(free_port()) {
    if (muster.preloaded)
        settings_.push_back("shared_preload_libraries=muster");
    make_cluster();
}

void PostgresServer::make_cluster() {
    const auto data = sandbox_.path() / "data";
    run_program({program("initdb"), "-D", data.string(), "-U", "postgres", "-E", "UTF8",
                 "--locale=C", "-A", "trust", "--no-sync"},
                sandbox_.path() / "initdb.log");
    std::ofstream(data / "pg_hba.conf") << "local all all trust\n"
                                           "local replication all trust\n"
                                           "host all locked 127.0.0.1/32 scram-sha-256\n"
                                           "host all all 127.0.0.1/32 trust\n";
    start();
    psql("CREATE ROLE locked LOGIN PASSWORD 'secret'");
}

PostgresServer::PostgresServer(Standby, const PostgresServer& primary)
    : programs_(primary.programs_), settings_(primary.settings_), port_(free_port()) {
    run_program({program("pg_basebackup"), "-D", (sandbox_.path() / "data").string(), "-R", "-c",
                 "fast", "--no-sync", "-d", primary.socket_conninfo()},
                sandbox_.path() / "basebackup.log");
}

void PostgresServer::promote() {
    psql("SELECT pg_promote(true, 60)");
}

std::string PostgresServer::program(const std::string& name) const {
    return programs_ + "/" + name;
}

std::string PostgresServer::socket_conninfo(const std::string& database) const {
    return "host=" + sandbox_.path().string() + " port=" + std::to_string(port_) +
           " user=postgres dbname=" + database;
}

std::string PostgresServer::tcp_conninfo(const std::string& user) const {
    return "host=127.0.0.1 port=" + std::to_string(port_) + " dbname=postgres user=" + user;
}

void PostgresServer::start() {
    const auto setting = [](const std::string& text) { return "--" + text; };
    std::vector<std::string> arguments{
        program("postgres"),
        "-D",
        (sandbox_.path() / "data").string(),
        "-p",
        std::to_string(port_),
        setting("listen_addresses=127.0.0.1"),
        setting("unix_socket_directories=" + sandbox_.path().string()),
        setting("fsync=off"),
        setting("max_connections=60"),
        setting("shared_buffers=32MB"),
        setting("max_prepared_transactions=10"),
        setting("wal_level=logical"),
        setting("log_min_messages=warning")};
    for (const std::string& further : settings_)
        arguments.push_back(setting(further));
    server_ = std::make_unique<Process>(arguments, sandbox_.path() / "postgres.log", SIGQUIT);
    wait_until("PostgreSQL to start", [this] {
        if (!server_->running())
            throw std::runtime_error("PostgreSQL ended: " +
                                     read_file(sandbox_.path() / "postgres.log"));
        Process ready({program("pg_isready"), "-q", "-d", socket_conninfo()},
                      sandbox_.path() / "pg_isready.log", SIGKILL);
        return ready.wait() == 0;
    });
}

void PostgresServer::stop() {
    server_->signal(SIGINT);
    server_->wait();
}

void PostgresServer::kill() {
    server_->signal(SIGKILL);
    server_->wait();
}

void PostgresServer::crash_and_restart() {
    kill();
    // The old server's children end by themselves a moment later; a new one refuses to start until
    // they have let go of the shared memory.
    wait_until("PostgreSQL to start after a crash", [this] {
        try {
            start();
            return true;
        } catch (const std::runtime_error&) {
            return false;
        }
    });
}

void PostgresServer::dump_and_restore(const std::string& from, const PostgresServer& server,
                                      const std::string& to) const {
    const auto file = sandbox_.path() / (from + ".sql");
    run_program({program("pg_dump"), "-d", socket_conninfo(from), "-f", file.string()},
                sandbox_.path() / "pg_dump.log");
    run_program({program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d",
                 server.socket_conninfo(to), "-f", file.string()},
                sandbox_.path() / "restore.log");
}

std::string PostgresServer::psql(const std::string& sql, const std::string& database) const {
    static int count = 0;
    const auto output = sandbox_.path() / ("psql." + std::to_string(++count));
    run_program({program("psql"), "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-d",
                 socket_conninfo(database), "-c", sql},
                output);
    return read_file(output);
}

}  // namespace muster::test
