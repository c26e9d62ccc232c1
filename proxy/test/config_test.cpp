// The configuration room: values and refusals of the loader, the call compiler, path templates.
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <vector>

#include "config_file.hpp"
#include "config/load.hpp"
#include "config/reload.hpp"
#include "config/settings.hpp"

using namespace muster::config;
using namespace muster::test;

namespace {

std::string sql_of(const std::string& call) {
    const auto compiled = compile_call(call);
    if (!compiled) {
        BOOST_FAIL(compiled.error());
    }
    return compiled.value().sql;
}

void call_refused(const std::string& call, const std::string& word) {
    const auto compiled = compile_call(call);
    BOOST_REQUIRE_MESSAGE(!compiled, "accepted: " << call);
    BOOST_CHECK_MESSAGE(compiled.error().find(word) != std::string::npos, compiled.error());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(loading)

BOOST_AUTO_TEST_CASE(the_shipped_file_is_accepted_and_states_the_defaults) {
    const auto shipped = load(MUSTER_SOURCE_DIR "/deploy/proxy.toml", {});
    if (!shipped) {
        BOOST_FAIL(shipped.error().text());
    }
    const Config& config = shipped.value();
    const Config defaults;
    BOOST_TEST(config.routes.size() == 23U);
    Config stated = config;
    Config left_out;
    const auto given = settings(stated);
    const auto own = settings(left_out);
    for (std::size_t i = 0; i < own.size(); ++i) {
        BOOST_TEST(shown(given[i].access.read()) == shown(own[i].access.read()), own[i].name());
    }
}

// What a reload does with a setting that only a restart can change.
BOOST_AUTO_TEST_CASE(every_setting_takes_the_value_that_it_gives) {
    Config config;
    config.http.trusted_proxies = *parse_networks("10.0.0.0/8, ::1");
    config.http.cors_origins = {"https://a.example", "http://[::1]:3000"};
    config.http.listen = {"::1", 80};
    Config other;
    const auto from = settings(config);
    const auto to = settings(other);
    for (std::size_t i = 0; i < from.size(); ++i) {
        BOOST_TEST(to[i].access.store(from[i].access.read()).value_or("") == "", to[i].name());
        BOOST_TEST(shown(to[i].access.read()) == shown(from[i].access.read()), to[i].name());
    }
    BOOST_TEST(other.http.listen.host == "::1");
    BOOST_TEST(other.http.trusted_proxies.size() == 2U);
}

BOOST_AUTO_TEST_CASE(what_needs_a_restart_is_kept_and_named) {
    Config running;
    Config wanted;
    wanted.http.listen.port = 1;
    wanted.threads = 7;
    wanted.relay.stream = "other";
    wanted.http.max_connections = 5;
    wanted.limits.standard.rate = 5;
    wanted.database.pool_size = 5;
    wanted.cache.negative_ttl = milliseconds(5);
    wanted.log.level = "debug";
    const auto kept = keep_what_needs_restart(wanted, running);
    const std::vector<std::string> expected{"threads", "http.listen", "relay.stream"};
    BOOST_TEST(kept == expected, boost::test_tools::per_element());
    BOOST_TEST(wanted.threads == 0U);
    BOOST_TEST(wanted.http.listen.port == 8002);
    BOOST_TEST(wanted.http.max_connections == 5U);
    BOOST_TEST(wanted.database.pool_size == 5U);
    BOOST_TEST(wanted.log.level == "debug");
}

BOOST_AUTO_TEST_CASE(what_is_told_of_times) {
    const Config config = accepted(
        "[timing]\nslow_query = \"0ms\"\nserver_timing = \"always\"\n"
        "[log]\nslow_query = \"/var/log/slow.json\"\n" +
        route("name = \"r\"\nmatch = \"GET /a\"\ncall = \"f()\"\nslow = \"2s\"\n"));
    BOOST_TEST((config.timing.slow_query == milliseconds(0)));
    BOOST_TEST(config.log.slow_query == "/var/log/slow.json");
    BOOST_TEST((config.routes.at(0).slow == milliseconds(2000)));
    refused("[timing]\nserver_timing = \"sometimes\"\n", 2, {"off, on-request, always"});
    refused("[timing]\nslow_query = 100\n", 2, {"timing.slow_query", "250ms"});
    refused("[timing]\nslow_lines = 0\n", 2, {"timing.slow_lines", "from 1"});
    refused("[timing]\ntop_statements = 1001\n", 2, {"timing.top_statements", "from 0 to 1000"});
    refused("[wire]\nproxy_protocol = \"10.0.0.0/33\"\n", 2, {"wire.proxy_protocol", "networks"});
    refused("[log]\nslow_query = \"\"\n", 2, {"log.slow_query", "stderr"});
    refused("[pgbouncer]\ninterval = \"1ms\"\n", 2, {"pgbouncer.interval", "from 100ms"});
    for (const char* slow : {"5", "\"often\"", "\"25h\""}) {
        refused(route("name = \"r\"\nmatch = \"GET /a\"\ncall = \"f()\"\nslow = ") + slow + "\n", 5,
                {"slow must be a duration"});
    }
}

BOOST_AUTO_TEST_CASE(values_are_read_with_their_units) {
    const Config config = accepted(
        "threads = 3\n"
        "[http]\n"
        "listen = \"[::1]:9000\"\n"
        "max_body_bytes = \"2MiB\"\n"
        "max_header_bytes = 4096\n"
        "idle_timeout = \"250ms\"\n"
        "read_timeout = \"2min\"\n"
        "[relay]\n"
        "enabled = false\n");
    BOOST_TEST(config.threads == 3U);
    BOOST_TEST(config.http.listen.host == "::1");
    BOOST_TEST(config.http.listen.port == 9000);
    BOOST_TEST(config.http.max_body_bytes == 2U * 1024 * 1024);
    BOOST_TEST(config.http.max_header_bytes == 4096U);
    BOOST_TEST(config.http.idle_timeout.count() == 250);
    BOOST_TEST(config.http.read_timeout.count() == 120000);
    BOOST_TEST(!config.relay.enabled);
}

BOOST_AUTO_TEST_CASE(overrides_win_and_are_typed_by_their_setting) {
    const Config config =
        accepted("[http]\nlisten = \"127.0.0.1:1\"\n",
                 {"http.listen=127.0.0.1:0", "http.idle_timeout=7s", "threads=2",
                  "database.conninfo=host=/run dbname=a=b", "relay.enabled=false",
                  "database.pool_size=4", "http.max_body_bytes=16KiB", "redis.username=1"});
    BOOST_TEST(config.http.listen.port == 0);
    BOOST_TEST(config.http.idle_timeout.count() == 7000);
    BOOST_TEST(config.threads == 2U);
    BOOST_TEST(config.database.conninfo == "host=/run dbname=a=b");
    BOOST_TEST(!config.relay.enabled);
    BOOST_TEST(config.database.pool_size == 4U);
    BOOST_TEST(config.http.max_body_bytes == 16384U);
    BOOST_TEST(config.redis.username == "1");
}

BOOST_AUTO_TEST_CASE(wrong_overrides_name_the_setting_and_what_is_allowed) {
    override_refused("http.listen", {"--set http.listen", "section.key=value"});
    override_refused("http.nothing=1", {"--set http.nothing", "unknown", "http.listen"});
    override_refused("database.pool_size=many", {"database.pool_size", "\"many\"", "1 to 1000"});
    override_refused("http.idle_timeout=5", {"http.idle_timeout", "duration", "not 5"});
    override_refused("wire.tls=allow", {"tls", "wire.tls_cert and wire.tls_key"});
    override_refused("wire.tls=on", {"wire.tls", "off, allow, require"});
    override_refused("wire.upstream_tls=verify",
                     {"disable, prefer, require, verify-ca, verify-full"});
    override_refused("relay.poll_busy=1s", {"poll_busy", "poll_idle"});
}

BOOST_AUTO_TEST_CASE(a_file_that_is_not_there) {
    const auto config = load("/nonexistent/proxy.toml", {});
    BOOST_REQUIRE(!config);
    BOOST_TEST(config.error().text().find("/nonexistent/proxy.toml: cannot be read") == 0U);
}

BOOST_AUTO_TEST_CASE(wrong_settings_are_refused_with_their_line) {
    refused("threads = 1\n[http\n", 2, {});
    refused("threads = 1\nthreads = 2\n", 2, {"threads"});
    refused("\n[httpd]\nlisten = \"x:1\"\n", 2, {"\"httpd\"", "http", "[[route]]"});
    refused("[http]\nlisten = \"127.0.0.1:8002\"\nlissten = 1\n", 3,
            {"\"lissten\"", "[http]", "listen"});
    refused("[http]\nlisten = 8002\n", 2, {"http.listen", "8002", "host:port"});
    refused("[http]\nlisten = \"localhost:99999\"\n", 2, {"99999", "65535"});
    refused("[http]\nlisten = \"::1:80\"\n", 2, {"::1:80"});
    refused("[http]\nmax_headers = 0\n", 2, {"http.max_headers", "from 1 to", "not 0"});
    refused("[http]\nmax_headers = 1.5\n", 2, {"integer", "1.5"});
    refused("[http]\nmax_body_bytes = \"8MB\"\n", 2, {"8MB", "8MiB"});
    refused("[http]\nidle_timeout = 60\n", 2, {"duration", "not 60"});
    refused("[http]\nidle_timeout = \"60\"\n", 2, {"duration"});
    refused("[http]\nidle_timeout = \"99999999999999999999s\"\n", 2, {"duration"});
    refused("[http]\nidle_timeout = [\"60s\"]\n", 2, {"single value"});
    refused("[relay]\nenabled = \"yes\"\n", 2, {"relay.enabled", "true or false"});
    refused("[log]\nlevel = \"loud\"\n", 2, {"\"loud\"", "debug, info"});
    refused("http = 1\n", 1, {"[http]"});
    refused("route = 1\n", 1, {"[[route]]"});
    refused("threads = -1\n", 1, {"0 to 256"});
    refused("[limits]\nstandard_rate = 0\n", 2, {"limits.standard_rate", "from 1 to", "not 0"});
    refused("[limits]\nenabled = 1\n", 2, {"limits.enabled", "true or false"});
    for (const char* wrong : {"localhost", "10.0.0.0/33", "10.0.0.0/", "1.2.3.4,", "::1/129", ",",
                              "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0"}) {
        refused("[http]\ntrusted_proxies = \"" + std::string(wrong) + "\"\n", 2,
                {"http.trusted_proxies", "networks", wrong});
    }
}

BOOST_AUTO_TEST_CASE(networks_contain_the_addresses_of_their_prefix) {
    const auto within = [](const char* network, const char* address) {
        const auto networks = parse_networks(network);
        BOOST_REQUIRE(networks.has_value());
        const auto one = boost::asio::ip::make_address(address);
        return std::any_of(networks->begin(), networks->end(),
                           [&](const Network& n) { return n.contains(one); });
    };
    BOOST_TEST(within("10.0.0.0/8", "10.255.0.1"));
    BOOST_TEST(!within("10.0.0.0/8", "11.0.0.1"));
    BOOST_TEST(within("192.0.2.128/25", "192.0.2.200"));
    BOOST_TEST(!within("192.0.2.128/25", "192.0.2.127"));
    BOOST_TEST(within("192.0.2.1", "192.0.2.1"));
    BOOST_TEST(!within("192.0.2.1", "192.0.2.2"));
    BOOST_TEST(within("192.0.2.1", "::ffff:192.0.2.1"));
    BOOST_TEST(within("::ffff:192.0.2.1", "192.0.2.1"));
    BOOST_TEST(within("0.0.0.0/0", "1.2.3.4"));
    BOOST_TEST(!within("0.0.0.0/0", "::1"));
    BOOST_TEST(within("2001:db8::/33", "2001:db8:7fff::1"));
    BOOST_TEST(!within("2001:db8::/33", "2001:db8:8000::1"));
    BOOST_TEST(within(" 10.0.0.0/8 , ::1 ", "::1"));
    BOOST_TEST(!within("", "::1"));
}

BOOST_AUTO_TEST_CASE(a_refused_connection_string_is_not_shown) {
    const File file("[database]\nconninfo = 12345678\n");
    const auto config = load(file.path(), {});
    BOOST_REQUIRE(!config);
    BOOST_TEST(config.error().text().find("12345678") == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(routes)

BOOST_AUTO_TEST_CASE(a_route_is_read) {
    const Config config = accepted(
        "threads = 1\n\n[[route]]\nname = \"r\"\nmatch = \"PUT /a/{id}/b/\"\n"
        "params = { n = { type = \"int\", min = -1, max = 5 }, v = { values = [\"x\", \"y\"] } }\n"
        "call = \"f($id, $n::int, $v, $other, $body::jsonb)\"\nsuccess = 202\ncost = 7\n");
    BOOST_REQUIRE(config.routes.size() == 1U);
    const Route& r = config.routes.front();
    BOOST_TEST(r.line == 3);
    BOOST_TEST(r.method == "PUT");
    BOOST_TEST(r.segments.size() == 3U);
    BOOST_TEST(r.segments[1].parameter);
    BOOST_TEST(r.compiled.sql == "f($1, $2::int, $3, $4, $5::jsonb)");
    BOOST_TEST(r.compiled.parameters.size() == 5U);
    BOOST_TEST((r.compiled.parameters[4].body == CallParameter::Body::jsonb));
    BOOST_TEST(*r.params.at("n").min == -1);
    BOOST_TEST(*r.params.at("n").max == 5);
    BOOST_TEST(r.params.at("v").values.size() == 2U);
    BOOST_TEST(r.success == 202U);
    BOOST_TEST(r.cost == 7U);
    BOOST_TEST(r.idempotent);
}

BOOST_AUTO_TEST_CASE(writes_are_idempotent_unless_told_otherwise) {
    const std::string name = "name = \"r\"\n";
    const auto idempotent = [&](const std::string& rest) {
        return accepted(route(name + rest)).routes.front().idempotent;
    };
    const std::string write = "match = \"POST /a\"\ncall = \"f()\"\n";
    const std::string read = "match = \"GET /a\"\ncall = \"f()\"\n";
    BOOST_TEST(idempotent(write));
    BOOST_TEST(idempotent(write + "idempotent = true\n"));
    BOOST_TEST(!idempotent(write + "idempotent = false\n"));
    BOOST_TEST(!idempotent(read));
    BOOST_TEST(!idempotent(read + "idempotent = false\n"));
    refused(route(name + read + "idempotent = true\n"), 5, {"idempotent", "GET"});
    refused(route(name + write + "idempotent = 1\n"), 5, {"idempotent", "true or false"});
}

BOOST_AUTO_TEST_CASE(wrong_routes_are_refused_with_their_line) {
    const std::string name = "name = \"r\"\n";
    const std::string match = "match = \"GET /a/{id}\"\n";
    const std::string call = "call = \"f($id)\"\n";
    accepted(route(name + match + call));
    refused(route(match + call), 1, {"\"name\""});
    refused(route(name + call), 1, {"\"match\""});
    refused(route(name + match), 1, {"\"call\""});
    refused(route(name + match + call + "cash = 1\n"), 5, {"\"cash\"", "success"});
    refused(route(name + match + call + "cost = 0\n"), 5, {"cost", "from 1"});
    refused(route(name + match + call + "cost = 101\n"), 1, {"\"r\"", "cost 101", "burst", "100"});
    accepted(route(name + match + call + "cost = 101\n"), {"limits.standard_burst=101"});
    accepted(route(name + match + call + "cost = 101\n"), {"limits.enabled=false"});
    refused(route("name = \"a-b\"\n" + match + call), 2, {"\"a-b\""});
    refused(route("name = 3\n" + match + call), 2, {"name"});
    refused(route(name + "match = \"FETCH /a\"\n" + call), 3, {"FETCH", "PATCH"});
    refused(route(name + "match = \"/a\"\n" + call), 3, {"METHOD /path"});
    refused(route(name + "match = \"GET a\"\n" + call), 3, {"slash"});
    refused(route(name + "match = \"GET /a//b\"\n" + call), 3, {"empty segment"});
    refused(route(name + "match = \"GET /a/x{id}\"\n" + call), 3, {"x{id}"});
    refused(route(name + "match = \"GET /a/{i d}\"\n" + call), 3, {"i d"});
    refused(route(name + "match = \"GET /a/{id}/{id}\"\n" + call), 3, {"{id} twice"});
    refused(route(name + "match = \"GET /a/{key}\"\n" + call), 3, {"{key}", "reserved"});
    refused(route(name + "match = \"GET /\"\n" + "call = \"f()\"\n"), 3, {"itself"});
    refused(route(name + "match = \"GET /health/live/\"\n" + "call = \"f()\"\n"), 3, {"itself"});
    refused(route(name + "match = \"GET /openapi.json\"\n" + "call = \"f()\"\n"), 3, {"itself"});
    for (const std::string taken : {"GET /ws", "POST /events/stream/", "PUT /tickets"}) {
        const std::string text = route(name + "match = \"" + taken + "\"\ncall = \"f()\"\n");
        refused(text, 1, {"\"r\"", taken.substr(taken.find('/')), "push.enabled"});
        accepted(text, {"push.enabled=false"});
    }
    accepted(route(name + "match = \"GET /events/{id}\"\ncall = \"f($id)\"\n"));
    refused(route(name + match + "call = \"f()\"\n"), 4, {"$id"});
    refused(route(name + match + "call = \"f($id, $body::json)\"\n"), 4, {"$body", "GET"});
    refused(route(name + match + "call = \"f($id, $key)\"\n"), 4, {"$key", "reserved"});
    refused(route(name + match + "call = \"f($id\"\n"), 4, {"parenthesis"});
    refused(route(name + match + call + "params = 1\n"), 5, {"params"});
    refused(route(name + match + call + "params = { n = { type = \"int\" } }\n"), 5, {"\"n\""});
    refused(route(name + match + call + "params = { id = 1 }\n"), 5, {"\"id\""});
    refused(route(name + match + call + "params = { id = { type = \"real\" } }\n"), 5, {"real"});
    refused(route(name + match + call + "params = { id = { tipe = \"int\" } }\n"), 5, {"tipe"});
    refused(route(name + match + call + "params = { id = { min = 1 } }\n"), 5, {"min"});
    refused(route(name + match + call + "params = { id = { type = \"int\", min = 2, max = 1 } }\n"),
            5, {"min 2 above max 1"});
    refused(route(name + match + call + "params = { id = { values = [1] } }\n"), 5, {"values"});
    refused(route(name + match + call + "success = 404\n"), 5, {"200 to 299"});
}

BOOST_AUTO_TEST_CASE(routes_that_clash_are_refused) {
    const std::string first = route("name = \"a\"\nmatch = \"GET /x/{id}\"\ncall = \"f($id)\"\n");
    refused(first + route("name = \"a\"\nmatch = \"GET /y\"\ncall = \"f()\"\n"), 5,
            {"\"a\"", "line 1"});
    refused(first + route("name = \"b\"\nmatch = \"GET /x/{other}/\"\ncall = \"f($other)\"\n"), 5,
            {"GET /x/{other}/", "\"a\"", "line 1"});
    accepted(first + route("name = \"b\"\nmatch = \"PUT /x/{other}\"\ncall = \"f($other)\"\n"));
    accepted(first + route("name = \"b\"\nmatch = \"GET /x/word\"\ncall = \"f()\"\n"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(calls)

BOOST_AUTO_TEST_CASE(names_become_positions_and_the_same_name_the_same_one) {
    BOOST_TEST(sql_of("f($a, $b::int, $a)") == "f($1, $2::int, $1)");
    BOOST_TEST(sql_of("f(a=>$a_1,b=>$B)") == "f(a=>$1,b=>$2)");
    BOOST_TEST(sql_of("  s.f()  ") == "s.f()");
    BOOST_TEST(sql_of("\"F\"($x)") == "\"F\"($1)");
}

BOOST_AUTO_TEST_CASE(what_only_looks_like_a_name_is_left_alone) {
    BOOST_TEST(sql_of("f('$a', $b)") == "f('$a', $1)");
    BOOST_TEST(sql_of("f('it''s $a', $b)") == "f('it''s $a', $1)");
    BOOST_TEST(sql_of("f(E'it\\'s $a', $b)") == "f(E'it\\'s $a', $1)");
    BOOST_TEST(sql_of("f('back\\', $b)") == "f('back\\', $1)");
    BOOST_TEST(sql_of("f(\"$a\" => $b)") == "f(\"$a\" => $1)");
    BOOST_TEST(sql_of("f($$ $a $$, $b)") == "f($$ $a $$, $1)");
    BOOST_TEST(sql_of("f($t$ $a $$ $t$, $b)") == "f($t$ $a $$ $t$, $1)");
    BOOST_TEST(sql_of("f(a$b, $c)") == "f(a$b, $1)");
    BOOST_TEST(sql_of("f(1e5, $c)") == "f(1e5, $1)");
    BOOST_TEST(sql_of("f(/* $a /* $b */ $c */ $d)") == "f(  $1)");
    BOOST_TEST(sql_of("f($a) -- $b") == "f($1)");
    BOOST_TEST(sql_of("f( -- ) $b\n$a)") == "f(  \n$1)");
}

BOOST_AUTO_TEST_CASE(the_body_is_bound_with_its_cast) {
    const auto body = [](const std::string& call) {
        const auto compiled = compile_call(call);
        if (!compiled) {
            BOOST_FAIL(compiled.error());
        }
        return compiled.value().parameters.front().body;
    };
    BOOST_TEST((body("f($body::json)") == CallParameter::Body::json));
    BOOST_TEST((body("f($body :: JSONB)") == CallParameter::Body::jsonb));
    BOOST_TEST((body("f($body::text)") == CallParameter::Body::text));
    BOOST_TEST((body("f($body::bytea)") == CallParameter::Body::bytea));
    BOOST_TEST((body("f($id, $body::json)") == CallParameter::Body::none));
    call_refused("f($body)", "must be cast");
    call_refused("f($body::int)", "must be cast");
    call_refused("f($body::json, $body::jsonb)", "two different types");
}

BOOST_AUTO_TEST_CASE(broken_calls_are_refused) {
    call_refused("", "function call");
    call_refused("now", "function call");
    call_refused("(select 1)", "function call");
    call_refused("f() where true", "function call");
    call_refused("f())", "unmatched");
    call_refused("f((1)", "unclosed");
    call_refused("f(); drop table x", "semicolon");
    call_refused("f($1)", "positional");
    call_refused("f($)", "names no parameter");
    call_refused("f('x)", "unterminated string");
    call_refused("f(E'x\\')", "unterminated string");
    call_refused("f(\"x)", "unterminated quoted identifier");
    call_refused("f(/* x)", "unterminated comment");
    call_refused("f($$ x)", "unterminated dollar");
    call_refused("f($a$ x $b$)", "unterminated dollar");
}

BOOST_AUTO_TEST_SUITE_END()
