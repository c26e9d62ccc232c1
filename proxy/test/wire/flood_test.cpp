// Floods of clients that say nothing, little or never the last word: the door goes on serving
// others, holds no more of them than it is told to, and lets go of all by its deadlines.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <functional>
#include <list>
#include <string>
#include <thread>
#include <vector>

#include <sys/socket.h>

#include "harness/libpq.hpp"
#include "servers/postgres.hpp"
#include "wire/certificate.hpp"
#include "wire/door.hpp"
#include "wire/startup.hpp"

using namespace muster;
using namespace muster::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t max_startups = 100;

PostgresServer& postgres() {
    static PostgresServer instance;
    return instance;
}

const Certificate& certificate() {
    static const Certificate instance("proxy.test");
    return instance;
}

// PostgreSQL lets 60 in: those that wait for a password have to leave room for others. A pooler
// in front of it would ask for passwords itself, whatever the number.
config::Wire strict() {
    config::Wire wire;
    wire.upstream = {"127.0.0.1", postgres().port()};
    wire.tls = "allow";
    wire.tls_cert = certificate().file();
    wire.tls_key = certificate().key_file();
    wire.max_startups = max_startups;
    wire.startup_timeout = 2s;
    wire.login_timeout = 3s;
    return wire;
}

// What a client of the flood does.
struct Manner {
    std::function<void(RawClient&)> speak;      // once
    std::function<void(RawClient&)> drip = {};  // now and then
    bool stays = false;                         // until it is reset, whatever it is told
};

// Keeps `size` connections open, and opens others where the door has closed some: `rate` at a time,
// twenty times a second.
class Flood {
  public:
    Flood(unsigned short port, std::size_t size, int rate, Manner manner)
        : thread_([this, port, size, rate, manner = std::move(manner)] {
              while (!over_) {
                  for (int i = 0; i < rate && clients_.size() < size; ++i) {
                      clients_.emplace_back(port);
                      ++opened_;
                      manner.speak(clients_.back());
                  }
                  for (auto& client : clients_) {
                      if (manner.drip)
                          manner.drip(client);
                  }
                  std::erase_if(clients_, [&](const RawClient& client) {
                      return closed(client, manner.stays);
                  });
                  std::this_thread::sleep_for(50ms);
              }
          }) {}
    ~Flood() { pause(); }

    // Opens no more, and closes none.
    void pause() {
        over_ = true;
        if (thread_.joinable())
            thread_.join();
    }
    int opened() const { return opened_; }

  private:
    static bool closed(const RawClient& client, bool stays) {
        char bytes[1024];
        for (;;) {
            const auto n = ::recv(client.descriptor(), bytes, sizeof bytes, MSG_DONTWAIT);
            if (n < 0)
                return errno != EAGAIN;
            if (n == 0)
                return !stays;
        }
    }

    std::atomic<bool> over_{false};
    std::atomic<int> opened_{0};
    std::list<RawClient> clients_;
    std::thread thread_;
};

// Others are served while such clients flood the door.
void survive(Manner manner) {
    Door door(strict());
    Flood flood(door.port(), 4 * max_startups, 10, std::move(manner));
    wait_until("the door to be full",
               [&] { return door.server().stats().startups_now >= max_startups; });
    std::uint64_t most = 0;
    for (int i = 0; i < 40; ++i) {
        const bool by_password = i % 2 == 0;
        const auto session = pg_connect(door.conninfo(
            by_password ? "user=locked password=secret dbname=postgres" : "user=postgres"));
        BOOST_TEST(pg_value(session, "select 'served'") == "served");
        most = std::max(most, door.server().stats().startups_now);
        std::this_thread::sleep_for(25ms);
    }
    // One a thread may be over while the one that it drives out is on its way.
    BOOST_TEST(most <= max_startups + 2);
    BOOST_TEST(flood.opened() > static_cast<int>(max_startups));
    BOOST_TEST(door.server().stats().refused > 0);
    flood.pause();  // and leaves its connections open
    door.wait_until_empty();
    BOOST_TEST(door.server().stats().startups_now == 0);
    BOOST_TEST(door.server().stats().connections_now == 0);
    wait_until("the server's sessions to end", [] {
        return postgres().psql(
                   "select count(*) from pg_stat_activity where application_name = '' and "
                   "backend_type = 'client backend'") == "0\n";
    });
}

const std::string tls_request(wire::startup::tls_request);
const std::string client_hello = std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);

}  // namespace

BOOST_AUTO_TEST_SUITE(wire_flood)

BOOST_AUTO_TEST_CASE(clients_that_say_nothing) {
    survive({[](RawClient&) {}});
}

BOOST_AUTO_TEST_CASE(clients_that_say_a_byte_at_a_time) {
    const auto slow = startup_message("postgres", std::string(9000, 'x'));
    survive({[&](RawClient& client) { client.try_send(slow.substr(0, 30)); },
             [](RawClient& client) { client.try_send("x"); }});
}

BOOST_AUTO_TEST_CASE(clients_that_stop_in_the_handshake_of_tls) {
    survive({[](RawClient& client) {
                 client.try_send(tls_request);
                 client.receive(1);
                 client.try_send(client_hello);
             },
             [](RawClient& client) { client.try_send("x"); }});
    survive({[](RawClient& client) { client.try_send(client_hello); }});
}

BOOST_AUTO_TEST_CASE(clients_that_stay_when_they_were_refused) {
    survive({[](RawClient& client) { client.try_send("GET / HTTP/1.1\r\n\r\n"); },
             [](RawClient& client) { client.try_send("x"); }, true});
}

BOOST_AUTO_TEST_CASE(clients_that_never_send_their_password) {
    auto wire = strict();
    wire.max_startups = 20;
    Door door(wire);
    // Half a message is none, however slowly it comes.
    Flood flood(
        door.port(), 200, 2,
        {[](RawClient& client) {
             client.try_send(startup_message("locked", "postgres") + std::string("p\0\0\3\0", 5));
         },
         [](RawClient& client) { client.try_send("x"); }});
    wait_until("the door to be full", [&] { return door.server().stats().refused > 50; });
    for (int i = 0; i < 40; ++i) {
        // On a busy machine one may be overtaken by a doorful of others before it has logged in.
        const auto served = [&] {
            try {
                const auto session = pg_connect(door.conninfo(
                    i % 2 == 0 ? "user=locked password=secret dbname=postgres" : "user=postgres"));
                return pg_value(session, "select 'served'") == "served";
            } catch (const std::runtime_error&) {
                return false;
            }
        };
        BOOST_TEST((served() || served() || served()));
        std::this_thread::sleep_for(25ms);
    }
    flood.pause();
    door.wait_until_empty();
}

BOOST_AUTO_TEST_CASE(the_one_that_waits_longest_goes_and_is_told_where_it_would_understand) {
    auto wire = strict();
    wire.max_startups = 2;
    wire.startup_timeout = wire.login_timeout = 60s;
    Door door(wire);
    std::vector<RawClient> clients;
    std::vector<std::string> said(8);
    for (std::size_t i = 0; i < 8; ++i) {
        clients.emplace_back(door.port());
        clients.back().send(startup_message("locked", "postgres"));
        said[i] = clients.back().receive(9);
        wait_until("it to be waited for", [&] {
            return door.server().stats().startups_now >= std::min<std::size_t>(i + 1, 2);
        });
    }
    // By thread: with two of them, at most one more than there may be has stayed on each.
    wait_until("the first ones to go", [&] { return door.server().stats().sockets_now <= 4; });
    BOOST_TEST(error_state(said[0] + clients[0].receive_all()) == "53300");
    BOOST_TEST(said[7].substr(0, 1) == "R");
    clients.clear();
    door.wait_until_empty();
}

BOOST_AUTO_TEST_SUITE_END()
