// Reading the configuration again on SIGHUP, as clients and operators see it.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include "harness/libpq.hpp"
#include "program.hpp"
#include "servers/redis.hpp"
#include "wire/certificate.hpp"

using namespace muster::test;

namespace {

const std::string slow_route = R"toml(
[[route]]
name = "slow"
match = "GET /slow"
call = "slow()"
)toml";

const std::string key = "X-API-Key: key\r\n";

std::vector<std::string> joined(std::vector<std::string> all,
                                const std::vector<std::string>& more) {
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

// A connection that is read as it comes.
class Stream {
  public:
    explicit Stream(unsigned short port) : socket_(context_) {
        socket_.connect({boost::asio::ip::make_address_v4("127.0.0.1"), port});
        socket_.non_blocking(true);
    }
    void send(const std::string& text) { boost::asio::write(socket_, boost::asio::buffer(text)); }
    // Whether this has come since it was last asked.
    bool has(const std::string& text) {
        char bytes[4096];
        boost::system::error_code ec;
        while (const std::size_t size = socket_.read_some(boost::asio::buffer(bytes), ec)) {
            received_.append(bytes, size);
        }
        const bool found = received_.find(text) != std::string::npos;
        if (found) {
            received_.clear();
        }
        return found;
    }

  private:
    boost::asio::io_context context_;
    boost::asio::ip::tcp::socket socket_;
    std::string received_;
};

struct Served {
    explicit Served(const std::string& configuration, const std::vector<std::string>& more = {})
        : program(configuration,
                  joined(settings(http, admin, database().socket_conninfo()), more)) {
        wait_until("the proxy", [&] { return program.logged("ready: "); });
    }

    std::string metrics() const { return HttpClient(admin).request("GET", "/metrics").body; }
    bool shows(const std::string& line) const {
        return metrics().find(line + "\n") != std::string::npos;
    }
    // Writes the file and waits until the process has read it, for the `n`th time so.
    void reload(const std::string& configuration, const std::string& result = "success",
                int n = 1) {
        program.configure(configuration);
        program.process().signal(SIGHUP);
        wait_until("the reload", [&] {
            return shows("config_reloads_total{result=\"" + result + "\"} " + std::to_string(n));
        });
    }

    const unsigned short http = free_port();
    const unsigned short admin = free_port();
    Program program;
};

}  // namespace

BOOST_AUTO_TEST_CASE(routes_limits_and_timeouts_change_and_connections_stay) {
    Served proxy(usual);
    HttpClient client(proxy.http);
    const HttpAnswer before = client.request("GET", "/now", key);
    BOOST_TEST(before.status == 200);
    BOOST_TEST(before.header("ratelimit-policy").find("\"standard\";q=100;") == 0U);
    BOOST_TEST(client.request("GET", "/slow", key).status == 404);

    proxy.reload(std::string(usual) + slow_route +
                 "[limits]\nstandard_burst = 7\n[http]\nmax_body_bytes = 10\n[log]\nlevel = "
                 "\"debug\"\n");
    const HttpAnswer after = client.request("GET", "/now", key);
    BOOST_TEST(after.status == 200);
    BOOST_TEST(after.header("ratelimit-policy").find("\"standard\";q=7;") == 0U,
               after.header("ratelimit-policy"));
    BOOST_TEST(client.request("GET", "/slow", key).status == 200);
    BOOST_TEST(HttpClient(proxy.http).request("POST", "/now", key, "more than ten bytes").status ==
               413);
    BOOST_TEST(proxy.program.logged("debug"), proxy.program.log());

    // The same series go on, and there are new ones.
    const std::string requests = "http_requests_total{route=\"now\",method=\"GET\",status=\"2xx\"}";
    BOOST_TEST(proxy.shows(requests + " 2"), proxy.metrics());
    BOOST_TEST(
        proxy.shows("database_query_duration_seconds_count{query_name=\"now\",status=\"success\"} "
                    "2"));
    BOOST_TEST(proxy.shows("http_requests_total{route=\"slow\",method=\"GET\",status=\"2xx\"} 1"));
    BOOST_TEST(proxy.shows("config_last_reload_successful 1"));

    // A route that goes is gone; what it counted is not.
    proxy.reload(usual, "success", 2);
    BOOST_TEST(client.request("GET", "/slow", key).status == 404);
    wait_until("the pool of the routes before to be closed", [&] {
        return proxy.shows("http_requests_total{route=\"slow\",method=\"GET\",status=\"2xx\"} 1");
    });
}

BOOST_AUTO_TEST_CASE(the_wire_door_goes_by_the_file_and_sessions_stay) {
    const unsigned short wire = free_port();
    Served proxy(usual, {"--set", "wire.listen=127.0.0.1:" + std::to_string(wire)});
    const PostgresServer other;
    const std::string conninfo =
        "host=127.0.0.1 dbname=postgres user=postgres port=" + std::to_string(wire);
    const auto file = [](const PostgresServer& upstream, const std::string& more) {
        return std::string(usual) +
               "[wire]\nupstream = \"127.0.0.1:" + std::to_string(upstream.port()) + "\"\n" + more;
    };
    const auto port_of = [](const PgConnection& session) {
        return pg_value(session, "select current_setting('port')");
    };
    proxy.reload(file(database(), ""));
    const PgConnection session = pg_connect(conninfo);
    BOOST_TEST(port_of(session) == std::to_string(database().port()));

    proxy.reload(file(other, "max_connections = 2\nstartup_timeout = \"100ms\"\n"), "success", 2);
    const PgConnection second = pg_connect(conninfo);
    BOOST_TEST(port_of(second) == std::to_string(other.port()));
    BOOST_TEST(pg_connect_error(conninfo).find("too many clients") != std::string::npos);
    BOOST_TEST(HttpClient(wire).closed());  // within its 20 s, having said nothing
    BOOST_TEST(port_of(session) == std::to_string(database().port()));
    BOOST_TEST(!proxy.program.logged("needs a restart"), proxy.program.log());

    // What cannot be used changes nothing.
    proxy.reload(file(database(),
                      "tls = \"allow\"\ntls_cert = \"/nonexistent\"\ntls_key = "
                      "\"/nonexistent\"\n"),
                 "success", 3);
    BOOST_TEST(proxy.program.logged("the wire door's settings stay as they were: wire.tls_cert"),
               proxy.program.log());
    BOOST_TEST(pg_connect_error(conninfo).find("too many clients") != std::string::npos);
    proxy.reload(file(other, "max_connections = 3\nsocket_directory = \"/tmp\"\n"), "success", 4);
    BOOST_TEST(port_of(pg_connect(conninfo)) == std::to_string(other.port()));
    BOOST_TEST(proxy.program.logged("the change of wire.socket_directory needs a restart"));
}

// A certificate is renewed in its place: the configuration does not change.
BOOST_AUTO_TEST_CASE(the_wire_doors_certificate_is_read_again) {
    const unsigned short wire = free_port();
    const Certificate first("first.test"), second("second.test");
    const Sandbox sandbox;
    const auto certificate = sandbox.path() / "cert.pem", private_key = sandbox.path() / "key.pem";
    const auto put = [&](const Certificate& one) {
        using std::filesystem::copy_options;
        copy_file(std::filesystem::path(one.file()), certificate, copy_options::overwrite_existing);
        copy_file(std::filesystem::path(one.key_file()), private_key,
                  copy_options::overwrite_existing);
    };
    put(first);
    const std::string file = std::string(usual) +
                             "[wire]\nupstream = \"127.0.0.1:" + std::to_string(database().port()) +
                             "\"\ntls = \"require\"\ntls_cert = \"" + certificate.string() +
                             "\"\ntls_key = \"" + private_key.string() + "\"\n";
    Served proxy(file, {"--set", "wire.listen=127.0.0.1:" + std::to_string(wire)});
    const auto conninfo = [&](const Certificate& one) {
        return "host=" + one.name() +
               " hostaddr=127.0.0.1 dbname=postgres user=postgres port=" + std::to_string(wire) +
               " sslmode=verify-full sslrootcert=" + one.file();
    };
    const PgConnection session = pg_connect(conninfo(first));
    put(second);
    BOOST_TEST(pg_connect_error(conninfo(second)).find("certificate verify failed") !=
               std::string::npos);
    proxy.reload(file);
    BOOST_TEST(pg_value(pg_connect(conninfo(second)), "select 1") == "1");
    BOOST_TEST(pg_connect_error(conninfo(first)).find("certificate verify failed") !=
               std::string::npos);
    BOOST_TEST(pg_value(session, "select 'still here'") == "still here");
}

BOOST_AUTO_TEST_CASE(a_request_in_hand_ends_as_it_began) {
    Served proxy(std::string(usual) + slow_route);
    HttpClient client(proxy.http);
    client.send("GET /slow HTTP/1.1\r\nHost: x\r\n" + key + "\r\n");
    wait_until("the request to be in hand",
               [&] { return proxy.shows("http_requests_in_flight 1"); });
    proxy.reload(usual);
    BOOST_TEST(client.read().status == 200);
    BOOST_TEST(client.request("GET", "/slow", key).status == 404);
    BOOST_TEST(client.request("GET", "/now", key).status == 200);
}

// That a key is known shows in what is asked of its owner: a body.
BOOST_AUTO_TEST_CASE(keys_are_known_after_a_reload_in_an_outage) {
    PostgresServer other;
    make_functions(other);
    const std::string told = std::string(usual) +
                             "[[route]]\nname = \"told\"\nmatch = \"POST /told\"\n"
                             "call = \"told($body::json)\"\n";
    Served proxy(told, {"--set", "database.conninfo=" + other.socket_conninfo()});
    const auto ask = [&] { return HttpClient(proxy.http).request("POST", "/told", key); };
    BOOST_TEST(ask().status == 422);
    other.stop();
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));
    for (int i = 0; i < 20; ++i) {  // of each thread
        BOOST_TEST(ask().status == 422);
    }
    proxy.reload(told + "[limits]\nstandard_burst = 150\n");
    for (int i = 0; i < 20; ++i) {
        const HttpAnswer answer = ask();
        BOOST_TEST(answer.status == 422);
        BOOST_TEST(answer.header("ratelimit-policy").find("q=150;") != std::string::npos,
                   answer.header("ratelimit-policy"));
    }
    // The time of grace is the new file's.
    proxy.reload(told + "[http]\nkey_grace = \"0s\"\n", "success", 2);
    BOOST_TEST(ask().status == 503);
    other.start();
    wait_until("the key to be known again", [&] { return ask().status == 422; });
}

BOOST_AUTO_TEST_CASE(a_file_with_a_mistake_changes_nothing) {
    Served proxy(usual);
    HttpClient client(proxy.http);
    proxy.reload("threads = 2\n[http]\nlisten = 5\n", "failure", 1);
    BOOST_TEST(proxy.program.logged("error the configuration stays as it was: " +
                                    proxy.program.file() + ":3: http.listen must be"),
               proxy.program.log());
    BOOST_TEST(client.request("GET", "/now", key).status == 200);
    BOOST_TEST(proxy.shows("config_last_reload_successful 0"));

    // Nor does one whose routes do not fit the database, whatever else it says.
    proxy.reload(std::string(usual) +
                     "[[route]]\nname = \"b\"\nmatch = \"GET /b\"\ncall = \"b()\"\n[limits]\n"
                     "standard_burst = 7\n",
                 "failure", 2);
    BOOST_TEST(proxy.program.logged(":7: route \"b\": function b() does not exist"),
               proxy.program.log());
    const HttpAnswer answer = client.request("GET", "/now", key);
    BOOST_TEST(answer.status == 200);
    BOOST_TEST(answer.header("ratelimit-policy").find("q=100;") != std::string::npos);

    proxy.reload(usual);
    BOOST_TEST(proxy.shows("config_last_reload_successful 1"));
}

BOOST_AUTO_TEST_CASE(what_only_a_restart_can_change_is_named_and_stays) {
    Served proxy(usual);
    std::string other(usual);
    other.replace(other.find("threads = 2"), 11, "threads = 1");
    proxy.reload(other + "[cache]\nl1_bytes = \"1MiB\"\n[limits]\nstandard_burst = 7\n");
    BOOST_TEST(proxy.program.logged("the change of threads needs a restart"), proxy.program.log());
    BOOST_TEST(proxy.program.logged("the change of cache.l1_bytes needs a restart"));
    BOOST_TEST(HttpClient(proxy.http)
                   .request("GET", "/now", key)
                   .header("ratelimit-policy")
                   .find("q=7;") != std::string::npos);
    // The command line's settings hold for every file.
    BOOST_TEST(!proxy.program.logged("the change of http.listen"), proxy.program.log());
}

BOOST_AUTO_TEST_CASE(reloads_under_load_fail_no_request) {
    Served proxy(usual);
    std::atomic<bool> over{false};
    std::atomic<int> answered{0};
    std::string failure;
    std::thread load([&] {
        try {
            HttpClient client(proxy.http);
            while (!over) {
                const int status = client.request("GET", "/now", key).status;
                if (status != 200 && status != 429) {
                    throw std::runtime_error("status " + std::to_string(status));
                }
                ++answered;
            }
        } catch (const std::exception& error) {
            failure = error.what();
        }
    });
    for (int i = 1; i <= 10; ++i) {
        proxy.reload(std::string(usual) + (i % 2 ? slow_route : "") +
                         "[limits]\nstandard_rate = 100000\nstandard_burst = " +
                         std::to_string(100000 + i) + "\n",
                     "success", i);
        const int seen = answered;
        wait_until("more answers", [&] { return answered > seen + 5 || !failure.empty() || over; });
    }
    over = true;
    load.join();
    BOOST_TEST(failure == "");
    BOOST_TEST(answered > 50);
    proxy.program.process().signal(SIGTERM);
    BOOST_TEST(proxy.program.exit_code() == 0);
}

// Lines go on in a new file once the old one has been renamed.
BOOST_AUTO_TEST_CASE(what_is_slow_changes_for_sessions_of_the_wire_door_that_are_open) {
    const auto wire = std::to_string(free_port());
    Served proxy(usual, {"--set", "wire.listen=127.0.0.1:" + wire, "--set",
                         "wire.upstream=" + database().socket_directory() + ":" +
                             std::to_string(database().port())});
    const auto session =
        pg_connect("host=127.0.0.1 port=" + wire + " user=postgres dbname=postgres");
    pg_exec(session, "select 'a secret'");
    proxy.reload(std::string(usual) + "[timing]\nslow_query = \"0ms\"\n");
    BOOST_TEST(proxy.shows("slow_queries_total 0"));
    pg_exec(session, "select 'a secret' from pg_class limit 1");
    wait_until("the slow query's line",
               [&] { return proxy.program.logged("select $1 from pg_class limit $2"); });
    BOOST_TEST(proxy.shows("slow_queries_total 1"));
    BOOST_TEST(!proxy.program.logged("a secret"), proxy.program.log());
    const auto queries = HttpClient(proxy.admin).request("GET", "/queries?sort=name").body;
    BOOST_TEST(queries.find("{\"door\":\"wire\",\"name\":\"select_pg_class_") != std::string::npos,
               queries);
    BOOST_TEST(queries.find("a secret") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_access_log_says_who_asked_for_what_and_is_reopened) {
    const Sandbox sandbox;
    const std::string file = sandbox.path() / "access.log";
    const std::string configuration = std::string(usual) + "[log]\naccess = \"" + file + "\"\n";
    Served proxy(configuration);
    HttpClient client(proxy.http);
    const std::string trace =
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    BOOST_TEST(
        client.request("GET", "/now?secret=hush", key + "X-Request-Id: mine\r\n" + trace).status ==
        200);
    BOOST_TEST(client.request("GET", "/nothing%22%0a").status == 404);
    std::string log;
    wait_until("two lines", [&] {
        log = read_file(file);
        return std::count(log.begin(), log.end(), '\n') == 2;
    });
    const std::string line = log.substr(0, log.find('\n'));
    for (
        const char* part :
        {R"("method":"GET","path":"/now","status":200,"bytes":)", R"("duration_ms":)",
         R"("request_id":"mine","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","client":"127.0.0.1")",
         R"("route":"now","key_id":")", R"("key_name":"n"})"}) {
        BOOST_TEST(line.find(part) != std::string::npos, line << " has no " << part);
    }
    BOOST_TEST(log.find("hush") == std::string::npos);
    BOOST_TEST(log.find("\"key\"") == std::string::npos);
    BOOST_TEST(log.find(R"("path":"/nothing%22%0a","status":404)") != std::string::npos, log);
    BOOST_TEST(proxy.shows("access_log_dropped_total 0"));

    BOOST_REQUIRE(std::rename(file.c_str(), (file + ".1").c_str()) == 0);
    proxy.reload(configuration);
    BOOST_TEST(client.request("GET", "/now", key).status == 200);
    wait_until("a line in the new file",
               [&] { return read_file(file).find("\"path\":\"/now\"") != std::string::npos; });
}

// A stream belongs to the configuration under which it began, whose keys are still asked for it.
BOOST_AUTO_TEST_CASE(live_updates_go_on) {
    const RedisServer redis;
    const std::string often = std::string(usual) + "[push]\nheartbeat = \"100ms\"\n";
    Served proxy(often,
                 {"--set", "redis.address=127.0.0.1:" + std::to_string(redis.tcp().address.port)});
    const std::string request = "GET /events/stream HTTP/1.1\r\nHost: x\r\n" + key + "\r\n";
    wait_until("live updates", [&] {
        Stream probe(proxy.http);
        probe.send(request);
        bool there = false;
        wait_until("an answer", [&] {
            there = there || probe.has("200 OK");
            return there || probe.has("503 ");
        });
        return there;
    });
    Stream stream(proxy.http);
    stream.send(request);
    wait_until("a heartbeat", [&] { return stream.has("\n\n:") || stream.has(":\n"); });
    for (int i = 1; i <= 3; ++i) {
        proxy.reload(often + "[limits]\nstandard_burst = " + std::to_string(100 + i) + "\n",
                     "success", i);
        // Its key is asked for once a second.
        for (int beats = 0; beats < 12; ++beats) {
            wait_until("another heartbeat", [&] { return stream.has(":"); });
        }
    }
    BOOST_TEST(HttpClient(proxy.http).request("GET", "/now", key).status == 200);
    proxy.program.process().signal(SIGTERM);
    BOOST_TEST(proxy.program.exit_code() == 0);
}

BOOST_AUTO_TEST_CASE(the_wire_doors_limits_change_for_sessions_that_are_open) {
    const unsigned short wire = free_port();
    Served proxy("threads = 2\n",
                 {"--set", "wire.listen=127.0.0.1:" + std::to_string(wire), "--set",
                  "wire.upstream=127.0.0.1:" + std::to_string(database().port())});
    const auto session = pg_connect("host=127.0.0.1 user=postgres port=" + std::to_string(wire));
    const auto refused = [&](int most) {
        for (int i = 0; i < most; ++i) {
            const PgResult result(PQexec(session.get(), "select 1"));
            if (sqlstate(result) == "53400") {
                return true;
            }
        }
        return false;
    };
    BOOST_TEST(!refused(200));
    const std::string narrow = "threads = 2\n[wire_limits]\nuser_rate = 1\nmax_delay = \"0ms\"\n";
    proxy.reload(narrow);
    BOOST_TEST(refused(100000));
    BOOST_TEST(proxy.shows("wire_limit_refused_total{by=\"user\"} 1"));
    // A mistake leaves them as they are.
    proxy.reload(narrow + "[[wire_limit]]\nuser = \"postgres\"\n", "failure");
    BOOST_TEST(proxy.program.logged("rate, burst or connections"));
    BOOST_TEST(refused(100000));
    proxy.reload(narrow + "[[wire_limit]]\nuser = \"postgres\"\nrate = 0\n", "success", 2);
    BOOST_TEST(!refused(200));
}
