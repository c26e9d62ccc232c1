// Ten thousand clients that vanish at random points leave nothing behind.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "servers/postgres.hpp"
#include "wire/bytes.hpp"
#include "wire/certificate.hpp"
#include "wire/quotas.hpp"
#include "wire/startup.hpp"

using namespace muster;
using namespace muster::test;

namespace {

constexpr int clients = 10000;
constexpr int threads = 4;

std::size_t open_descriptors() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
        ++count;
    return count;
}

// One client, from its connection to wherever it vanishes.
class Client {
  public:
    Client(unsigned short port, std::mt19937& random) : socket_(port), random_(random) {}

    void live() {
        // Two of five get as far as the server, which has to start a process for each.
        switch (any(30) / 3) {
            case 0:
                break;
            case 1:
                send_part(hello("postgres"));
                break;
            case 2:
                send_part(std::string(wire::startup::tls_request));
                break;
            case 3:  // in TLS's handshake
                send(std::string(wire::startup::tls_request));
                socket_.receive(1);
                send_part(std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) +
                          std::string(505, 'x'));
                break;
            case 4:
                send_part(std::string("\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\1\0\0\0\2", 16));
                break;
            case 5:
                send("GET / HTTP/1.1\r\n\r\n");
                socket_.receive(any(40));
                break;
            case 6:  // asked for a password
                send(hello("locked"));
                socket_.receive(9);
                send_part(message('p', std::string("SCRAM-SHA-256\0\0\0\0\x20n,,n=,r=", 26) +
                                           std::string(24, 'x')));
                break;
            case 7:  // never waits
                send_part(hello("postgres") + query("select pg_sleep(0.01)") + query("begin"));
                break;
            default:
                send(hello("postgres"));
                if (receive_up_to('Z'))
                    talk();
        }
        leave();
    }

  private:
    void talk() {
        switch (any(6)) {
            case 0:
                send_part(query("select 1"));
                break;
            case 1:  // in a query
                send(query("select pg_sleep(0.02)"));
                break;
            case 2:  // in its result, which is larger than all buffers
                send(query("select repeat('x', 1000) from generate_series(1, 3000)"));
                receive_up_to('Z', any(20000));
                break;
            case 3:  // in its data
                send(query("copy dropped from stdin"));
                if (receive_up_to('G')) {
                    for (auto n = any(20); n > 0; --n)
                        send(message('d', std::string(1 + any(3000), 'x') + '\n'));
                    send_part(message('d', std::string(8000, 'x')));
                }
                break;
            case 4:  // in a pipeline in a transaction
                send(query("begin"));
                send_part(message('P', std::string("\0select generate_series(1, 100)\0\0\0", 33)) +
                          message('B', std::string(10, '\0')) + message('E', std::string(5, '\0')));
                break;
            default:
                send(query("copy (select generate_series(1, 100000)) to stdout"));
                receive_up_to('Z', any(3000));
        }
    }

    void leave() {
        switch (any(4)) {
            case 0:
                socket_.reset();
                break;
            case 1:  // closed in one direction, then in the other, with input unread or not
                socket_.half_close();
                break;
            case 2:
                send(message('X'));
                break;
            default:
                break;
        }
    }

    std::size_t any(std::size_t below) { return random_() % below; }
    void send(std::string_view bytes) { socket_.try_send(bytes); }
    void send_part(const std::string& bytes) { send(bytes.substr(0, any(bytes.size() + 1))); }
    // Reads up to a message of this type, or `most` bytes; false if it has not come when the server
    // is done.
    bool receive_up_to(char type, std::size_t most = std::string::npos) {
        for (;;) {
            const auto header = socket_.receive(std::min<std::size_t>(5, most));
            if (header.size() < 5)
                return false;
            most -= 5;
            const std::size_t body = wire::read_uint32(header.data() + 1) - 4;
            most -= socket_.receive(std::min(body, most)).size();
            if (header[0] == type || header[0] == 'Z' || most == 0)
                return header[0] == type;
        }
    }
    static std::string hello(const std::string& user) { return startup_message(user, "postgres"); }
    static std::string query(const std::string& sql) { return message('Q', sql + '\0'); }

    RawClient socket_;
    std::mt19937& random_;
};

void run(unsigned short port, int count, unsigned seed) {
    std::atomic<int> left{count};
    std::vector<std::string> failures(threads);
    std::vector<std::thread> all;
    for (unsigned i = 0; i < threads; ++i) {
        all.emplace_back([&, i] {
            std::mt19937 random(seed + i);
            try {
                while (--left >= 0)
                    Client(port, random).live();
            } catch (const std::exception& error) {
                failures[i] = error.what();
            }
        });
    }
    for (auto& thread : all)
        thread.join();
    for (const auto& failure : failures)
        BOOST_TEST(failure == "");
}

}  // namespace

BOOST_AUTO_TEST_CASE(ten_thousand_clients_dropped_anywhere_leave_nothing) {
    const char* given = std::getenv("MUSTER_SEED");
    const auto seed =
        given != nullptr ? static_cast<unsigned>(std::stoul(given)) : std::random_device{}();
    BOOST_TEST_MESSAGE("MUSTER_SEED=" << seed);
    PostgresServer postgres;
    postgres.psql("create unlogged table dropped (t text)");
    const Certificate certificate("proxy.test");
    config::Wire wire;
    wire.upstream = {"127.0.0.1", postgres.port()};
    wire.tls = "allow";
    wire.tls_cert = certificate.file();
    wire.tls_key = certificate.key_file();
    const auto backends = [&] {
        return postgres.psql(
            "select count(*) from pg_stat_activity where application_name = '' and "
            "backend_type = 'client backend'");
    };
    // Reached now and then.
    config::WireLimits limits;
    limits.user = {20, 5};
    limits.max_delay = std::chrono::milliseconds(5);
    limits.user_connections = 3;
    FullDoor full(wire, limits);
    Door& door = *full;
    const auto over = [&] {
        door.wait_until_empty();
        wait_until("the server's sessions to end", [&] { return backends() == "0\n"; });
    };
    // What is allocated once and for all.
    run(door.port(), clients / 10, seed);
    over();
    const auto descriptors = open_descriptors();
    const auto memory = resident();
    const auto before = door.server().stats();

    run(door.port(), clients, seed + threads);
    over();
    const auto stats = door.server().stats();
    BOOST_TEST(open_descriptors() == descriptors);
    BOOST_TEST(stats.connections_now == 0);
    BOOST_TEST(stats.startups_now == 0);
    BOOST_TEST(stats.cancels_now == 0);
    if (memory_is_told)
        BOOST_TEST(resident() < memory + 8 * 1024);
    BOOST_TEST_MESSAGE(stats.connections - before.connections
                       << " sessions, " << stats.refused - before.refused << " refused, "
                       << stats.cancels - before.cancels << " cancel requests, "
                       << resident() - memory << " kB more");
    // Each kind has been there.
    BOOST_TEST(stats.connections > before.connections + clients / 4);
    BOOST_TEST(stats.refused > before.refused);
    BOOST_TEST(stats.cancels > before.cancels);
    BOOST_TEST(stats.upstream_failures == 0);
    const auto& by_user = stats.limits[limit::Account::user];
    BOOST_TEST(by_user.delayed > 0);
    BOOST_TEST(by_user.refused > 0);
    BOOST_TEST(by_user.refused_connections > 0);
    // Nobody who has gone keeps a place.
    std::vector<std::unique_ptr<RawClient>> again;
    for (int i = 0; i < 3; ++i) {
        again.push_back(std::make_unique<RawClient>(door.port()));
        again.back()->send(startup_message("postgres", "postgres"));
        BOOST_TEST(again.back()->receive(1) == "R");
    }
}
