// The configuration of one muster-proxy process: plain values, read at start and at a reload.
//
// Depends on no other room. `load()` (load.hpp) reads proxy.toml, applies the command line's
// overrides and checks everything that can be checked without a server; the first mistake is
// reported with its line.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/call.hpp"
#include "config/network.hpp"
#include "config/path.hpp"

namespace muster::config {

using std::chrono::milliseconds;

struct Endpoint {
    std::string host;
    std::uint16_t port = 0;  // 0: any free port (tests)
};

struct Http {
    Endpoint listen{"127.0.0.1", 8002};
    std::size_t max_connections = 10000;
    std::size_t max_header_bytes = 16 * 1024;
    std::size_t max_headers = 100;
    std::size_t max_body_bytes = 8 * 1024 * 1024;
    milliseconds idle_timeout{60000};      // between requests of a kept-alive connection
    milliseconds read_timeout{10000};      // from the first byte of a request to its last
    milliseconds request_timeout{5000};    // from the last byte of a request to its answer
    milliseconds write_timeout{30000};     // for a client to take its answer
    std::vector<Network> trusted_proxies;  // whose X-Forwarded-For is believed
    milliseconds key_grace{60000};         // for keys verified before, while the database is down
    // Origins whose scripts may read the answers: "https://app.example.org"; "*": all.
    std::vector<std::string> cors_origins;
    std::size_t gzip_from = 4096;  // bytes of a body; 0: nothing is compressed
};

struct Admin {
    Endpoint listen{"127.0.0.1", 8003};
};

struct Wire {
    Endpoint listen{"127.0.0.1", 6433};
    std::string socket_directory;          // of a Unix socket to listen on too; empty: none
    Endpoint upstream{"127.0.0.1", 6432};  // or the directory of a Unix socket
    std::size_t max_connections = 10000;
    milliseconds startup_timeout{10000};  // from accept to the startup message
    milliseconds connect_timeout{5000};   // to the upstream
    milliseconds login_timeout{60000};    // from the startup message to the first ReadyForQuery
    // Clients that are waited for before they have logged in; past it the longest in coming goes.
    std::size_t max_startups = 2000;
    std::size_t max_cancels = 100;  // cancel requests being forwarded at one time
    std::string tls = "off";        // of clients on TCP: off, allow, require
    std::string tls_cert;           // files in PEM
    std::string tls_key;
    std::string upstream_tls = "disable";  // as libpq's sslmode: disable, prefer, require, verify-…
    std::string upstream_ca;               // a file in PEM; empty: the system's authorities
    std::string upstream_name;             // that its certificate must have; empty: its host
    // Load balancers: a connection from there must begin with a header of the PROXY protocol.
    std::vector<Network> proxy_protocol;
};

// The pool of the HTTP door, to pgbouncer.
struct Database {
    std::string conninfo = "host=127.0.0.1 port=6432 dbname=muster user=muster_app";
    std::size_t pool_size = 10;     // connections per thread
    std::size_t pool_queue = 1000;  // requests waiting for a connection, per thread
    milliseconds connect_timeout{2000};
};

// The relay's own session, straight to PostgreSQL.
struct Relay {
    bool enabled = true;
    std::string conninfo = "host=127.0.0.1 port=6431 dbname=muster user=muster_relay_login";
    milliseconds poll_busy{2};
    milliseconds poll_idle{50};
    std::string channel = "l01:events";
    std::string heartbeat_channel = "l01:heartbeat";
    std::string stream = "l01:events:stream";
    std::uint64_t stream_length = 100000;  // entries kept, approximately
    // The bounds of the outbox: past either, a quarter of it goes, published or not.
    std::uint64_t outbox_rows = 1000000;
    milliseconds outbox_age{24 * 3600 * 1000};
    bool notify = true;  // LISTENers on muster_events, too
};

struct Redis {
    Endpoint address{"127.0.0.1", 6430};
    std::string username;
    std::string password_file;  // empty: no AUTH
    milliseconds connect_timeout{2000};
    milliseconds command_timeout{2000};
};

// Tokens a second, and how many may be used at once; a request costs its route's `cost`.
struct Limits {
    struct Quota {
        std::uint32_t rate;
        std::uint32_t burst;
        bool operator==(const Quota&) const = default;
    };
    bool enabled = true;
    Quota standard{100, 100};   // of an API key, by its tier
    Quota premium{1000, 1000};  // likewise
    Quota address{10, 100};     // of an address, for requests without a valid key
    bool operator==(const Limits&) const = default;
};

// Answers that are kept. Needs the relay of some proxy, and Redis.
struct Cache {
    bool enabled = true;
    std::size_t l1_bytes = 64 * 1024 * 1024;  // in this process
    bool l2 = true;                           // in Redis too
    milliseconds l2_timeout{20};              // what a read waits for Redis at most
    milliseconds negative_ttl{2000};          // of "there is no such thing"
    // How long past its rule an answer may stand in for the database while its breaker is open.
    milliseconds stale_if_error{60000};
};

// The circuit breakers: of the database, of each route, and of Redis.
struct Breaker {
    std::uint32_t failures = 5;   // in a row open it; 0: none does
    milliseconds open_time{250};  // until a call is let through to see
    milliseconds ramp{500};       // from a tenth of the calls to all, once one has succeeded
};

// Live updates: WebSocket and Server-Sent Events. Need the relay of some proxy, and Redis.
struct Push {
    bool enabled = true;
    std::size_t max_clients = 5000;            // of all threads together
    std::size_t queue_messages = 4096;         // that may wait for one client; past either bound
    std::size_t queue_bytes = 1024 * 1024;     // it is told where to resume, and disconnected
    milliseconds heartbeat{15000};             // at least so often something is sent
    std::vector<std::string> allowed_origins;  // beside the same origin; "*": all
};

// What is timed, and who is told.
struct Timing {
    bool enabled = true;               // off: no clock is read for it, and nothing kept
    milliseconds slow_query{100};      // from there on a query has its line in the slow-query log
    std::uint32_t slow_lines = 100;    // a second; what is above is counted, not written
    std::size_t top_statements = 100;  // of the wire door, with labels of their own in the metrics
    std::string server_timing = "on-request";
};

// The console of the pgbouncer that `database` connects to.
struct Pgbouncer {
    std::string conninfo;         // to its database "pgbouncer", as one of stats_users; empty: none
    milliseconds interval{5000};  // between two looks at its figures
};

// One `[[route]]`: an HTTP method and path answered by one SQL function call.
struct Route {
    struct Parameter {
        enum class Type { text, integer, boolean, uuid };
        Type type = Type::text;
        std::optional<std::int64_t> min;
        std::optional<std::int64_t> max;
        std::vector<std::string> values;  // allowed values; empty: any
    };
    // What caches know a change by: "agents", or "agents:" followed by a parameter's value.
    struct Tag {
        std::string text;       // all of it, or what stands before the value
        std::string parameter;  // empty: none
    };
    struct Caching {
        milliseconds ttl{0};
        std::vector<Tag> tags;
        std::map<std::string, std::vector<Tag>> include_tags;  // by a word of parameter "include"
    };
    std::string name;               // query_name in metrics and logs
    std::string method;             // "GET"
    std::string path;               // "/agents/{id}"
    std::vector<Segment> segments;  // `path`, taken apart
    std::string call;               // "muster.agent_json(id => $id::uuid)"
    Call compiled;                  // `call` with positional parameters
    std::map<std::string, Parameter> params;
    std::optional<Caching> cache;  // GET only
    std::vector<Tag> writes;       // what a call of it changes
    bool idempotent = false;       // an Idempotency-Key has it carried out once
    unsigned success = 200;
    std::optional<milliseconds> slow;  // in place of timing.slow_query
    std::uint32_t cost = 1;            // tokens of its sender's quota
    int line = 0;                      // of the route in its file, for messages
};

struct Log {
    std::string level = "info";
    std::string access = "off";         // a file's path, "stderr" or "off"
    std::string slow_query = "stderr";  // a file's path, "stderr" or "off"
};

struct Config {
    std::string file;
    unsigned threads = 0;                  // 0: one per core
    milliseconds shutdown_timeout{10000};  // for requests in hand to end after SIGTERM
    Http http;
    Admin admin;
    Wire wire;
    Database database;
    Relay relay;
    Redis redis;
    Limits limits;
    Cache cache;
    Breaker breaker;
    Push push;
    Timing timing;
    Pgbouncer pgbouncer;
    Log log;
    std::vector<Route> routes;
};

}  // namespace muster::config
