// Replacing the process while it serves: by itself on SIGUSR2, and on sockets that systemd holds.
#include <boost/test/unit_test.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "harness/libpq.hpp"
#include "program.hpp"
#include "servers/redis.hpp"

using namespace muster::test;

namespace {

const std::string key = "X-API-Key: key\r\n";
// That no request is lost is one thing; how long one may take on a machine with much else to do is
// another, and none of these tests' business.
const std::string unlimited =
    "[limits]\nstandard_rate = 1000000\nstandard_burst = 1000000\n"
    "[http]\nrequest_timeout = \"1min\"\n[database]\nconnect_timeout = \"1min\"\n"
    "[wire]\nupstream = \"127.0.0.1:";

std::string configuration() {
    return usual + unlimited + std::to_string(database().port()) + "\"\n";
}

// A proxy whose process changes. The last one goes with it, and when the test is killed, too.
class Dynasty {
  public:
    explicit Dynasty(const std::string& text = configuration(),
                     const std::vector<std::string>& more = {})
        : grave_({"sh", "-c", "kill -9 $(cat pid)"}) {
        // So that processes whose parent has gone are ours to wait for.
        BOOST_REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
        auto arguments = settings(http, admin, database().socket_conninfo());
        arguments.insert(arguments.end(), {"--set", "wire.listen=127.0.0.1:" + std::to_string(wire),
                                           "--pid-file", grave_.path() / "pid"});
        arguments.insert(arguments.end(), more.begin(), more.end());
        program = std::make_unique<Program>(text, arguments);
        wait_until("the first process", [&] { return pid() == program->process().pid(); });
    }
    ~Dynasty() {
        if (const pid_t last = pid(); last > 0 && last != program->process().pid()) {
            ::kill(last, SIGKILL);
            ::waitpid(last, nullptr, 0);
        }
    }

    pid_t pid() const {
        pid_t found = 0;
        std::ifstream(grave_.path() / "pid") >> found;
        return found;
    }
    // Has the process replaced, and waits for its end. Returns its exit code.
    int succeed() {
        const pid_t old = pid();
        ::kill(old, SIGUSR2);
        wait_until("the next process", [&] { return pid() != old && pid() > 0; });
        if (old == program->process().pid()) {
            return program->exit_code();
        }
        int status = 0;
        ::waitpid(old, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

    const unsigned short http = free_port();
    const unsigned short admin = free_port();
    const unsigned short wire = free_port();
    std::unique_ptr<Program> program;

  private:
    Sandbox grave_;
};

// Clients that send one request after the other, on one connection or each on a new one.
class Load {
  public:
    Load(unsigned short port, bool keep) : thread_([this, port, keep] { run(port, keep); }) {}
    ~Load() {
        over_ = true;
        thread_.join();
    }
    int answered() const { return answered_; }
    std::string failure() const {
        const std::lock_guard lock(mutex_);
        return failure_;
    }

  private:
    void run(unsigned short port, bool keep) {
        try {
            std::unique_ptr<HttpClient> client;
            while (!over_) {
                if (!client) {
                    client = std::make_unique<HttpClient>(port);
                }
                const HttpAnswer answer = client->request("GET", "/now", key);
                if (answer.status != 200) {
                    throw std::runtime_error("status " + std::to_string(answer.status));
                }
                ++answered_;
                if (!keep || answer.header("connection") == "close") {
                    client.reset();
                }
            }
        } catch (const std::exception& error) {
            const std::lock_guard lock(mutex_);
            failure_ = error.what();
        }
    }

    std::atomic<bool> over_{false};
    std::atomic<int> answered_{0};
    mutable std::mutex mutex_;
    std::string failure_;
    std::thread thread_;
};

}  // namespace

BOOST_AUTO_TEST_CASE(five_processes_in_a_row_lose_no_request) {
    Dynasty proxy;
    const Load first(proxy.http, true);
    const Load second(proxy.http, true);
    const Load fresh(proxy.http, false);
    const Load more_fresh(proxy.http, false);
    for (int i = 0; i < 5; ++i) {
        BOOST_TEST(proxy.succeed() == 0);
        for (const Load* load : {&first, &second, &fresh, &more_fresh}) {
            const int seen = load->answered();
            wait_until("answers of the new process",
                       [&] { return load->answered() > seen + 20 || !load->failure().empty(); });
            BOOST_TEST(load->failure() == "");
        }
    }
    BOOST_TEST(HttpClient(proxy.admin).request("GET", "/health/live").status == 200);
    BOOST_TEST_MESSAGE(first.answered() + second.answered()
                       << " requests on kept connections, "
                       << fresh.answered() + more_fresh.answered() << " on new ones");
}

BOOST_AUTO_TEST_CASE(a_transaction_on_the_wire_ends_in_the_process_in_which_it_began) {
    Dynasty proxy;
    const std::string conninfo =
        "host=127.0.0.1 dbname=postgres user=postgres port=" + std::to_string(proxy.wire);
    const PgConnection idle = pg_connect(conninfo);
    const PgConnection busy = pg_connect(conninfo);
    pg_exec(busy, "begin");
    const std::string backend = pg_value(busy, "select pg_backend_pid()");
    const PgConnection asleep = pg_connect(conninfo);
    BOOST_REQUIRE(PQsendQuery(asleep.get(), "select pg_sleep(60)") == 1);
    const pid_t old = proxy.pid();
    ::kill(old, SIGUSR2);
    wait_until("the next process", [&] { return proxy.pid() != old; });
    wait_until("the old door to close", [&] {
        const PgResult ended(PQexec(idle.get(), "select 1"));
        return PQstatus(idle.get()) == CONNECTION_BAD;
    });
    // The new process forwards what cancels a query of the old one's.
    const std::unique_ptr<PGcancel, decltype(&PQfreeCancel)> cancel(PQgetCancel(asleep.get()),
                                                                    &PQfreeCancel);
    char error[256] = "";
    BOOST_TEST(PQcancel(cancel.get(), error, sizeof error) == 1, error);
    BOOST_TEST(sqlstate(PgResult(PQgetResult(asleep.get()))) == "57014");
    BOOST_TEST(pg_value(busy, "select pg_backend_pid()") == backend);
    pg_exec(busy, "commit");
    BOOST_TEST(proxy.program->exit_code() == 0);
    BOOST_TEST(pg_value(pg_connect(conninfo), "select 2") == "2");
}

// Sessions that are idle are told to go, and come again; nothing that was begun is lost or done
// twice.
BOOST_AUTO_TEST_CASE(five_processes_in_a_row_do_each_insert_once) {
    Dynasty proxy;
    database().psql("create table inserted (client int, number int, primary key (client, number))");
    const std::string conninfo =
        "host=127.0.0.1 dbname=postgres user=postgres port=" + std::to_string(proxy.wire);
    std::atomic<bool> over{false};
    std::atomic<int> inserted[4] = {};
    std::atomic<int> sent_away{0};
    std::string failures[4];
    std::vector<std::thread> clients;
    for (int client = 0; client < 4; ++client) {
        clients.emplace_back([&, client] {
            auto& number = inserted[client];
            auto& failure = failures[client];
            PgConnection session;
            while (!over && failure.empty()) {
                if (!session) {
                    session.reset(PQconnectdb(conninfo.c_str()));
                    if (PQstatus(session.get()) != CONNECTION_OK) {
                        // One that is on its way to the old process is told in so many words.
                        failure = PQerrorMessage(session.get());
                        if (failure.find("the proxy is shutting down") != std::string::npos) {
                            failure.clear();
                            session.reset();
                        }
                        continue;
                    }
                }
                const std::string values =
                    std::to_string(client) + ", " + std::to_string(number + 1);
                // Every other client in a transaction of several messages.
                const std::string insert = "insert into inserted values (" + values + ")";
                bool done = true;
                for (const std::string& sql :
                     client % 2 == 0 ? std::vector<std::string>{insert}
                                     : std::vector<std::string>{"begin", insert, "commit"}) {
                    const PgResult result(PQexec(session.get(), sql.c_str()));
                    done = done && PQresultStatus(result.get()) == PGRES_COMMAND_OK;
                    if (!done) {
                        const std::string said = PQerrorMessage(session.get());
                        if (sqlstate(result) != "57P01" &&
                            PQstatus(session.get()) != CONNECTION_BAD)
                            failure = said;
                        break;
                    }
                }
                if (done) {
                    ++number;
                } else {
                    ++sent_away;
                    session.reset();
                }
                std::this_thread::sleep_for(std::chrono::milliseconds(1));
            }
        });
    }
    for (int i = 0; i < 5; ++i) {
        BOOST_TEST(proxy.succeed() == 0);
        for (int client = 0; client < 4; ++client) {
            const int seen = inserted[client];
            wait_until("inserts through the new process",
                       [&] { return inserted[client] > seen + 20 || !failures[client].empty(); });
        }
    }
    over = true;
    int sum = 0;
    for (int client = 0; client < 4; ++client) {
        clients[static_cast<std::size_t>(client)].join();
        BOOST_TEST(failures[client] == "");
        sum += inserted[client];
    }
    BOOST_TEST(database().psql("select count(*) from inserted") == std::to_string(sum) + "\n");
    BOOST_TEST(sent_away >= 5);
    database().psql("drop table inserted");
}

BOOST_AUTO_TEST_CASE(a_new_process_that_cannot_start_leaves_the_old_one_serving) {
    Dynasty proxy;
    const pid_t old = proxy.pid();
    proxy.program->configure("nonsense = 1\n");
    ::kill(old, SIGUSR2);
    wait_until("the failure", [&] {
        return proxy.program->logged("the new process ended with status 2; this one goes on");
    });
    BOOST_TEST(HttpClient(proxy.http).request("GET", "/now", key).status == 200);
    BOOST_TEST(proxy.pid() == old);
    proxy.program->configure(configuration());
    BOOST_TEST(proxy.succeed() == 0);
    BOOST_TEST(HttpClient(proxy.http).request("GET", "/now", key).status == 200);
}

// With fewer threads than sockets, those that no thread would own have connections waiting in them.
BOOST_AUTO_TEST_CASE(another_number_of_threads_listens_on_every_socket) {
    Dynasty proxy;
    const Load load(proxy.http, false);
    for (const char* threads : {"1", "4", "2"}) {
        std::string text = configuration();
        text.replace(text.find("threads = 2"), 11, std::string("threads = ") + threads);
        proxy.program->configure(text);
        BOOST_TEST(proxy.succeed() == 0);
        const int seen = load.answered();
        wait_until("answers",
                   [&] { return load.answered() > seen + 50 || !load.failure().empty(); });
        BOOST_TEST(load.failure() == "");
    }
}

// The relay by itself has its configuration read again and its process replaced as any other.
BOOST_AUTO_TEST_CASE(a_relay_alone_hears_the_same_signals) {
    PostgresServer postgres(PostgresServer::WithMuster{});
    postgres.psql(
        "create extension muster; create table things (id int primary key);"
        "select muster.publish('things', 'thing', 'key')");
    const RedisServer redis;
    Dynasty proxy("[log]\nlevel = \"warn\"\n",
                  {"--relay-only", "--set", "relay.conninfo=" + postgres.socket_conninfo(), "--set",
                   "redis.address=127.0.0.1:" + std::to_string(redis.tcp().address.port)});
    const auto shows = [&](const std::string& line) {
        return HttpClient(proxy.admin).request("GET", "/metrics").body.find(line + "\n") !=
               std::string::npos;
    };
    wait_until("it to lead", [&] { return shows("relay_leader 1"); });

    proxy.program->configure("[log]\nlevel = \"info\"\n[relay]\nstream_length = 5000\n");
    ::kill(proxy.pid(), SIGHUP);
    wait_until("the reload", [&] { return shows("config_reloads_total{result=\"success\"} 1"); });
    BOOST_TEST(proxy.program->logged("the change of relay.stream_length needs a restart"),
               proxy.program->log());
    BOOST_TEST(proxy.program->logged("info the configuration was read again"),
               proxy.program->log());
    proxy.program->configure("nonsense = 1\n");
    ::kill(proxy.pid(), SIGHUP);
    wait_until("the mistake", [&] { return shows("config_reloads_total{result=\"failure\"} 1"); });
    BOOST_TEST(shows("config_last_reload_successful 0"));

    proxy.program->configure("[relay]\nstream_length = 5000\n");
    BOOST_TEST(proxy.succeed() == 0);
    wait_until("the next one to lead", [&] { return shows("relay_leader 1"); });
    postgres.psql("insert into things values (1)");
    wait_until("the change", [&] { return shows("relay_published_total 1"); });
}

namespace {

// A socket that listens, on all addresses as systemd's do where a unit names a port alone.
int listening_socket(unsigned short port, bool everywhere) {
    const int made = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(everywhere ? INADDR_ANY : INADDR_LOOPBACK);
    BOOST_REQUIRE(::bind(made, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    BOOST_REQUIRE(::listen(made, 16) == 0);
    return made;
}

}  // namespace

// As systemd does it by the units that are shipped: sockets of all doors that are there before the
// process, and outlive it.
BOOST_AUTO_TEST_CASE(sockets_of_a_service_manager_are_served) {
    const unsigned short http = free_port();
    const unsigned short admin = free_port();
    const unsigned short wire = free_port();
    const std::vector<int> sockets{listening_socket(http, true), listening_socket(admin, false),
                                   listening_socket(wire, true)};
    const Sandbox sandbox;
    const std::string script = R"(LISTEN_FDS=3 LISTEN_FDNAMES=$0 LISTEN_PID=$$ exec "$@")";
    const std::string file = sandbox.path() / "proxy.toml";
    std::ofstream(file) << configuration();
    const std::string unit = "muster-proxy.socket";
    // By their names, or by their ports where the names say nothing.
    for (const std::string& names :
         {std::string("http:admin:wire"), unit + ":" + unit + ":" + unit}) {
        // Each waits in its socket; nobody resets it.
        HttpClient early(http);
        early.send("GET /now HTTP/1.1\r\nHost: x\r\n" + key + "\r\n");
        HttpClient early_operator(admin);
        early_operator.send("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n");
        std::string said;
        std::thread early_session([&] {
            try {
                said = pg_value(
                    pg_connect(
                        "host=127.0.0.1 dbname=postgres user=postgres connect_timeout=20 port=" +
                        std::to_string(wire)),
                    "select 'early'");
            } catch (const std::exception& error) {
                said = error.what();
            }
        });
        std::vector<std::string> arguments{"/bin/sh",    "-c",       script, names,
                                           MUSTER_PROXY, "--config", file};
        for (const std::string& argument : settings(http, admin, database().socket_conninfo())) {
            arguments.push_back(argument);
        }
        arguments.insert(arguments.end(),
                         {"--set", "wire.listen=127.0.0.1:" + std::to_string(wire)});
        Process process(arguments, sandbox.path() / "log", SIGTERM, false, sockets);
        early_session.join();
        BOOST_TEST(early.read().status == 200);
        BOOST_TEST(early_operator.read().status == 200);
        BOOST_TEST(said == "early");
        BOOST_TEST(HttpClient(http).request("GET", "/now", key).status == 200);
        process.signal(SIGTERM);
        process.wait();
    }
    for (const int socket : sockets) {
        ::close(socket);
    }
}
