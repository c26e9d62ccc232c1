// Conversations, each played directly and through the door: the bytes that come back are the same.
//
// The chains: client -> door -> PostgreSQL, with and without TLS on the upstream leg,
// client -> door -> pgbouncer -> PostgreSQL and client -> pgbouncer -> door -> PostgreSQL.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <utility>

#include <boost/test/data/test_case.hpp>
#include <boost/test/unit_test.hpp>

#include "servers/pgbouncer.hpp"
#include "wire/certificate.hpp"
#include "wire/quotas.hpp"
#include "wire/recorder/player.hpp"

using namespace muster;
using namespace muster::test;
namespace data = boost::unit_test::data;

namespace {

const std::filesystem::path conversations = MUSTER_CONVERSATIONS;

std::vector<std::string> names() {
    std::vector<std::string> all;
    for (const auto& entry : std::filesystem::directory_iterator(conversations))
        all.push_back(entry.path().stem());
    std::sort(all.begin(), all.end());
    return all;
}

// Settings of a pgbouncer that passes messages on as they are. Since 1.21 it keeps prepared
// statements itself, and ends a session that asks for one it does not know.
std::string transparent() {
    const std::unique_ptr<FILE, int (*)(FILE*)> output(
        ::popen("/usr/sbin/pgbouncer --version", "r"), ::pclose);
    int major = 0, minor = 0;
    BOOST_REQUIRE(std::fscanf(output.get(), "PgBouncer %d.%d", &major, &minor) == 2);
    const bool keeps = std::pair(major, minor) >= std::pair(1, 21);
    return keeps ? "auth_type = trust\nmax_prepared_statements = 0\n" : "auth_type = trust\n";
}

// The server, with TLS and roles for several ways of logging in, and the doors, which limit and
// time, and poolers around.
struct World {
    World() {
        std::ofstream(postgres.directory() / "data" / "pg_hba.conf")
            << "local all all trust\n"
               "local replication all trust\n"
               "host all cleartext 127.0.0.1/32 password\n"
               "host all unwelcome 127.0.0.1/32 reject\n"
               "host all,replication all 127.0.0.1/32 trust\n";
        postgres.psql("alter system set ssl_cert_file = '" + certificate.file() + "'");
        postgres.psql("alter system set ssl_key_file = '" + certificate.key_file() + "'");
        postgres.psql("alter system set ssl = on");
        // Nothing of its own accord may come between two recordings.
        postgres.psql("alter system set autovacuum = off");
        postgres.psql("select pg_reload_conf()");
        postgres.psql("create role recorder login superuser");
        postgres.psql("create role cleartext login password 'secret'");
        postgres.psql("create role unwelcome login");
        postgres.psql("create database recorder owner recorder");
        const std::string settings = transparent();
        const std::string users = "\"recorder\" \"\"\n";
        to_postgres = door(postgres.port(), "disable");
        to_postgres_by_tls = door(postgres.port(), "require");
        pgbouncer = std::make_unique<Pgbouncer>(postgres.port(), settings, users);
        to_pgbouncer = door(pgbouncer->port(), "disable");
        pgbouncer_to_door = std::make_unique<Pgbouncer>((*to_postgres)->port(), settings, users);
    }

    static std::unique_ptr<FullDoor> door(std::uint16_t upstream, const std::string& tls) {
        config::Wire wire;
        wire.upstream = {"127.0.0.1", upstream};
        wire.upstream_tls = tls;
        return std::make_unique<FullDoor>(wire);
    }

    Certificate certificate{"server.test"};
    PostgresServer postgres;
    std::unique_ptr<Pgbouncer> pgbouncer;
    std::unique_ptr<FullDoor> to_postgres;
    std::unique_ptr<FullDoor> to_postgres_by_tls;
    std::unique_ptr<FullDoor> to_pgbouncer;
    std::unique_ptr<Pgbouncer> pgbouncer_to_door;
};

World& world() {
    static World instance;
    return instance;
}

// Each in a clean place: what one recording leaves behind, the next one would meet.
Recording record(const std::vector<Command>& script, unsigned short port, const char* where) {
    world().postgres.psql("drop schema if exists play cascade; create schema play", "recorder");
    try {
        return play(script, port, world().postgres);
    } catch (const std::exception& error) {
        throw std::runtime_error(std::string(where) + ": " + error.what());
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(wire_recorder)

BOOST_DATA_TEST_CASE(same_bytes, data::make(names()), name) {
    const auto script = read_script(conversations / (name + ".conversation"));
    auto& here = world();
    const auto expect = [&](const Recording& direct, const Door& door, const char* where) {
        const auto found = difference(direct, record(script, door.port(), where));
        BOOST_TEST(found.empty(), where << ": " << found);
    };
    const auto direct = record(script, here.postgres.port(), "PostgreSQL");
    expect(direct, **here.to_postgres, "door, PostgreSQL");
    expect(direct, **here.to_postgres_by_tls, "door, TLS, PostgreSQL");
    if (only_postgres(script))
        return;
    const auto pooled = record(script, here.pgbouncer->port(), "pgbouncer");
    expect(pooled, **here.to_pgbouncer, "door, pgbouncer");
    const auto found =
        difference(pooled, record(script, here.pgbouncer_to_door->port(), "pgbouncer, door"));
    BOOST_TEST(found.empty(), "pgbouncer, door: " << found);
}

BOOST_AUTO_TEST_CASE(a_difference_is_found) {
    const Recording direct{{"main", {{"DataRow", "1"}, {"end", ""}}}};
    BOOST_TEST(difference(direct, direct) == "");
    for (const std::vector<Received>& other : std::vector<std::vector<Received>>{
             {{"DataRow", "2"}, {"end", ""}},
             {{"CopyData", "1"}, {"end", ""}},
             {{"DataRow", "1"}},
             {{"DataRow", "1"}, {"DataRow", "1"}, {"end", ""}},
         })
        BOOST_TEST(!difference(direct, {{"main", other}}).empty());
    const Masks masks;
    BOOST_TEST(masks.apply('K', "12345678") == masks.apply('K', "87654321"));
    BOOST_TEST(masks.apply('A', "1234x") == masks.apply('A', "4321x"));
    BOOST_TEST(masks.apply('A', "1234x") != masks.apply('A', "1234y"));
    BOOST_TEST(masks.apply('D', "1234") == "1234");
    const auto fields = [](const std::string& table, const std::string& type) {
        return std::string("\0\1n\0", 4) + table + "aa" + type + "szmod.fm";
    };
    BOOST_TEST(masks.apply('T', fields("tab1", "typ1")) ==
               masks.apply('T', fields("tab2", "typ1")));
    BOOST_TEST(masks.apply('T', fields("tab1", "typ1")) !=
               masks.apply('T', fields("tab1", "typ2")));
}

BOOST_AUTO_TEST_SUITE_END()
