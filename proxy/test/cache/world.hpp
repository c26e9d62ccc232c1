// What HTTP clients see of the cache. The relay is the test itself, so that each piece of news
// comes when it should; the servers are real.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "cache/proxy.hpp"
#include "servers/http_client.hpp"
#include "support.hpp"

namespace muster::test {

using namespace std::chrono_literals;

inline constexpr const char* schema = R"(
create schema muster;
create table muster.keys (sha256 bytea, scopes text[]);
insert into muster.keys values (sha256('key'), '{read,write}'), (sha256('writer'), '{write}');
create function muster.api_key(sha256 bytea, out id uuid, out name text, out tier text, out scopes text[])
language sql stable as $$
  select gen_random_uuid(), 'k', 'premium', k.scopes from muster.keys k where k.sha256 = $1 $$;
create function muster.origin() returns text language c as 'muster', 'muster_origin';
create table items (id int primary key, name text);
insert into items values (1, 'one'), (2, 'two');
create sequence asked;
create function item(id int) returns setof json language sql stable as $$
  select to_json(i) from items i where i.id = $1 $$;
create function items(row_limit int, include text, out body json, out next text) language sql volatile as $$
  select json_build_object('items', (select json_agg(i order by i.id) from items i), 'asked', nextval('asked')),
         case when row_limit = 1 then 'cursor' end $$;
create function slow() returns json language plpgsql volatile as $$
begin perform pg_sleep(0.5); return to_json(nextval('asked')); end $$;
create function put_item(id int, name text) returns json language sql as $$
  insert into items values ($1, $2) on conflict (id) do update set name = $2 returning to_json(items) $$;
create function nothing() returns setof json language sql as $$ select json '1' where false $$;
)";

inline constexpr const char* routes = R"toml(
[[route]]
name = "item"
match = "GET /items/{id}"
params = { id = { type = "int" } }
call = "item($id::int)"
cache = { ttl = "30s", tags = ["items:$id"] }
[[route]]
name = "items"
match = "GET /items/"
params = { limit = { type = "int", min = 1 } }
call = "items($limit::int, $include)"
cache = { ttl = "60s", tags = ["items"], include_tags = { owner = ["owners"] } }
[[route]]
name = "slow"
match = "GET /slow"
call = "slow()"
cache = { ttl = "60s", tags = ["slow"] }
[[route]]
name = "short"
match = "GET /short"
call = "slow()"
cache = { ttl = "100ms", tags = ["short"] }
[[route]]
name = "put_item"
match = "PUT /items/{id}/{name}"
params = { id = { type = "int" } }
call = "put_item($id::int, $name)"
writes = ["items", "items:$id"]
[[route]]
name = "nothing"
match = "DELETE /nothing"
call = "nothing()"
writes = ["items"]
)toml";

inline const std::string key = "X-API-Key: key\r\n";

struct ProxySettings {
    int threads = 2;
    std::string http = {};  // lines of its section
    std::string more = {};  // other sections
};

// A database with its relay, which is the test's. The keys are 'key' and 'writer'.
class CacheWorld {
  public:
    CacheWorld() {
        static int count = 0;
        database_ = "cache" + std::to_string(++count);
        channel_ = "l01:cache" + std::to_string(count);
        postgres().psql("create database " + database_);
        postgres().psql(schema, database_);
        session_ = std::make_unique<Session>(database_);
    }

    std::unique_ptr<CachedProxy> proxy(const ProxySettings& settings = {}) const {
        config::Config config = cached_config("threads = " + std::to_string(settings.threads) +
                                                  "\n[http]\nlisten = \"127.0.0.1:0\"\n" +
                                                  settings.http + routes + settings.more,
                                              database_);
        config.relay.channel = channel_;
        config.relay.heartbeat_channel = channel_ + "beat";
        return std::make_unique<CachedProxy>(std::move(config));
    }

    // One heartbeat.
    void publish_beat() {
        publish(channel_ + "beat", R"({"epoch":")" + epoch + R"(","tick":)" +
                                       std::to_string(tick_) + R"(,"snapshot":")" +
                                       session_->value("select pg_current_snapshot()") + R"("})");
        std::this_thread::sleep_for(5ms);
    }
    // Beats until the proxy hears it.
    void beat(CachedProxy& proxy) {
        wait_until("a heartbeat to be heard", [&] {
            if (!proxy.alive()) {
                publish_beat();
            }
            return proxy.alive();
        });
    }
    // Publishes a change of these tags by a transaction of its own, committed before.
    void change(const CachedProxy& proxy, const std::string& sql, const std::string& tags) {
        const std::string xid = session_->value("with done as (" + sql +
                                                " returning 1) select pg_current_xact_id()"
                                                " from done");
        const auto before = proxy.changes();
        publish(channel_, R"({"id":")" + std::to_string(tick_ + 1) + R"(-1","prev_id":")" +
                              std::to_string(tick_) + R"(-1","epoch":")" + epoch + R"(","xid":")" +
                              xid + R"(","tags":[)" + tags + "]}");
        ++tick_;
        wait_until("the change to be heard of", [&] { return proxy.changes() > before; });
    }

    // Takes the database from the proxies, but not from the test, and gives it back.
    void lock_out() const {
        postgres().psql("alter database " + database_ + " allow_connections false");
        postgres().psql("select pg_terminate_backend(pid) from pg_stat_activity where datname = '" +
                        database_ + "' and application_name = 'muster'");
    }
    // Another session, which stays when the database is taken from the proxies.
    std::unique_ptr<Session> session() const { return std::make_unique<Session>(database_); }
    void let_in() const {
        postgres().psql("alter database " + database_ + " allow_connections true");
    }

    std::string epoch = "e1";

  private:
    static void publish(const std::string& channel, const std::string& message) {
        redis_server().cli({"PUBLISH", channel, message});
    }

    std::string database_;
    std::string channel_;
    std::unique_ptr<Session> session_;
    int tick_ = 1;
};

// Keeps the fence alive, so that what is in the cache is served without the database.
class Beats {
  public:
    explicit Beats(CacheWorld& world)
        : thread_([&] {
              while (!over_) {
                  world.publish_beat();
                  std::this_thread::sleep_for(100ms);
              }
          }) {}
    ~Beats() {
        over_ = true;
        thread_.join();
    }

  private:
    std::atomic<bool> over_{false};
    std::thread thread_;
};

inline HttpAnswer get(const CachedProxy& proxy, const std::string& target,
                      const std::string& more = "") {
    return HttpClient(proxy.port()).request("GET", target, key + more);
}

inline std::string status(const HttpAnswer& answer) {
    return answer.header("cache-status");
}

inline bool is_hit(const HttpAnswer& answer) {
    return status(answer).find("; hit") != std::string::npos;
}

}  // namespace muster::test
