// Cancel requests where the upstream is a name with several addresses.
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <dlfcn.h>
#include <netdb.h>

#include <boost/asio/ip/tcp.hpp>

#include "harness/libpq.hpp"
#include "servers/postgres.hpp"
#include "wire/bytes.hpp"
#include "wire/cancel_keys.hpp"
#include "wire/door.hpp"
#include "wire/full_listener.hpp"
#include "wire/relay.hpp"

using namespace muster;
using namespace muster::test;
using namespace std::chrono_literals;

namespace {

// The name "both.test" has two addresses, the first of which is another one each time, as with a
// DNS that spreads load. "late.test" has them in order.
std::atomic<unsigned> lookups{0};

int look_up(const char* node, const char* service, const addrinfo* hints, addrinfo** result) {
    static const auto real =
        reinterpret_cast<decltype(&::getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
    const std::string_view name = node == nullptr ? "" : node;
    if (name != "both.test" && name != "late.test")
        return real(node, service, hints, result);
    const bool turned = name == "both.test" && lookups++ % 2 == 1;
    addrinfo* second = nullptr;
    if (const int error = real(turned ? "127.0.0.2" : "127.0.0.1", service, hints, result))
        return error;
    if (const int error = real(turned ? "127.0.0.1" : "127.0.0.2", service, hints, &second))
        return error;
    addrinfo* last = *result;
    while (last->ai_next != nullptr)
        last = last->ai_next;
    last->ai_next = second;
    return 0;
}

}  // namespace

// In place of the C library's, for this program.
extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints,
                           addrinfo** result) {
    return look_up(node, service, hints, result);
}

namespace {

// Two servers behind one name, each at an address of its own and the same port.
struct Pair {
    PostgresServer first, second;
    Relay to_first{first.port()};
    Relay to_second{second.port(), "127.0.0.2", to_first.port()};

    config::Wire settings(const std::string& name = "both.test") const {
        config::Wire wire;
        wire.upstream = {name, to_first.port()};
        return wire;
    }
    int accepted() const { return to_first.accepted() + to_second.accepted(); }
};

Pair& servers() {
    static Pair instance;
    return instance;
}

// Reads up to the first message of this type, whose body it returns.
std::string receive(RawClient& client, char type) {
    for (;;) {
        const auto header = client.receive(5);
        if (header.size() < 5)
            return "";
        const auto body = client.receive(wire::read_uint32(header.data() + 1) - 4);
        if (header[0] == type)
            return body;
    }
}

// A session that runs a query without end.
struct Sleeper {
    explicit Sleeper(unsigned short port) : client(port) {
        client.send(startup_message("postgres", "postgres"));
        key = receive(client, 'K');
        receive(client, 'Z');
        client.send(message('Q', std::string("select pg_sleep(60)\0", 20)));
        wait_until("the query to run", [this] {
            const auto sql =
                "select count(*) from pg_stat_activity where wait_event = 'PgSleep' "
                "and pid = " +
                std::to_string(wire::read_uint32(key.data()));
            return servers().first.psql(sql) == "1\n" || servers().second.psql(sql) == "1\n";
        });
    }
    // Sends a cancel request to this port and waits until it has had its effect.
    std::string cancel(unsigned short port) {
        RawClient request(port);
        request.send(std::string("\0\0\0\x10\x04\xd2\x16\x2e", 8) + key);
        BOOST_TEST(request.receive_all() == "");
        return error_state(receive(client, 'E').insert(0, 1, '\0'));
    }
    RawClient client;
    std::string key;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(wire_cancel)

BOOST_AUTO_TEST_CASE(a_cancel_goes_to_the_server_of_its_session_only) {
    Door door(servers().settings());
    std::vector<Sleeper> sleepers;
    for (int i = 0; i < 6; ++i)
        sleepers.emplace_back(door.port());
    BOOST_TEST(servers().to_first.accepted() >= 3);
    BOOST_TEST(servers().to_second.accepted() >= 3);
    for (auto& sleeper : sleepers) {
        const int before = servers().accepted();
        BOOST_TEST(sleeper.cancel(door.port()) == "57014");
        BOOST_TEST(servers().accepted() == before + 1);
        lookups += 1;  // whichever is the first one now
    }
}

BOOST_AUTO_TEST_CASE(a_cancel_of_another_proxys_session_goes_to_all_addresses) {
    Door door(servers().settings()), other(servers().settings());
    for (int i = 0; i < 4; ++i) {
        Sleeper sleeper(door.port());
        BOOST_TEST(sleeper.cancel(other.port()) == "57014");
    }
    BOOST_TEST(other.server().stats().cancels == 4);
}

BOOST_AUTO_TEST_CASE(a_key_is_forgotten_with_its_session) {
    Door door(servers().settings());
    std::string key;
    {
        Sleeper sleeper(door.port());
        key = sleeper.key;
        sleeper.cancel(door.port());
    }
    door.wait_until_empty();
    const int before = servers().accepted();
    RawClient request(door.port());
    request.send(std::string("\0\0\0\x10\x04\xd2\x16\x2e", 8) + key);
    BOOST_TEST(request.receive_all() == "");
    BOOST_TEST(servers().accepted() == before + 2);
}

// As with a host that is gone: its listener's queue is full, so that it says nothing.
BOOST_AUTO_TEST_CASE(an_address_that_does_not_answer_leaves_time_for_the_others) {
    const FullListener full;
    PostgresServer postgres;
    Relay relay(postgres.port(), "127.0.0.2", full.port());
    config::Wire wire;
    wire.upstream = {"late.test", full.port()};
    wire.connect_timeout = 2s;
    Door door(wire);
    BOOST_TEST(pg_value(pg_connect(door.conninfo("user=postgres dbname=postgres")), "select 1") ==
               "1");
}

BOOST_AUTO_TEST_CASE(a_key_is_found_however_the_login_is_cut) {
    const std::string key = std::string("\0\0\1\2K\0\0\7", 8);
    const std::string login = message('R', std::string(4, '\0')) + message('S', "K\0\0\0\x0c") +
                              message('K', key) + message('Z', "I");
    for (std::size_t size = 1; size <= login.size(); ++size) {
        wire::KeyReader reader;
        for (std::size_t at = 0; at < login.size(); at += size)
            reader.feed(std::string_view(login).substr(at, size));
        BOOST_TEST(reader.key() == key, "pieces of " << size);
    }
    wire::KeyReader reader;
    reader.feed(message('K', std::string(wire::KeyReader::max_key + 1, 'k')));
    BOOST_TEST(reader.key() == "");
    reader.feed(message('K', std::string(wire::KeyReader::max_key, 'k')));
    BOOST_TEST(reader.key().size() == wire::KeyReader::max_key);
}

BOOST_AUTO_TEST_SUITE_END()
