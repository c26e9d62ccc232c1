// A proxy's HTTP doors in the test's own process, on a real PostgreSQL with functions such as a
// user would write.
#pragma once

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "config/load.hpp"
#include "http/admin.hpp"
#include "http/door.hpp"
#include "http/start_check.hpp"
#include "servers/http_client.hpp"
#include "servers/postgres.hpp"
#include "servers/process.hpp"

namespace muster::test {

using namespace std::chrono_literals;

// What the extension gives a proxy to ask for keys, and functions such as a user would write.
// The keys are 'reader' and 'writer'.
inline constexpr const char* schema = R"(
create schema muster;
create table muster.keys (sha256 bytea, name text, scopes text[]);
insert into muster.keys values (sha256('reader'), 'r', '{read}'), (sha256('writer'), 'w', '{read,write}');
create function muster.api_key(sha256 bytea, out id uuid, out name text, out tier text, out scopes text[])
language sql stable as $$
  select gen_random_uuid(), k.name, 'standard', k.scopes from muster.keys k where k.sha256 = $1
$$;
create table items (id int primary key, name text not null unique check (name <> 'bad'), doc json);
insert into items values (1, 'one', '{"a":1}'), (2, 'two', null);
create function item(id int) returns json language sql stable as $$
  select to_json(i) from items i where i.id = $1
$$;
create function items(row_limit int, after text, out body json, out next text) language sql stable as $$
  select coalesce(json_agg(i.id), '[]'), case when row_limit = 1 then 'a/b c' end from items i
   where row_limit is null or i.id <= row_limit
$$;
create function add_item(body json, out body json, out status int, out location text) language sql as $$
  insert into items values ((body->>'id')::int, body->>'name', body)
  returning to_json(items), case when id > 100 then 202 end, '/items/' || id
$$;
create function add_item_binary(body jsonb) returns jsonb language sql as $$ select body $$;
create function text_body(body text) returns json language sql as $$ select to_json(body) $$;
create function remove_item(id int) returns json language sql as $$
  delete from items i where i.id = $1 returning to_json(i)
$$;
create function fail(code text, message text) returns json language plpgsql as $$
begin raise exception using errcode = code, message = coalesce(message, 'told'), hint = 'A hint.'; end $$;
create function sleep() returns json language sql as $$ select to_json(pg_sleep(20)::text) $$;
create function two() returns setof json language sql as $$ values ('1'::json), ('2') $$;
create function echo(a text, b text) returns json language sql as $$ select json_build_array(a, b) $$;
create function status(code int, out body json, out status int) language sql as $$ select '{}'::json, code $$;
create function big(size int) returns json language sql as $$ select to_json(repeat('x', size)) $$;
)";

inline constexpr const char* routes = R"toml(
threads = 2
[http]
listen = "127.0.0.1:0"
request_timeout = "1500ms"
[admin]
listen = "127.0.0.1:0"
[database]
pool_size = 3
[limits]
standard_rate = 100000
standard_burst = 100000
address_rate = 100000
address_burst = 100000
[log]
level = "off"
[[route]]
name = "item"
match = "GET /items/{id}"
params = { id = { type = "int" } }
call = "item($id::int)"
[[route]]
name = "items"
match = "GET /items/"
params = { limit = { type = "int", min = 1, max = 1000 } }
call = "items(row_limit => $limit::int, after => $after)"
[[route]]
name = "add_item"
match = "POST /items/"
call = "add_item($body::json)"
success = 201
[[route]]
name = "add_item_binary"
match = "POST /binary/"
call = "add_item_binary($body::jsonb)"
[[route]]
name = "text_body"
match = "POST /text/"
call = "text_body($body::text)"
[[route]]
name = "remove_item"
match = "DELETE /items/{id}"
call = "remove_item($id::int)"
success = 204
[[route]]
name = "fail"
match = "GET /fail/{code}"
call = "fail($code, $message)"
[[route]]
name = "sleep"
match = "GET /sleep"
call = "sleep()"
[[route]]
name = "two"
match = "GET /two"
call = "two()"
[[route]]
name = "echo"
match = "GET /echo/{a}"
call = "echo($a, $b)"
[[route]]
name = "status"
match = "GET /status/{code}"
call = "status($code::int)"
[[route]]
name = "big"
match = "GET /big/{size}"
call = "big($size::int)"
)toml";

inline const std::string reader = "X-API-Key: reader\r\n";
inline const std::string writer = "Authorization: Bearer writer\r\n";
inline const std::string json = "Content-Type: application/json\r\n";

inline PostgresServer& database() {
    static const auto server = [] {
        auto made = std::make_unique<PostgresServer>();
        made->psql(schema);
        return made;
    }();
    return *server;
}

inline config::Config configured(const std::string& text) {
    const Sandbox sandbox;
    const std::string file = sandbox.path() / "proxy.toml";
    std::ofstream(file) << text;
    auto config = config::load(
        file, std::vector<std::string>{"database.conninfo=" + database().socket_conninfo()});
    if (!config) {
        throw std::runtime_error(config.error().text());
    }
    return std::move(config).value();
}

// A proxy with both of its HTTP doors, in this process.
class Proxy {
  public:
    explicit Proxy(const std::string& text = routes, bool redis_up = true)
        : config_(configured(text)),
          runtime_(config_.threads),
          limiter_(runtime_.context(0), config_.limits, config_.redis, registry_,
                   runtime_.threads()),
          timing_(timing::Timing::make(config_, registry_, runtime_.threads()).value()),
          door_(
              runtime_, config_, registry_, limiter_, *timing_,
              [redis_up](net::io_context&, TimePoint) -> Task<bool> { co_return redis_up; }, false),
          admin_(runtime_, config_, {registry_, door_.ready(), &timing_->statements()}) {
        for (const auto& error : {door_.start(), admin_.start()}) {
            if (error) {
                throw std::runtime_error(*error);
            }
        }
        port = door_.port();
        admin_port = admin_.port();
        thread_ = std::thread([this] {
            runtime_.run(10s, [this] {
                door_.stop();
                admin_.stop();
            });
        });
    }
    ~Proxy() {
        runtime_.request_stop();
        thread_.join();
    }
    Proxy(const Proxy&) = delete;
    Proxy& operator=(const Proxy&) = delete;

    void wait_until_ready() const {
        wait_until("the proxy to be ready",
                   [&] { return HttpClient(port).request("GET", "/health/ready").status == 200; });
    }

    unsigned short port = 0;
    unsigned short admin_port = 0;

  private:
    config::Config config_;
    Runtime runtime_;
    metrics::Registry registry_;
    limit::Limiter limiter_;
    std::unique_ptr<timing::Timing> timing_;
    http::Door door_;
    http::Admin admin_;
    std::thread thread_;
};

// One ready proxy for the tests that do not harm it.
inline Proxy& shared() {
    static Proxy proxy;
    static const bool ready = (proxy.wait_until_ready(), true);
    BOOST_REQUIRE(ready);
    return proxy;
}

inline HttpAnswer get(const std::string& target, const std::string& headers = reader) {
    return HttpClient(shared().port).request("GET", target, headers);
}

inline HttpAnswer post(const std::string& target, const std::string& body,
                       const std::string& headers = writer + json) {
    return HttpClient(shared().port).request("POST", target, headers, body);
}

inline void contains(const std::string& text, const std::string& part) {
    BOOST_CHECK_MESSAGE(text.find(part) != std::string::npos, text << "\nhas no " << part);
}

}  // namespace muster::test
