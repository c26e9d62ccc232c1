// The program muster-proxy as its users start it, on a database with functions such as they would
// write. The API key is 'key'.
#pragma once

#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "servers/http_client.hpp"
#include "servers/postgres.hpp"
#include "servers/process.hpp"

namespace muster::test {

inline constexpr const char* usual = R"toml(
threads = 2
[[route]]
name = "now"
match = "GET /now"
call = "clock()"
)toml";

// One run of the program in a directory of its own.
class Program {
  public:
    explicit Program(const std::string& configuration, std::vector<std::string> arguments = {}) {
        configure(configuration);
        arguments.insert(arguments.begin(), {MUSTER_PROXY, "--config", file()});
        process_ = std::make_unique<Process>(arguments, log_file(), SIGTERM, false);
    }

    int exit_code() {
        const int status = process_->wait();
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    // Has the file say something else.
    void configure(const std::string& configuration) { std::ofstream(file()) << configuration; }
    std::string log() const { return read_file(log_file()); }
    bool logged(const std::string& text) const { return log().find(text) != std::string::npos; }
    Process& process() { return *process_; }
    std::string file() const { return sandbox_.path() / "proxy.toml"; }
    const std::filesystem::path& directory() const { return sandbox_.path(); }

  private:
    std::string log_file() const { return sandbox_.path() / "proxy.log"; }

    Sandbox sandbox_;
    std::unique_ptr<Process> process_;
};

// What the extension gives a proxy to ask for keys, and functions such as a user would write.
inline void make_functions(const PostgresServer& server) {
    server.psql(
        "create schema muster; create function muster.api_key(sha256 bytea, out id uuid, "
        "out name text, out tier text, out scopes text[]) language sql as $$ select "
        "gen_random_uuid(), 'n', 'standard', '{read,write}'::text[] where $1 = sha256('key') "
        "$$;"
        "create function clock() returns json language sql as $$ select to_json(now()) $$;"
        "create function slow() returns json language sql as $$ select to_json("
        "pg_sleep(1)::text) $$;"
        "create function told(body json) returns json language sql as $$ select body $$");
}

inline PostgresServer& database() {
    static const auto server = [] {
        auto made = std::make_unique<PostgresServer>();
        make_functions(*made);
        return made;
    }();
    return *server;
}

inline std::vector<std::string> settings(unsigned short http, unsigned short admin,
                                         const std::string& conninfo) {
    return {"--set", "http.listen=127.0.0.1:" + std::to_string(http),
            "--set", "admin.listen=127.0.0.1:" + std::to_string(admin),
            "--set", "database.conninfo=" + conninfo,
            "--set", "relay.enabled=false",
            "--set", "wire.listen=127.0.0.1:" + std::to_string(free_port())};
}

inline const std::string nowhere = "host=/nonexistent dbname=x";

}  // namespace muster::test
