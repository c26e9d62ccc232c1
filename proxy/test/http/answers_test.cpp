// What stands around an answer: compression, cross-origin headers, traces, the API's description.
#include <zlib.h>

#include <csignal>

#include "http/compress.hpp"
#include "http/door_fixture.hpp"
#include "http/trace.hpp"

using namespace muster;
using namespace muster::test;

namespace {

std::string unpacked(const std::string& text) {
    z_stream z{};
    BOOST_REQUIRE(inflateInit2(&z, 15 + 16) == Z_OK);
    std::string out(64 * 1024 * 1024, '\0');
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    z.avail_in = static_cast<uInt>(text.size());
    z.next_out = reinterpret_cast<Bytef*>(out.data());
    z.avail_out = static_cast<uInt>(out.size());
    BOOST_REQUIRE(inflate(&z, Z_FINISH) == Z_STREAM_END);
    BOOST_TEST(z.avail_in == 0U);
    out.resize(out.size() - z.avail_out);
    inflateEnd(&z);
    return out;
}

const std::string gzip_taken = "Accept-Encoding: gzip\r\n";

std::string with_cors(const std::string& origins) {
    std::string text = routes;
    text.insert(text.find("[http]\n") + 7, "cors_origins = \"" + origins + "\"\n");
    return text;
}

const std::string preflight =
    "Access-Control-Request-Method: PATCH\r\n"
    "Access-Control-Request-Headers: x-api-key\r\n";

// The mistakes of an OpenAPI document; empty if it has none.
std::string mistakes_in(const std::string& document) {
    const Sandbox sandbox;
    const std::string file = sandbox.path() / "openapi.json";
    std::ofstream(file) << document;
    Process checker({MUSTER_CHECK_OPENAPI, file}, sandbox.path() / "mistakes", SIGKILL, false);
    const int status = checker.wait();
    const std::string mistakes = read_file(sandbox.path() / "mistakes");
    BOOST_TEST((status == 0) == mistakes.empty());
    return mistakes;
}

}  // namespace

BOOST_AUTO_TEST_CASE(accept_encoding_is_read_with_its_weights) {
    using http::accepts_gzip;
    for (const char* header : {"gzip", "GZIP", "x-gzip", "deflate, gzip", "br;q=1.0, gzip;q=0.8",
                               "*", "gzip;q=0.001", " gzip ; q=1 ", "identity;q=0.5, gzip;q=0.5"}) {
        BOOST_TEST(accepts_gzip(header), header);
    }
    for (const char* header :
         {"", "br", "gzip;q=0", "gzip;q=0.0", "*;q=0", "gzip;q=0, *", "identity, gzip;q=0.5",
          "gzip;q=2", "gzip;q=x", "gzip;level=9", "gzipped", ",,;"}) {
        BOOST_TEST(!accepts_gzip(header), header);
    }
}

BOOST_AUTO_TEST_CASE(what_is_compressed_comes_out_again) {
    for (const std::size_t size : {0U, 1U, 5000U, 3000000U}) {
        std::string text;
        unsigned state = 1;
        while (text.size() < size) {
            state = state * 1664525 + 1013904223;
            text += state >> 30 ? std::to_string(state) : std::string(1, char(state >> 16));
        }
        BOOST_TEST((unpacked(http::gzip(text)) == text), size);
    }
}

BOOST_AUTO_TEST_CASE(large_answers_are_compressed_for_those_who_take_it) {
    const HttpAnswer plain = get("/big/100000");
    BOOST_TEST(plain.header("content-encoding") == "");
    BOOST_TEST(plain.header("vary") == "Accept-Encoding");
    const HttpAnswer packed = get("/big/100000", reader + gzip_taken);
    BOOST_TEST(packed.status == 200);
    BOOST_TEST(packed.header("content-encoding") == "gzip");
    BOOST_TEST(packed.header("vary") == "Accept-Encoding");
    BOOST_TEST(packed.header("content-type") == "application/json");
    BOOST_TEST(packed.body.size() < 2000U);
    BOOST_TEST(packed.header("content-length") == std::to_string(packed.body.size()));
    BOOST_TEST((unpacked(packed.body) == plain.body));

    BOOST_TEST(
        get("/big/100000", reader + "Accept-Encoding: gzip;q=0\r\n").header("content-encoding") ==
        "");
    const HttpAnswer small = get("/items/1", reader + gzip_taken);
    BOOST_TEST(small.header("content-encoding") == "");
    BOOST_TEST(small.header("vary") == "");

    HttpClient client(shared().port);
    client.send("HEAD /big/100000 HTTP/1.1\r\nHost: x\r\n" + reader + gzip_taken + "\r\n");
    const HttpAnswer head = client.read(true);
    BOOST_TEST(head.header("content-encoding") == "gzip");
    BOOST_TEST(head.header("content-length") == packed.header("content-length"));
    BOOST_TEST(client.request("GET", "/items/1", reader).status == 200);

    const HttpAnswer problem =
        get("/fail/P0001?message=" + std::string(6000, 'x'), reader + gzip_taken);
    BOOST_TEST(problem.status == 500);  // whose text is short: it is in the log only
}

BOOST_AUTO_TEST_CASE(compression_can_be_turned_off) {
    std::string text = routes;
    text.insert(text.find("[http]\n") + 7, "gzip_from = 0\n");
    const Proxy proxy(text);
    proxy.wait_until_ready();
    const HttpAnswer answer =
        HttpClient(proxy.port).request("GET", "/big/100000", reader + gzip_taken);
    BOOST_TEST(answer.header("content-encoding") == "");
    BOOST_TEST(answer.header("vary") == "");
}

BOOST_AUTO_TEST_CASE(without_origins_nothing_is_said_of_them) {
    const HttpAnswer answer = get("/items/1", reader + "Origin: https://app.example.org\r\n");
    BOOST_TEST(answer.header("access-control-allow-origin") == "");
    BOOST_TEST(
        HttpClient(shared().port)
            .request("OPTIONS", "/items/1", "Origin: https://app.example.org\r\n" + preflight)
            .status == 405);
}

BOOST_AUTO_TEST_CASE(scripts_of_listed_origins_may_read_the_answers) {
    const Proxy proxy(with_cors("https://app.example.org, http://localhost:3000"));
    proxy.wait_until_ready();
    HttpClient client(proxy.port);
    const std::string ours = "Origin: https://app.example.org\r\n";
    // A preflight comes without a key.
    const HttpAnswer asked = client.request("OPTIONS", "/items/1", ours + preflight);
    BOOST_TEST(asked.status == 204);
    BOOST_TEST(asked.header("access-control-allow-origin") == "https://app.example.org");
    contains(asked.header("access-control-allow-methods"), "PATCH");
    contains(asked.header("access-control-allow-headers"), "X-API-Key");
    contains(asked.header("access-control-allow-headers"), "Idempotency-Key");
    BOOST_TEST(asked.header("access-control-max-age") == "7200");
    contains(asked.header("vary"), "Origin");

    const HttpAnswer answer = client.request("GET", "/items/1", ours + reader);
    BOOST_TEST(answer.status == 200);
    BOOST_TEST(answer.header("access-control-allow-origin") == "https://app.example.org");
    for (const char* name : {"ETag", "Link", "RateLimit", "Retry-After", "X-Request-Id",
                             "Muster-Token", "Idempotency-Replayed", "Location"}) {
        contains(answer.header("access-control-expose-headers"), name);
    }
    BOOST_TEST(answer.header("access-control-allow-credentials") == "");
    // A refusal can be read, too; or the script would not know why.
    const HttpAnswer refused = client.request("GET", "/items/1", ours);
    BOOST_TEST(refused.status == 401);
    BOOST_TEST(refused.header("access-control-allow-origin") == "https://app.example.org");

    const std::string theirs = "Origin: https://app.example.org.evil.example\r\n";
    for (const std::string& origin : {theirs, std::string("Origin: null\r\n"), std::string()}) {
        const HttpAnswer other = client.request("GET", "/items/1", origin + reader);
        BOOST_TEST(other.status == 200);
        BOOST_TEST(other.header("access-control-allow-origin") == "");
        BOOST_TEST(other.header("vary") == "Origin");
    }
    const HttpAnswer stranger = client.request("OPTIONS", "/items/1", theirs + preflight);
    BOOST_TEST(stranger.header("access-control-allow-origin") == "");
    BOOST_TEST(stranger.header("access-control-allow-methods") == "");
    BOOST_TEST(client.request("OPTIONS", "/items/1", ours).status == 405);  // no preflight
}

BOOST_AUTO_TEST_CASE(all_origins_are_allowed_by_a_star_and_never_with_credentials) {
    const Proxy proxy(with_cors("*"));
    proxy.wait_until_ready();
    const HttpAnswer answer =
        HttpClient(proxy.port)
            .request("GET", "/items/1", reader + "Origin: https://anybody.example\r\n");
    BOOST_TEST(answer.header("access-control-allow-origin") == "*");
    BOOST_TEST(answer.header("access-control-allow-credentials") == "");
    BOOST_TEST(answer.header("vary") == "");
}

BOOST_AUTO_TEST_CASE(origins_are_checked_when_the_file_is_read) {
    for (const char* wrong : {"app.example.org", "https://app.example.org/", "*, https://a.example",
                              "https://App.example.org", "https://"}) {
        BOOST_CHECK_EXCEPTION(configured(with_cors(wrong)), std::runtime_error,
                              [](const std::runtime_error& error) {
                                  return std::string(error.what()).find("http.cors_origins must") !=
                                         std::string::npos;
                              });
    }
}

BOOST_AUTO_TEST_CASE(a_valid_traceparent_is_told_from_others) {
    const std::string valid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    BOOST_TEST(http::is_traceparent(valid));
    BOOST_TEST(http::trace_id(valid) == "4bf92f3577b34da6a3ce929d0e0e4736");
    BOOST_TEST(http::is_traceparent("cc" + valid.substr(2) + "-more"));
    const std::string wrongs[] = {"",
                                  valid.substr(1),
                                  valid + "0",
                                  valid + "-more",
                                  "ff" + valid.substr(2),
                                  "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                                  "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                                  "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                                  "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"};
    for (const std::string& wrong : wrongs) {
        BOOST_TEST(!http::is_traceparent(wrong), wrong);
    }
    const std::string header = "traceparent: " + valid + "\r\n";
    BOOST_TEST(get("/items/1", reader + header).header("traceparent") == valid);
    const HttpAnswer answer = get("/items/1", reader + "traceparent: nonsense\r\n");
    BOOST_TEST(answer.status == 200);
    BOOST_TEST(answer.header("traceparent") == "");
}

BOOST_AUTO_TEST_CASE(the_description_obeys_openapi) {
    const HttpAnswer answer = get("/openapi.json", "");  // no key
    BOOST_TEST(answer.status == 200);
    BOOST_TEST(answer.header("content-type") == "application/json");
    BOOST_TEST(mistakes_in(answer.body) == "");
    contains(answer.body, R"("openapi":"3.1.0")");
    contains(answer.body, R"("/items/{id}":{"get":{"operationId":"item")");
    contains(answer.body,
             R"({"name":"limit","in":"query","schema":{"type":"integer","format":"int64",)"
             R"("minimum":1,"maximum":1000}})");
    contains(answer.body, R"("requestBody":{"required":true)");
    contains(answer.body, R"("429":{"$ref":"#/components/responses/TooManyRequests"})");

    const std::string etag = answer.header("etag");
    const HttpAnswer again = get("/openapi.json", "If-None-Match: " + etag + "\r\n");
    BOOST_TEST(again.status == 304);
    BOOST_TEST(again.body == "");
    BOOST_TEST(HttpClient(shared().port).request("POST", "/openapi.json", "", "").status == 405);
    HttpClient client(shared().port);
    client.send("HEAD /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n");
    BOOST_TEST(client.read(true).header("content-length") == std::to_string(answer.body.size()));
}

// The routes that are shipped, with all that they use.
BOOST_AUTO_TEST_CASE(the_description_of_the_shipped_routes_obeys_openapi) {
    const auto config = config::load(std::string(MUSTER_SOURCE_DIR) + "/deploy/proxy.toml", {});
    BOOST_REQUIRE(config.has_value());
    const std::string document = http::OpenApi(config.value()).document();
    BOOST_TEST(mistakes_in(document) == "");
    for (const config::Route& route : config.value().routes) {
        contains(document, "\"operationId\":\"" + route.name + '"');
    }
    contains(
        document,
        R"({"name":"id","in":"path","required":true,"schema":{"type":"string","format":"uuid"}})");
    contains(document, R"("304":{"$ref":"#/components/responses/NotModified"})");
}

// The checker does find mistakes.
BOOST_AUTO_TEST_CASE(a_wrong_description_is_found_out) {
    const std::string right = get("/openapi.json", "").body;
    const std::pair<const char*, const char*> damages[] = {
        {R"("openapi":"3.1.0")", R"("openapi":"3.0.0")"},
        {R"("operationId":"items")", R"("operationId":"item")"},
        {R"("in":"path","required":true)", R"("in":"path")"},
        {"#/components/responses/NotFound", "#/components/responses/Lost"},
        {R"("type":"integer")", R"("type":"whole")"},
        {R"("description":"There is no such thing",)", ""},
        {R"("requestBody":{"required":true)", R"("requestBody":{"needed":true)"}};
    for (const auto& [from, to] : damages) {
        std::string wrong = right;
        BOOST_REQUIRE(wrong.find(from) != std::string::npos);
        wrong.replace(wrong.find(from), std::strlen(from), to);
        BOOST_TEST(mistakes_in(wrong) != "", to);
    }
}
