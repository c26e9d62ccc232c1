// What configuration says of the cache: the settings, and the `cache` and `writes` of routes.
#include <boost/test/unit_test.hpp>

#include <chrono>
#include <string>

#include "config_file.hpp"

using namespace muster::config;
using namespace muster::test;

BOOST_AUTO_TEST_SUITE(caching)

BOOST_AUTO_TEST_CASE(what_a_route_has_to_do_with_the_cache_is_read) {
    const std::string head = "name = \"r\"\nmatch = \"GET /a/{id}\"\n";
    const Config config = accepted(
        route(head + "params = { id = { type = \"int\" } }\ncall = \"f($id::int, $include)\"\n"
                     "cache = { ttl = \"250ms\", tags = [\"a:$id\", \"b\"], "
                     "include_tags = { c = [\"c\", \"d:$id\"] } }\n") +
        route("name = \"w\"\nmatch = \"PUT /b\"\ncall = \"g()\"\nwrites = [\"b\", \"b:*\"]\n"));
    const Route& reading = config.routes.at(0);
    BOOST_REQUIRE(reading.cache.has_value());
    BOOST_CHECK(reading.cache->ttl == std::chrono::milliseconds(250));
    BOOST_REQUIRE_EQUAL(reading.cache->tags.size(), 2U);
    BOOST_TEST(reading.cache->tags[0].text == "a:");
    BOOST_TEST(reading.cache->tags[0].parameter == "id");
    BOOST_TEST(reading.cache->tags[1].text == "b");
    BOOST_TEST(reading.cache->tags[1].parameter.empty());
    BOOST_TEST(reading.cache->include_tags.at("c").at(1).parameter == "id");
    BOOST_TEST(reading.writes.empty());
    const Route& writing = config.routes.at(1);
    BOOST_TEST(!writing.cache.has_value());
    BOOST_REQUIRE_EQUAL(writing.writes.size(), 2U);
    BOOST_TEST(writing.writes[1].text == "b:*");
}

BOOST_AUTO_TEST_CASE(what_is_wrong_with_cache_and_writes_is_refused_with_its_line) {
    const std::string get = "name = \"r\"\nmatch = \"GET /a/{id}\"\n";
    const std::string put = "name = \"r\"\nmatch = \"PUT /a/{id}\"\n";
    const std::string call = "params = { id = { type = \"int\" } }\ncall = \"f($id::int)\"\n";
    const std::string untyped = "call = \"f($id)\"\n";
    const auto cache = [&](const std::string& value) {
        return route(get + call + "cache = " + value + "\n");
    };
    const auto writes = [&](const std::string& value) {
        return route(put + call + "writes = " + value + "\n");
    };
    accepted(cache("{ ttl = \"1s\", tags = [\"a\", \"a:$id\"] }"));
    refused(route(put + call + "cache = { ttl = \"1s\", tags = [\"a\"] }\n"), 6, {"cache", "GET"});
    for (const char* value : {"true", "\"60s\"", "[\"a\"]"}) {
        refused(cache(value), 6, {"cache must be a table", "ttl"});
    }
    refused(cache("{ ttl = \"1s\", tags = [\"a\"], tag = 1 }"), 6, {"\"tag\"", "tags"});
    for (const char* ttl : {"", "ttl = 60, ", "ttl = \"soon\", ", "ttl = \"0s\", ",
                            "ttl = \"-1s\", ", "ttl = \"25h\", "}) {
        refused(cache("{ " + std::string(ttl) + "tags = [\"a\"] }"), 6, {"ttl of cache", "60s"});
    }
    refused(cache("{ ttl = \"1s\" }"), 6, {"\"tags\""});
    for (const char* tags : {"\"a\"", "[]", "[1]", "[\"a\", 1]", "{ a = 1 }"}) {
        refused(cache("{ ttl = \"1s\", tags = " + std::string(tags) + " }"), 6,
                {"tags of cache must be a list"});
        refused(writes(tags), 6, {"writes must be a list"});
    }
    for (const char* tag : {"", "$id"}) {
        refused(writes("[\"" + std::string(tag) + "\"]"), 6, {"begin with a table's name"});
    }
    for (const char* tag : {"a$id", "a:$", "a:$key", "a:$id:$id", "a:$ID"}) {
        refused(writes("[\"" + std::string(tag) + "\"]"), 6, {tag, "agents:$id"});
        refused(cache("{ ttl = \"1s\", tags = [\"" + std::string(tag) + "\"] }"), 6, {tag});
    }
    // A parameter without a type may be written in several ways, of which changes know one; one of
    // the query may be left out.
    refused(route(put + untyped + "writes = [\"a:$id\"]\n"), 5, {"a:$id", "type"});
    refused(route(get + "params = { id = { type = \"int\" }, n = { type = \"int\" } }\n"
                        "call = \"f($id::int, $n::int)\"\n"
                        "cache = { ttl = \"1s\", tags = [\"a:$n\"] }\n"),
            6, {"a:$n", "path"});
    refused(route(get + call + "writes = [\"a\"]\n"), 6, {"writes", "GET"});
    refused(cache("{ ttl = \"1s\", tags = [\"a\"], include_tags = { b = [\"b\"] } }"), 6,
            {"include_tags", "\"include\""});
    const std::string including =
        route(get + "call = \"f($id, $include)\"\ncache = { ttl = \"1s\", tags = [\"a\"], ");
    refused(including + "include_tags = [\"b\"] }\n", 5, {"include_tags must be a table"});
    refused(including + "include_tags = { b = \"b\" } }\n", 5, {"\"b\" of include_tags"});
    refused(including + "include_tags = { b = [\"b:$id\"] } }\n", 5, {"b:$id"});
}

BOOST_AUTO_TEST_CASE(wrong_settings_of_the_cache_are_refused_with_their_line) {
    const Config config = accepted(
        "[cache]\nenabled = false\nl1_bytes = \"1MiB\"\nl2 = false\nl2_timeout = \"5ms\"\n"
        "negative_ttl = \"1s\"\n");
    BOOST_TEST(!config.cache.enabled);
    BOOST_TEST(config.cache.l1_bytes == 1024U * 1024);
    BOOST_TEST(!config.cache.l2);
    BOOST_CHECK(config.cache.l2_timeout == std::chrono::milliseconds(5));
    refused("[cache]\nenable = true\n", 2, {"\"enable\"", "enabled"});
    refused("[cache]\nenabled = 1\n", 2, {"cache.enabled"});
    refused("[cache]\nl1_bytes = \"64 potatoes\"\n", 2, {"cache.l1_bytes", "MiB"});
    refused("[cache]\nl1_bytes = -1\n", 2, {"cache.l1_bytes"});
    refused("[cache]\nl2 = \"yes\"\n", 2, {"cache.l2"});
    refused("[cache]\nl2_timeout = 20\n", 2, {"cache.l2_timeout", "ms"});
    refused("[cache]\nnegative_ttl = \"never\"\n", 2, {"cache.negative_ttl"});
    override_refused("cache.l1_bytes=lots", {"cache.l1_bytes"});
}

BOOST_AUTO_TEST_SUITE_END()
