// The pure parts of the HTTP room: targets, routing, bindings, problems, columns, JSON strings.
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <string>
#include <vector>

#include "http/binding.hpp"
#include "http/cache_plan.hpp"
#include "http/client_address.hpp"
#include "runtime/json.hpp"
#include "http/key_table.hpp"
#include "http/keys.hpp"
#include "http/limit_headers.hpp"
#include "http/problem.hpp"
#include "http/route_check.hpp"
#include "http/router.hpp"
#include "http/url.hpp"

using namespace muster;
using namespace muster::http;

namespace {

Target target_of(std::string_view text) {
    auto target = parse_target(text);
    if (!target) {
        BOOST_FAIL(target.error().detail);
    }
    return std::move(target).value();
}

unsigned refused_target(std::string_view text) {
    const auto target = parse_target(text);
    return target ? 0 : target.error().status;
}

config::Route route(const std::string& method, const std::string& path, const std::string& call) {
    config::Route made;
    made.name = path;
    made.method = method;
    made.path = path;
    auto segments = config::parse_path(path);
    auto compiled = config::compile_call(call);
    if (!segments || !compiled) {
        BOOST_FAIL("wrong test route");
    }
    made.segments = std::move(segments).value();
    made.compiled = std::move(compiled).value();
    return made;
}

std::string json_of(std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(targets)

BOOST_AUTO_TEST_CASE(paths_are_split_and_then_decoded) {
    const Target target = target_of("/a%20b/c%2Fd/%41/");
    BOOST_REQUIRE(target.segments.size() == 3U);
    BOOST_TEST(target.segments[0] == "a b");
    BOOST_TEST(target.segments[1] == "c/d");
    BOOST_TEST(target.segments[2] == "A");
    BOOST_TEST(target.trailing_slash);
    BOOST_TEST(target_of("/").segments.empty());
    BOOST_TEST(!target_of("/a").trailing_slash);
    BOOST_TEST(target_of("/a//b").segments.size() == 3U);
    BOOST_TEST(target_of("/a+b").segments[0] == "a+b");
    BOOST_TEST(target_of("http://host:1/x?y=1").segments[0] == "x");
}

BOOST_AUTO_TEST_CASE(queries_are_decoded_and_the_last_of_a_name_counts) {
    const Target target = target_of("/x?a=1&b=x+y%2B&a=2&&c&d=&%65=%3D");
    BOOST_TEST(*target.find("a") == "2");
    BOOST_TEST(*target.find("b") == "x y+");
    BOOST_TEST(*target.find("c") == "");
    BOOST_TEST(*target.find("d") == "");
    BOOST_TEST(*target.find("e") == "=");
    BOOST_TEST((target.find("f") == nullptr));
}

BOOST_AUTO_TEST_CASE(what_no_value_may_have_is_refused) {
    BOOST_TEST(refused_target("/a%00b") == 422U);
    BOOST_TEST(refused_target("/a?x=%00") == 422U);
    BOOST_TEST(refused_target("/a?%00=x") == 422U);
    for (const char* bad : {"/%", "/%4", "/%4g", "/a?x=%zz", "/a?%=1", "*", "", "a", "http://host",
                            "http://host?x", "/a#b"}) {
        BOOST_TEST(refused_target(bad) == 400U, bad);
    }
}

BOOST_AUTO_TEST_CASE(the_next_page_keeps_the_query_but_not_the_position) {
    BOOST_TEST(next_page(target_of("/a%20b/?x=%3C%3E&after=old&offset=5&limit=2"), "c/d=") ==
               "/a%20b/?x=%3C%3E&limit=2&after=c%2Fd%3D");
    BOOST_TEST(next_page(target_of("/a"), "1") == "/a?after=1");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(routing)

BOOST_AUTO_TEST_CASE(fixed_words_win_for_good) {
    const std::vector<config::Route> routes{
        route("GET", "/tools/", "f()"),
        route("GET", "/tools/{id}", "f($id)"),
        route("PATCH", "/tools/{id}", "f($id)"),
        route("GET", "/tools/executions", "f()"),
        route("PATCH", "/tools/executions/{invocation}", "f($invocation)"),
        route("GET", "/tools/executions/by-invocation/{invocation}", "f($invocation)"),
        route("POST", "/tools/tool-executions", "f()"),
    };
    const Router router(routes);
    const auto match = [&](const char* method, const char* path) {
        static Target target;  // the match's values point into it
        target = target_of(path);
        return router.match(method, target.segments);
    };
    using Kind = Router::Match::Kind;
    BOOST_TEST(match("GET", "/tools").route == 0U);
    BOOST_TEST(match("GET", "/tools/").route == 0U);
    BOOST_TEST(match("HEAD", "/tools/").route == 0U);
    BOOST_TEST(match("GET", "/tools/7").route == 1U);
    BOOST_TEST(match("GET", "/tools/7").values.at(0) == "7");
    BOOST_TEST(match("PATCH", "/tools/7/").route == 2U);
    BOOST_TEST(match("GET", "/tools/executions/").route == 3U);
    BOOST_TEST(match("GET", "/tools/%65xecutions").route == 3U);
    BOOST_TEST(match("GET", "/tools/executions/by-invocation/x").route == 5U);
    BOOST_TEST(match("GET", "/tools/executions/by-invocation/x").values.at(0) == "x");

    BOOST_TEST((match("PATCH", "/tools/executions").kind == Kind::no_method));
    BOOST_TEST(match("PATCH", "/tools/executions").allow == "GET, HEAD");
    BOOST_TEST((match("GET", "/tools/tool-executions").kind == Kind::no_method));
    BOOST_TEST(match("GET", "/tools/tool-executions").allow == "POST");
    BOOST_TEST(match("DELETE", "/tools/7").allow == "GET, HEAD, PATCH");
    BOOST_TEST((match("GET", "/tools/executions/by-invocation").kind == Kind::no_path));
    BOOST_TEST((match("GET", "/tools//").kind == Kind::no_path));
    BOOST_TEST((match("GET", "/tools/7/8").kind == Kind::no_path));
    BOOST_TEST((match("GET", "/nothing").kind == Kind::no_path));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(bindings)

BOOST_AUTO_TEST_CASE(parameters_come_from_path_query_and_body) {
    const BoundCall call(route("PATCH", "/x/{id}/{other}", "f($q, $other, $body::jsonb, $id, $q)"));
    BOOST_TEST(call.sql() == "select r.* from f($1, $2, $3::jsonb, $4, $1) r");
    BOOST_TEST(call.needs_body());
    std::string body = "{}";
    const Target target = target_of("/x/1/2?unknown=5&id=9");
    const auto bound = call.bind({"1", "2"}, target, body);
    BOOST_REQUIRE(bound.has_value());
    BOOST_TEST(!bound.value()[0].value);
    BOOST_TEST(*bound.value()[1].value == "2");
    BOOST_TEST(*bound.value()[2].value == "\1{}");
    BOOST_TEST(bound.value()[2].binary);
    BOOST_TEST(bound.value()[2].type == 3802U);
    BOOST_TEST(*bound.value()[3].value == "1");
}

BOOST_AUTO_TEST_CASE(values_are_checked_by_type) {
    using Type = config::Route::Parameter::Type;
    const auto refusal = [](const config::Route::Parameter& check, std::string value) {
        return check_value(check, value).value_or("");
    };
    config::Route::Parameter limit;
    limit.type = Type::integer;
    limit.min = 1;
    limit.max = 1000;
    for (const char* good : {"1", "1000", "007"}) {
        BOOST_TEST(refusal(limit, good).empty(), good);
    }
    for (const char* bad :
         {"0", "1001", "-1", "", " 1", "1 ", "1.0", "x", "99999999999999999999"}) {
        BOOST_TEST(refusal(limit, bad) == "an integer from 1 to 1000", bad);
    }
    config::Route::Parameter offset;
    offset.type = Type::integer;
    offset.min = 0;
    BOOST_TEST(refusal(offset, "-1") == "an integer of at least 0");
    config::Route::Parameter flag;
    flag.type = Type::boolean;
    for (const char* good : {"true", "True", "1"}) {
        std::string value = good;
        BOOST_TEST(!check_value(flag, value));
        BOOST_TEST(value == "true");
    }
    BOOST_TEST(refusal(flag, "yes") == "one of true, false, True, False, 1, 0");
    config::Route::Parameter uuid;
    uuid.type = Type::uuid;
    BOOST_TEST(refusal(uuid, "257cd039-666b-4909-babb-10c46f996c2e").empty());
    BOOST_TEST(refusal(uuid, "257CD039666B4909BABB10C46F996C2E").empty());
    for (const char* bad : {"", "257cd039", "257cd039-666b-4909-babb-10c46f996c2g",
                            "257cd039-666b-4909-babb10c46f996c2e-"}) {
        BOOST_TEST(refusal(uuid, bad) == "a uuid", bad);
    }
    config::Route::Parameter word;
    word.values = {"a", "b"};
    BOOST_TEST(refusal(word, "b").empty());
    BOOST_TEST(refusal(word, "c") == "one of a, b");
}

BOOST_AUTO_TEST_CASE(a_refused_value_is_named_with_what_is_allowed) {
    config::Route made = route("GET", "/x", "f($limit::int)");
    made.params["limit"].type = config::Route::Parameter::Type::integer;
    made.params["limit"].max = 10;
    std::string body;
    const Target target = target_of("/x?limit=11");
    const auto bound = BoundCall(made).bind({}, target, body);
    BOOST_REQUIRE(!bound.has_value());
    BOOST_TEST(bound.error().status == 422U);
    BOOST_TEST(bound.error().detail == "limit must be an integer of at most 10, not \"11\"");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(problems)

BOOST_AUTO_TEST_CASE(sqlstates_map_to_statuses) {
    const std::vector<std::pair<const char*, unsigned>> expected{
        {"22023", 422}, {"22P02", 422}, {"23502", 422}, {"23514", 422}, {"23505", 409},
        {"23503", 409}, {"P0002", 404}, {"42501", 403}, {"54000", 413}, {"54023", 413},
        {"57014", 504}, {"40001", 503}, {"40P01", 503}, {"55P03", 503}, {"25006", 503},
        {"53300", 503}, {"08006", 503}, {"57P01", 503}, {"57P03", 503}, {"P0001", 500},
        {"42883", 500}, {"23000", 500}, {"XX000", 500}, {"", 500},
    };
    for (const auto& [sqlstate, status] : expected) {
        BOOST_TEST(status_of(sqlstate) == status, sqlstate);
    }
}

BOOST_AUTO_TEST_CASE(the_servers_words_are_passed_on_only_about_the_request) {
    postgres::Error error;
    error.message = "secret message";
    error.detail = "secret detail";
    error.hint = "secret hint";
    for (const char* sqlstate : {"XX000", "42883", "57P01", "08006", "40P01", "57014"}) {
        error.sqlstate = sqlstate;
        const std::string text = respond(problem_of(error, true)).text;
        BOOST_TEST(text.find("secret") == std::string::npos, text);
        BOOST_TEST(text.find(sqlstate) != std::string::npos, text);
    }
    error.sqlstate = "23505";
    BOOST_TEST(problem_of(error, true).detail == "secret message: secret detail");
    error.sqlstate = "23514";
    BOOST_TEST(problem_of(error, true).detail == "secret message");
    BOOST_TEST(problem_of(error, true).hint == "secret hint");
}

BOOST_AUTO_TEST_CASE(a_problem_is_a_document_of_rfc_9457) {
    const Response response = respond(Problem{503, "a \"b\"\n", "57P01", "later"});
    BOOST_TEST(response.content_type == "application/problem+json");
    BOOST_TEST(response.text ==
               R"({"type":"about:blank","title":"Service Unavailable","status":503,)"
               R"("detail":"a \"b\"\n","sqlstate":"57P01","hint":"later"})");
    BOOST_REQUIRE(response.headers.size() == 1U);
    BOOST_TEST(response.headers[0].first == "Retry-After");
}

BOOST_AUTO_TEST_CASE(json_strings_are_escaped_and_always_utf8) {
    BOOST_TEST(json_of("a\"\\\n\t\x7f") == "\"a\\\"\\\\\\n\\u0009\\u007f\"");
    BOOST_TEST(json_of("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80") ==
               "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
    const std::string bad = "\xef\xbf\xbd";
    BOOST_TEST(json_of("\xff") == '"' + bad + '"');
    BOOST_TEST(json_of("\xc0\x80") == '"' + bad + bad + '"');            // overlong
    BOOST_TEST(json_of("\xed\xa0\x80") == '"' + bad + bad + bad + '"');  // surrogate
    BOOST_TEST(json_of("\xf4\x90\x80\x80") == '"' + bad + bad + bad + bad + '"');
    BOOST_TEST(json_of("\xe2\x82") == '"' + bad + bad + '"');  // cut off
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(limits)

BOOST_AUTO_TEST_CASE(forwarded_addresses_are_read_from_the_right) {
    const auto trusted = config::parse_networks("127.0.0.1, 10.0.0.0/8, 2001:db8::/32");
    BOOST_REQUIRE(trusted.has_value());
    const auto client = [&](const char* peer, const std::vector<std::string_view>& forwarded) {
        return client_address(net::ip::make_address(peer), forwarded, *trusted).to_string();
    };
    BOOST_TEST(client("192.0.2.1", {}) == "192.0.2.1");
    BOOST_TEST(client("192.0.2.1", {"198.51.100.1"}) == "192.0.2.1");  // nobody we trust
    BOOST_TEST(client("127.0.0.1", {}) == "127.0.0.1");
    BOOST_TEST(client("127.0.0.1", {"198.51.100.1"}) == "198.51.100.1");
    BOOST_TEST(client("::ffff:127.0.0.1", {"198.51.100.1"}) == "198.51.100.1");
    BOOST_TEST(client("127.0.0.1", {"203.0.113.1, 198.51.100.1"}) == "198.51.100.1");
    BOOST_TEST(client("127.0.0.1", {"203.0.113.1 ,198.51.100.1,\t10.1.2.3 , 10.9.9.9"}) ==
               "198.51.100.1");
    BOOST_TEST(client("127.0.0.1", {"203.0.113.1", "198.51.100.1, 10.0.0.1", "10.0.0.2"}) ==
               "198.51.100.1");
    BOOST_TEST(client("127.0.0.1", {"10.0.0.1, 10.0.0.2"}) == "10.0.0.1");  // a client inside
    BOOST_TEST(client("127.0.0.1", {"198.51.100.1:4711"}) == "198.51.100.1");
    BOOST_TEST(client("127.0.0.1", {"[2a00::1]:4711"}) == "2a00::1");
    BOOST_TEST(client("127.0.0.1", {"[2a00::1]"}) == "2a00::1");
    BOOST_TEST(client("2001:db8::7", {"2a00::1"}) == "2a00::1");
    // Behind what cannot be read nothing is believed.
    for (const char* odd : {"198.51.100.1, unknown", "198.51.100.1,", "198.51.100.1, _hidden",
                            "198.51.100.1, [", "198.51.100.1, 1.2.3.4.5", "198.51.100.1, ,"}) {
        BOOST_TEST(client("127.0.0.1", {odd}) == "127.0.0.1", odd);
    }
    BOOST_TEST(client("127.0.0.1", {"198.51.100.1, x, 10.0.0.1"}) == "10.0.0.1");
    BOOST_TEST(client("127.0.0.1", {"", ""}) == "127.0.0.1");
}

BOOST_AUTO_TEST_CASE(a_verdict_is_told_in_headers_and_as_a_problem) {
    const limit::Policies policies{config::Limits{}};
    limit::Verdict verdict{&policies.premium, true, 17, 983'000'001, 0};
    const auto headers_of = [](const limit::Verdict& of) {
        Response response;
        add_limit_headers(response, of);
        std::string all;
        for (const auto& [name, value] : response.headers) {
            all += std::string(name) + ": " + value + "\n";
        }
        return all;
    };
    BOOST_TEST(headers_of(verdict) ==
               "RateLimit-Policy: \"premium\";q=1000;w=1\nRateLimit: \"premium\";r=17;t=1\n"
               "X-RateLimit-Limit: 1000\nX-RateLimit-Remaining: 17\nX-RateLimit-Reset: 1\n");
    verdict = {&policies.address, false, 0, 10'000'000'000, 1};
    BOOST_TEST(headers_of(verdict) ==
               "RateLimit-Policy: \"address\";q=100;w=10\nRateLimit: \"address\";r=0;t=10\n"
               "X-RateLimit-Limit: 100\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 10\n");
    const Response refused = too_many_requests(verdict);
    BOOST_TEST(refused.status == 429U);
    BOOST_TEST(refused.content_type == "application/problem+json");
    BOOST_REQUIRE(refused.headers.size() == 1U);
    BOOST_TEST(refused.headers[0].first == "Retry-After");
    BOOST_TEST(refused.headers[0].second == "1");
    BOOST_TEST(refused.text ==
               R"({"type":"https://iana.org/assignments/http-problem-types#quota-exceeded",)"
               R"("title":"Too Many Requests","status":429,"detail":"too many requests without )"
               R"(a valid API key come from this address; try again in 1 s",)"
               R"("violated-policies":["address"]})");
    verdict = {&policies.standard, false, 0, 0, 1'000'000'001};
    BOOST_TEST(too_many_requests(verdict).headers[0].second == "2");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_CASE(keys_are_known_by_their_sha256) {
    const Digest digest = digest_of("abc");  // FIPS 180-2, appendix B.1
    BOOST_TEST(digest[0] == 0xba);
    BOOST_TEST(digest[1] == 0x78);
    BOOST_TEST(digest[31] == 0xad);
}

BOOST_AUTO_TEST_CASE(a_key_is_remembered_until_it_is_heard_to_have_ended) {
    using namespace std::chrono_literals;
    const TimePoint asked = Clock::now();
    const Digest good = digest_of("good");
    const Digest bogus = digest_of("bogus");
    const auto owner = std::make_shared<const Owner>();
    KnownKeys keys(60s);
    keys.learn(good, owner, asked);
    keys.learn(bogus, nullptr, asked);
    BOOST_TEST(!keys.find(bogus, asked));
    BOOST_REQUIRE(keys.find(good, asked + 60s));
    BOOST_TEST((keys.find(good, asked + 60s)->who == owner));
    BOOST_TEST(!keys.find(good, asked + 61s));
    keys.learn(good, nullptr, asked + 20ms);
    BOOST_TEST(!keys.find(good, asked + 20ms));
    keys.learn(good, owner, asked + 10ms);  // late
    BOOST_TEST(!keys.find(good, asked + 30ms));
    keys.learn(good, owner, asked + 30ms);  // made anew
    BOOST_TEST(keys.find(good, asked + 30ms).has_value());
}

BOOST_AUTO_TEST_CASE(a_change_of_the_grace_is_one_for_keys_that_are_known) {
    using namespace std::chrono_literals;
    const TimePoint asked = Clock::now();
    const Digest key = digest_of("key");
    const Digest other = digest_of("other");
    const auto owner = std::make_shared<const Owner>();
    KnownKeys keys(60s);
    keys.learn(key, owner, asked);
    keys.set_grace(5s);
    BOOST_TEST(keys.find(key, asked + 5s).has_value());
    BOOST_TEST(!keys.find(key, asked + 6s));
    keys.set_grace(100s);
    keys.learn(other, owner, asked);
    BOOST_TEST(keys.find(key, asked + 100s).has_value());
    BOOST_TEST(!keys.find(key, asked + 101s));
    BOOST_TEST(keys.find(other, asked + 100s).has_value());
}

BOOST_AUTO_TEST_CASE(a_table_of_keys_is_bounded) {
    using namespace std::chrono_literals;
    const TimePoint now = Clock::now();
    KeyTable<Identity> table;
    const auto digest = [](int i) { return digest_of(std::to_string(i)); };
    for (int i = 0; i < 30000; ++i) {
        table.insert(digest(i), {nullptr, now, now + 1s}, now);
        table.insert(digest(7), {nullptr, now, now + 1s}, now);  // asked for all the time
    }
    BOOST_TEST(table.size() <= 10000U);
    BOOST_TEST(table.find(digest(29999), now) != nullptr);
    BOOST_TEST(table.find(digest(7), now) != nullptr);
    BOOST_TEST(table.find(digest(8), now) == nullptr);
    table.insert(digest(1), {nullptr, now + 2s, now + 3s}, now + 2s);
    BOOST_TEST(table.size() == 1U);
}

BOOST_AUTO_TEST_CASE(columns_of_a_result_are_judged) {
    constexpr Oid text = 25;
    constexpr Oid json = 114;
    BOOST_TEST(column_mistake({{"anything", json}}).empty());
    BOOST_TEST(column_mistake({{"body", 3802}, {"next", text}}).empty());
    BOOST_TEST(column_mistake({{"location", text}, {"status", 23}, {"body", json}}).empty());
    BOOST_TEST(column_mistake({{"x", text}}).find("json") != std::string::npos);
    BOOST_TEST(column_mistake({}).find("body") != std::string::npos);
    BOOST_TEST(column_mistake({{"a", json}, {"next", text}}).find("body") != std::string::npos);
    BOOST_TEST(column_mistake({{"body", json}, {"a", text}}).find("\"a\"") != std::string::npos);
    BOOST_TEST(column_mistake({{"body", json}, {"status", text}}).find("int") != std::string::npos);
    BOOST_TEST(column_mistake({{"body", json}, {"body", json}}).find("two") != std::string::npos);
    BOOST_TEST(column_mistake({{"body", text}, {"next", text}}).find("json") != std::string::npos);
}

// A reload may give a route another call: what the one before has left in the cache is not its own.
BOOST_AUTO_TEST_CASE(a_cached_answer_is_known_by_its_routes_definition) {
    config::Route route;
    route.name = "item";
    route.call = "item($id)";
    route.cache = config::Route::Caching{std::chrono::seconds(1), {}, {}};
    const CachePlan before(route);
    BOOST_TEST(before.key({}) == CachePlan(route).key({}));
    route.call = "other_item($id)";
    BOOST_TEST(before.key({}) != CachePlan(route).key({}));
}
