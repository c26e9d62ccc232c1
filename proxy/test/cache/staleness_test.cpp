// The randomised test of the cache's promise, on real servers.
//
// Two proxies of two threads each share a PostgreSQL and a Redis, one of them through pgbouncer in
// transaction pooling. Writers change things through both and in SQL: with rollbacks, savepoints,
// late and asynchronous commits. A real relay publishes; between it and each proxy stands a
// forwarder that delays, reorders, loses and withholds messages. Meanwhile subscribers are
// disconnected, the relay is restarted, another database has a transaction open, and PostgreSQL is
// killed in the middle, so that transaction ids are given again.
//
// The definition that is checked, for every read: an answer is stale if a change of what it shows
// was known to the proxy before the request began, and the answer has not seen it. A change is
// known
//   - from the moment that a write through the proxy is answered;
//   - from the moment that the proxy has counted the relay's message of it;
//   - to any proxy, for a request that shows the token of the write.
// Each thing carries the marks of its last changes, which are unique even where a crash has taken a
// commit back, so that an answer shows by itself what it has seen.
//
// MUSTER_CACHE_READS says how many reads to check; 1000000 takes some minutes.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cache/forwarder.hpp"
#include "cache/proxy.hpp"
#include "servers/http_client.hpp"
#include "servers/pgbouncer.hpp"
#include "support.hpp"

using namespace muster;
using namespace muster::test;
using namespace std::chrono_literals;

namespace {

constexpr int marks_kept = 64;  // of a thing
constexpr int proxies = 2;

constexpr const char* schema = R"(
alter role locked superuser;  -- who comes through pgbouncer
create or replace function muster.api_key(sha256 bytea, out id uuid, out name text, out tier text, out scopes text[])
language sql stable as $$ select gen_random_uuid(), 'k', 'premium', '{read,write}'::text[] $$;
drop table things;
create table things (id int primary key, version bigint not null, marks text[] not null);
insert into things select i, 1, array['1.first' || i] from generate_series(1, 4) i;
create function announce() returns trigger language plpgsql as $$
begin
  insert into muster.outbox_0 (event_type, aggregate_type, aggregate_id, tags, payload, metadata)
  values ('thing.changed', 'thing', new.id::text, array['things', 'things:' || new.id],
          json_build_object('item', new.id, 'mark', new.marks[1]), '{}');
  return null;
end $$;
create trigger announce after insert or update on things for each row execute function announce();
create function touch(id int, mark text) returns json language sql as $$
  insert into things as t values (id, 1, array['1.' || mark])
  on conflict on constraint things_pkey do update
     set version = t.version + 1, marks = (array[t.version + 1 || '.' || mark] || t.marks)[1:64]
  returning json_build_object('mark', marks[1])
$$;
create function thing(id int) returns json language sql stable as $$
  select json_build_object('id', t.id, 'marks', t.marks) from things t where t.id = $1
$$;
create function all_things() returns json language sql stable as $$
  select json_agg(json_build_object('id', t.id, 'marks', t.marks) order by t.id) from things t
$$;
)";

constexpr const char* routes = R"toml(
threads = 2
[http]
listen = "127.0.0.1:0"
[database]
pool_size = 4
[[route]]
name = "thing"
match = "GET /things/{id}"
params = { id = { type = "int" } }
call = "thing($id::int)"
cache = { ttl = "30s", tags = ["things:$id"] }
[[route]]
name = "all_things"
match = "GET /things/"
call = "all_things()"
cache = { ttl = "60s", tags = ["things"] }
[[route]]
name = "touch"
match = "POST /things/{id}/{mark}"
params = { id = { type = "int" } }
call = "touch($id::int, $mark)"
writes = ["things", "things:$id"]
)toml";

std::string channel(int proxy) {
    return "l01:test" + std::to_string(proxy) + ":";
}

// Whether an answer has seen a change of a thing.
bool shows(const HttpAnswer& answer, int thing, const Mark& mark) {
    if (answer.body.find('"' + mark.text + '"') != std::string::npos) {
        return true;
    }
    // It may have been pushed out by newer ones: the newest then says how many.
    const std::size_t at = answer.body.find("\"id\" : " + std::to_string(thing) + ",");
    if (answer.status != 200 || at == std::string::npos) {
        return false;
    }
    return std::stol(text_member(answer.body.substr(at), "marks")) >= mark.version + marks_kept;
}

// Everything that goes on.
struct World {
    std::string database = make_database();
    std::vector<std::unique_ptr<CachedProxy>> proxy;
    std::array<Known, proxies> known;
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> reads{0}, hits{0}, writes{0}, token_reads{0}, stale{0};
    std::atomic<std::uint64_t> failures{0};
    Forwarder::Counters news;
    std::atomic<int> crashes{0};
    std::mutex mutex;
    std::string first_stale;
    std::map<std::string, int> transactions;  // by their ids: before which crash
    std::uint64_t given_again = 0;            // ids of transactions that a crash has taken back

    // Notes a transaction that is under way.
    void has(const std::string& xid, int before_crash) {
        const std::lock_guard lock(mutex);
        const auto [found, first] = transactions.emplace(xid, before_crash);
        if (!first && std::exchange(found->second, before_crash) != before_crash) {
            ++given_again;
        }
    }
    void report_stale(const std::string& what) {
        const std::lock_guard lock(mutex);
        ++stale;
        if (first_stale.empty()) {
            first_stale = what;
        }
    }
};

// A client's connection, made anew when it breaks.
class Client {
  public:
    explicit Client(const World& world) : world_(world) {}
    // Nothing if the proxy did not answer.
    std::optional<HttpAnswer> request(int proxy, const std::string& method,
                                      const std::string& target, const std::string& headers = "") {
        auto& connection = connections_.at(static_cast<std::size_t>(proxy));
        try {
            if (!connection) {
                connection = std::make_unique<HttpClient>(
                    world_.proxy[static_cast<std::size_t>(proxy)]->port());
            }
            return connection->request(method, target, "X-API-Key: k\r\n" + headers);
        } catch (const std::exception&) {
            connection.reset();
            return std::nullopt;
        }
    }

  private:
    const World& world_;
    std::array<std::unique_ptr<HttpClient>, proxies> connections_;
};

std::string target_of(int thing) {
    return thing == 0 ? "/things/" : "/things/" + std::to_string(thing);
}

void read(World& world, unsigned seed) {
    std::mt19937 random(seed);
    Client client(world);
    while (!world.stop) {
        const int proxy = static_cast<int>(random() % proxies);
        const int shown = static_cast<int>(random() % (things + 1));  // 0: the list
        const int thing = shown == 0 ? 1 + static_cast<int>(random() % things) : shown;
        const auto known = world.known[static_cast<std::size_t>(proxy)].of(thing);
        const auto answer = client.request(proxy, "GET", target_of(shown));
        if (!answer || (answer->status != 200 && answer->status != 404)) {
            ++world.failures;
            std::this_thread::sleep_for(1ms);
            continue;
        }
        ++world.reads;
        const std::string status = answer->header("cache-status");
        world.hits += status.find("hit") != std::string::npos ? 1 : 0;
        for (const Mark& mark : known) {
            if (!shows(*answer, thing, mark)) {
                world.report_stale("proxy " + std::to_string(proxy) + ", " + target_of(shown) +
                                   ": " + mark.text + " of " + std::to_string(thing) +
                                   " is not in \"" + status + "\" " + answer->body.substr(0, 400));
            }
        }
    }
}

// Writes through one proxy, then reads with the token through either.
void write_http(World& world, unsigned seed) {
    std::mt19937 random(seed);
    Client client(world);
    while (!world.stop) {
        const int proxy = static_cast<int>(random() % proxies);
        const int thing = 1 + static_cast<int>(random() % things);
        const auto written = client.request(
            proxy, "POST",
            target_of(thing) + "/h" + std::to_string(seed) + "x" + std::to_string(random()));
        if (written && written->status == 200) {
            const Mark mark(text_member(written->body, "mark"));
            world.known[static_cast<std::size_t>(proxy)].add(thing, mark.text);
            ++world.writes;
            const std::string token = "Muster-Token: " + written->header("muster-token") + "\r\n";
            const int asked = static_cast<int>(random() % proxies);
            const int shown = random() % 2 == 0 ? 0 : thing;
            const auto answer = client.request(asked, "GET", target_of(shown), token);
            if (answer && (answer->status == 200 || answer->status == 404)) {
                ++world.token_reads;
                if (!shows(*answer, thing, mark)) {
                    world.report_stale("with " + token + target_of(shown) + " of proxy " +
                                       std::to_string(asked) + " has not " + mark.text + ": \"" +
                                       answer->header("cache-status") + "\" " +
                                       answer->body.substr(0, 400));
                }
            }
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(random() % 30));
    }
}

void write_sql(World& world, unsigned seed) {
    std::mt19937 random(seed);
    std::unique_ptr<Session> session;
    bool good = false;
    while (!world.stop) {
        if (!good) {
            session = std::make_unique<Session>(world.database);
        }
        const std::string touch = "select touch(" + std::to_string(1 + random() % things) + ", 's" +
                                  std::to_string(seed) + "x" + std::to_string(random()) + "')";
        const int crashes = world.crashes;
        good = session->try_run("begin");
        if (random() % 3 == 0) {
            good = session->try_run("set local synchronous_commit = off") && good;
        }
        if (random() % 4 == 0) {
            good = session->try_run("savepoint s; " + touch + "; rollback to s") && good;
        }
        good = session->try_run(touch) && good;
        if (good) {
            try {
                world.has(session->value("select pg_current_xact_id()"), crashes);
            } catch (const std::exception&) {
                good = false;
            }
        }
        if (random() % 6 == 0) {
            std::this_thread::sleep_for(std::chrono::milliseconds(random() % 40));
        }
        good = session->try_run(random() % 5 == 0 ? "rollback" : "commit") && good;
        std::this_thread::sleep_for(std::chrono::milliseconds(random() % 20));
    }
}

// Kills the server beside one who begins transactions all the time, so that there are some that
// nothing is left of.
void crash(World& world, const std::string& database) {
    const int crashes = world.crashes;
    std::atomic<bool> over{false};
    std::thread lost([&] {
        try {
            Session session(database);
            session.run("set synchronous_commit = off");
            while (!over) {
                world.has(session.value("select pg_current_xact_id()"), crashes);
            }
        } catch (const std::exception&) {  // the crash
        }
    });
    std::this_thread::sleep_for(50ms);
    ++world.crashes;
    test::postgres().crash_and_restart();
    over = true;
    lost.join();
}

// Disconnects, restarts and kills. The transaction in the other database is open whenever its
// server runs.
void disturb(World& world, const std::string& other, std::unique_ptr<RelayThread>& relay) {
    std::mt19937 random(5);
    auto elsewhere = std::make_unique<Session>(other);
    const auto open = [&] {
        elsewhere = std::make_unique<Session>(other);
        elsewhere->try_run("begin; select pg_current_xact_id()");
    };
    open();
    for (int round = 1; !world.stop; ++round) {
        for (int i = 0; i < 15 && !world.stop; ++i) {
            std::this_thread::sleep_for(100ms);
        }
        if (round % 4 == 0) {
            crash(world, other);
            open();
        } else if (round % 4 == 2) {
            relay.reset();
            relay =
                std::make_unique<RelayThread>(relay_config(world.database), redis_server().tcp());
        } else {
            redis_server().cli({"CLIENT", "KILL", "TYPE", "pubsub"});
        }
    }
}

std::uint64_t reads_wanted() {
    const char* text = std::getenv("MUSTER_CACHE_READS");
    return text == nullptr ? 60000 : std::strtoull(text, nullptr, 10);
}

}  // namespace

BOOST_AUTO_TEST_CASE(no_read_is_stale_whatever_happens) {
    World world;
    test::postgres().psql(schema, world.database);
    const std::string other = make_database();
    const Pgbouncer pgbouncer(test::postgres());
    auto relay = std::make_unique<RelayThread>(relay_config(world.database), redis_server().tcp());
    for (int i = 0; i < proxies; ++i) {
        config::Config config = cached_config(routes, world.database);
        if (i == 0) {
            config.database.conninfo = "host=127.0.0.1 port=" + std::to_string(pgbouncer.port()) +
                                       " user=locked password=secret dbname=" + world.database;
        }
        config.relay.channel = channel(i) + "events";
        config.relay.heartbeat_channel = channel(i) + "heartbeat";
        world.proxy.push_back(std::make_unique<CachedProxy>(std::move(config)));
    }
    std::deque<Forwarder> forwarders;
    for (int i = 0; i < proxies; ++i) {
        const auto at = static_cast<std::size_t>(i);
        forwarders.emplace_back(*world.proxy[at], channel(i), world.known[at], world.news,
                                world.stop, 77 + static_cast<unsigned>(i));
    }
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 4; ++i) {
        threads.emplace_back([&world, i] { read(world, 100 + i); });
    }
    for (unsigned i = 0; i < 2; ++i) {
        threads.emplace_back([&world, i] { write_http(world, 200 + i); });
        threads.emplace_back([&world, i] { write_sql(world, 300 + i); });
    }
    threads.emplace_back([&] { disturb(world, other, relay); });

    const std::uint64_t wanted = reads_wanted();
    const TimePoint begun = Clock::now();
    const TimePoint least = begun + 15s;  // two crashes
    const TimePoint give_up = begun + 60s + std::chrono::milliseconds(wanted);
    while ((world.reads < wanted || Clock::now() < least) && Clock::now() < give_up &&
           world.stale == 0) {
        std::this_thread::sleep_for(20ms);
    }
    world.stop = true;
    for (auto& thread : threads) {
        thread.join();
    }
    forwarders.clear();
    relay.reset();
    BOOST_TEST_MESSAGE(world.reads
                       << " reads, of which " << world.hits << " hits; " << world.token_reads
                       << " with tokens; " << world.writes << " writes over HTTP; "
                       << world.news.delivered << " changes delivered, " << world.news.lost
                       << " messages lost, " << world.news.delayed << " delayed, "
                       << world.news.silences << " silences; " << world.crashes << " crashes, "
                       << world.given_again << " transaction ids seen given again; "
                       << world.failures << " requests not answered");
    std::istringstream lines(world.proxy[0]->metrics());
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("cache_")) {
            BOOST_TEST_MESSAGE(line);
        }
    }
    BOOST_CHECK_EQUAL(world.first_stale, "");
    BOOST_CHECK(world.reads >= wanted);
    // The test means something only if the cache was used, and its news came.
    BOOST_CHECK(world.hits > world.reads / 10);
    BOOST_CHECK(world.news.delivered > 100U);
    BOOST_CHECK(world.writes > 50U);
    BOOST_CHECK(world.token_reads > 50U);
    BOOST_CHECK(world.news.lost > 10U);
    if (wanted >= 1000000) {  // what is too rare to be met in every short run
        BOOST_CHECK(world.news.silences > 0U);
        BOOST_CHECK(world.news.delayed > 0U);
        BOOST_CHECK(world.given_again > 0U);
    }
}
