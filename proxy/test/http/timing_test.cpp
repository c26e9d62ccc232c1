// Timing as operators and clients see it: histograms, /queries, the slow-query log and
// Server-Timing, of HTTP doors on a real PostgreSQL.
#include <regex>

#include "harness/json.hpp"
#include "http/door_fixture.hpp"
#include "http/queries_page.hpp"
#include "http/request_times.hpp"

using namespace muster;
using namespace muster::test;

namespace {

struct Order {
    Order() {
        database().psql(
            "create function pause(seconds float8, secret text) returns json language sql as "
            "$$ select to_json(pg_sleep(seconds)::text) $$");
    }
};
BOOST_TEST_GLOBAL_FIXTURE(Order);

constexpr const char* pauses = R"toml(
[[route]]
name = "pause"
match = "GET /pause/{secret}"
call = "pause($seconds::float8, $secret)"
[[route]]
name = "patient"
match = "GET /patient/{secret}"
call = "pause($seconds::float8, $secret)"
slow = "1h"
)toml";

// The fixture's configuration with this slow-query log and these settings of [timing].
std::string with(const std::string& slow_log, const std::string& timing) {
    std::string text = routes;
    const std::string log = "[log]\n";
    text.insert(text.find(log) + log.size(), "slow_query = \"" + slow_log + "\"\n");
    text.insert(text.find("[[route]]"), "[timing]\n" + timing);
    return text + pauses;
}

// A proxy with a slow-query log in a directory of its own.
class Logged {
  public:
    explicit Logged(const std::string& timing = "") : proxy_(with(file(), timing)) {
        proxy_.wait_until_ready();
    }
    HttpAnswer get(const std::string& target, const std::string& headers = "") const {
        return HttpClient(proxy_.port).request("GET", target, reader + headers);
    }
    HttpAnswer admin(const std::string& target, const std::string& headers = "") const {
        return HttpClient(proxy_.admin_port).request("GET", target, headers);
    }
    const Proxy& proxy() const { return proxy_; }
    std::string log() const { return read_file(file()); }
    std::vector<Json> lines() const {
        std::vector<Json> lines;
        const std::string text = log();
        for (std::size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos;
             begin = end + 1) {
            lines.push_back(Json::parse(text.substr(begin, end - begin)));
        }
        return lines;
    }
    // Those of one statement: what else is slow on a busy machine is no test's business.
    std::vector<Json> lines_of(const std::string& name) const {
        std::vector<Json> found;
        for (const Json& line : lines()) {
            if (line["event"] == "slow_query" && line["name"] == name) {
                found.push_back(line);
            }
        }
        return found;
    }
    Json statement(const std::string& name) const {
        const Json all = Json::parse(admin("/queries").body);
        for (const Json& one : all["statements"]) {
            if (one["name"] == name) {
                return one;
            }
        }
        return Json();
    }
    // The value of one series; -1 if there is none.
    double metric(const std::string& series) const {
        const std::string text = "\n" + admin("/metrics").body;
        const std::size_t at = text.find("\n" + series + " ");
        return at == std::string::npos ? -1 : std::stod(text.substr(at + series.size() + 2));
    }

  private:
    std::string file() const { return sandbox_.path() / "slow.log"; }

    Sandbox sandbox_;
    Proxy proxy_;
};

double number(const Json& json) {
    return std::stod(json.text());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(histograms)

BOOST_AUTO_TEST_CASE(requests_are_timed_by_route_and_status) {
    const Logged door;
    for (int i = 0; i < 3; ++i) {
        BOOST_TEST(door.get("/items/1").status == 200);
    }
    BOOST_TEST(door.get("/items/x").status == 422);
    BOOST_TEST(door.get("/nothing").status == 404);
    BOOST_TEST(door.get("/pause/s?seconds=0.12").status == 200);
    const std::string family = "http_request_duration_seconds";
    BOOST_TEST(door.metric(family + "_count{route=\"item\",status=\"2xx\"}") == 3);
    BOOST_TEST(door.metric(family + "_count{route=\"item\",status=\"4xx\"}") == 1);
    BOOST_TEST(door.metric(family + "_count{route=\"item\",status=\"5xx\"}") == 0);
    BOOST_TEST(door.metric(family + "_count{route=\"none\",status=\"4xx\"}") == 1);
    BOOST_TEST(door.metric(family + "_bucket{route=\"item\",status=\"2xx\",le=\"0.00025\"}") >= 0);
    BOOST_TEST(door.metric(family + "_bucket{route=\"item\",status=\"2xx\",le=\"+Inf\"}") == 3);
    // One that took 120 ms is in no bucket below.
    BOOST_TEST(door.metric(family + "_bucket{route=\"pause\",status=\"2xx\",le=\"0.1\"}") == 0);
    BOOST_TEST(door.metric(family + "_sum{route=\"pause\",status=\"2xx\"}") >= 0.12);
    BOOST_TEST(door.metric("database_pool_wait_seconds_count") >= 4);
}

BOOST_AUTO_TEST_CASE(with_timing_off_nothing_is_kept) {
    const Logged door("enabled = false\nslow_query = \"0ms\"\nserver_timing = \"always\"\n");
    const HttpAnswer answer = door.get("/items/1", "Prefer: server-timing\r\n");
    BOOST_TEST(answer.status == 200);
    BOOST_TEST(answer.header("server-timing") == "");
    const std::string metrics = door.admin("/metrics").body;
    contains(metrics, "http_requests_total{route=\"item\",method=\"GET\",status=\"2xx\"} 1\n");
    contains(metrics, "http_requests_in_flight 0\n");
    BOOST_TEST(metrics.find("duration_seconds") == std::string::npos);
    BOOST_TEST(metrics.find("pool_wait_seconds") == std::string::npos);
    BOOST_TEST(Json::parse(door.admin("/queries").body)["statements"].size() == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(queries)

BOOST_AUTO_TEST_CASE(statements_have_calls_errors_rows_bytes_and_times) {
    const Logged door;
    BOOST_TEST(Json::parse(door.admin("/queries").body)["statements"].size() == 0U);
    std::size_t bytes = 0;
    for (int i = 0; i < 4; ++i) {
        bytes += door.get("/big/1000").body.size();
    }
    BOOST_TEST(door.get("/fail/22023").status == 422);
    BOOST_TEST(door.get("/fail/P0001").status == 500);
    BOOST_TEST(door.get("/pause/s?seconds=0.2").status == 200);

    const Json big = door.statement("big");
    BOOST_TEST(big["door"] == "http");
    BOOST_TEST(number(big["calls"]) == 4);
    BOOST_TEST(number(big["errors"]) == 0);
    BOOST_TEST(number(big["rows"]) == 4);
    BOOST_TEST(number(big["bytes"]) == static_cast<double>(bytes));
    BOOST_TEST(big["text"].text().find("big($1::int)") != std::string::npos, big["text"]);
    BOOST_TEST(big["text"].text().find("1000") == std::string::npos);
    BOOST_TEST(number(big["p50_ms"]) > 0);
    BOOST_TEST(number(big["p50_ms"]) <= number(big["p95_ms"]));
    BOOST_TEST(number(big["p95_ms"]) <= number(big["p99_ms"]));
    BOOST_TEST(number(big["p99_ms"]) <= number(big["max_ms"]));
    BOOST_TEST(number(big["max_ms"]) <= number(big["total_ms"]));

    const Json fail = door.statement("fail");
    BOOST_TEST(number(fail["calls"]) == 2);
    BOOST_TEST(number(fail["errors"]) == 2);
    BOOST_TEST(number(fail["rows"]) == 0);
    BOOST_TEST(number(door.statement("pause")["max_ms"]) >= 200);
    BOOST_TEST(number(door.statement("pause")["p50_ms"]) >= 190);
    BOOST_TEST(door.statement("items").is_null());  // was not called
}

BOOST_AUTO_TEST_CASE(a_query_cut_off_by_its_deadline_is_an_error) {
    const Logged door;
    BOOST_TEST(door.get("/sleep").status == 504);
    const Json sleep = door.statement("sleep");
    BOOST_TEST(number(sleep["errors"]) == 1);
    BOOST_TEST(number(sleep["max_ms"]) >= 1000);
    BOOST_TEST(door.metric("database_query_duration_seconds_count{query_name=\"sleep\",status="
                           "\"timeout\"}") == 1);
    test::wait_until("the line", [&] { return !door.lines().empty(); });
    const auto lines = door.lines_of("sleep");
    BOOST_REQUIRE(lines.size() == 1U);
    BOOST_TEST(lines[0]["status"] == "timeout");
    BOOST_TEST(lines[0]["sqlstate"] == "57014");
}

BOOST_AUTO_TEST_CASE(the_order_is_asked_for) {
    const Logged door;
    for (int i = 0; i < 3; ++i) {
        door.get("/echo/a");
    }
    door.get("/fail/22023");
    door.get("/pause/s?seconds=1");
    const auto first = [&](const std::string& query) {
        return Json::parse(door.admin("/queries" + query).body)["statements"][0]["name"].text();
    };
    BOOST_TEST(first("") == "pause");  // by the total time
    BOOST_TEST(first("?sort=max") == "pause");
    BOOST_TEST(first("?sort=calls") == "echo");
    BOOST_TEST(first("?sort=errors") == "fail");
    BOOST_TEST(first("?sort=name") == "echo");
    const HttpAnswer refused = door.admin("/queries?sort=nonsense");
    BOOST_TEST(refused.status == 422);
    contains(refused.body,
             "sort must be one of name, calls, errors, rows, bytes, total, mean, p50");
    BOOST_TEST(door.admin("/queries?format=xml").status == 422);
}

BOOST_AUTO_TEST_CASE(programs_get_json_and_browsers_a_page) {
    const Logged door;
    door.get("/items/1");
    const HttpAnswer json = door.admin("/queries", "Accept: */*\r\n");
    BOOST_TEST(json.header("content-type") == "application/json");
    BOOST_TEST(json.header("cache-control") == "no-store");
    BOOST_TEST(json.header("vary") == "Accept");
    BOOST_TEST(Json::parse(json.body)["statements"].size() == 1U);
    const std::string browser = "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n";
    const HttpAnswer page = door.admin("/queries?sort=p99", browser);
    BOOST_TEST(page.status == 200);
    BOOST_TEST(page.header("content-type") == "text/html; charset=utf-8");
    contains(page.header("content-security-policy"), "default-src 'none'");
    contains(page.body, "<td class=\"text\">item</td>");
    contains(page.body, "<th aria-sort=\"descending\"><a href=\"?sort=p99&amp;format=html\">");
    BOOST_TEST(page.body.find("src=") == std::string::npos);  // needs nothing but itself
    BOOST_TEST(door.admin("/queries?format=json", browser).header("content-type") ==
               "application/json");
    BOOST_TEST(door.admin("/queries?format=html").header("content-type") ==
               "text/html; charset=utf-8");
    const HttpAnswer head = HttpClient(door.proxy().admin_port).request("HEAD", "/queries");
    BOOST_TEST(head.status == 200);
    BOOST_TEST(head.header("content-length") != "");
    HttpClient client(door.proxy().admin_port);
    BOOST_TEST(client.request("DELETE", "/queries").status == 405);
    BOOST_TEST(client.request("GET", "/queries/other").status == 404);
    BOOST_TEST(client.request("GET", "/queries/reset/x").status == 404);
    // It is nothing for clients.
    BOOST_TEST(door.get("/queries").status == 404);
}

BOOST_AUTO_TEST_CASE(what_texts_hold_is_escaped_on_the_page) {
    http::QueriesReport report{{}, {}, {}};
    timing::StatementFigures figures;
    figures.name = "<script>\"&";
    figures.text = "select '<b>' || $1 -- </code>";
    figures.times.total = 1;
    report.statements.push_back(figures);
    const std::string page = http::queries_html(report, "total");
    contains(page, "&lt;script&gt;&quot;&amp;");
    contains(page, "select '&lt;b&gt;' || $1 -- &lt;/code&gt;");
    BOOST_TEST(page.find("<script") == std::string::npos);
    BOOST_TEST(Json::parse(http::queries_json(report))["statements"][0]["name"] == "<script>\"&");
}

BOOST_AUTO_TEST_CASE(a_reset_starts_anew_but_not_for_a_browser) {
    const Logged door;
    door.get("/items/1");
    HttpClient admin(door.proxy().admin_port);
    const std::string begun = Json::parse(door.admin("/queries").body)["since"].text();
    for (const char* header :
         {"Origin: http://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\n"}) {
        BOOST_TEST(admin.request("POST", "/queries/reset", header).status == 403);
    }
    BOOST_TEST(admin.request("GET", "/queries/reset").status == 405);
    BOOST_TEST(number(door.statement("item")["calls"]) == 1);
    BOOST_TEST(admin.request("POST", "/queries/reset").status == 204);
    const Json after = Json::parse(door.admin("/queries").body);
    BOOST_TEST(after["statements"].size() == 0U);
    BOOST_TEST(after["since"].text() >= begun);
    for (int i = 0; i < 2; ++i) {
        door.get("/items/1");
    }
    BOOST_TEST(number(door.statement("item")["calls"]) == 2);
    // Counters of Prometheus go on.
    BOOST_TEST(door.metric("database_query_duration_seconds_count{query_name=\"item\",status="
                           "\"success\"}") == 3);
}

BOOST_AUTO_TEST_CASE(a_route_whose_call_changes_keeps_its_figures) {
    const auto config = configured(routes);
    metrics::Registry registry;
    const auto timing = timing::Timing::make(config, registry, 1).value();
    for (const char* text : {"select old()", "select new()"}) {
        metrics::Registry part(registry);
        timing::QueryTimes times(part, *timing, {{"r", text, 1s}}, 1);
        times.record(0, 0, timing::Outcome::success, {.duration = 1ms});
        part.leave();
    }
    const auto figures = timing->statements().read();
    BOOST_REQUIRE(figures.size() == 1U);
    BOOST_TEST(figures[0].times.total == 2U);
    BOOST_TEST(figures[0].text == "select new()");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(slow_queries)

BOOST_AUTO_TEST_CASE(a_slow_query_has_one_line_without_its_values) {
    const Logged door;
    const std::string id = "X-Request-Id: the-slow-one\r\n";
    BOOST_TEST(door.get("/pause/hush-hush?seconds=0.15", id).status == 200);
    BOOST_TEST(door.get("/items/1").status == 200);
    test::wait_until("the line", [&] { return !door.lines_of("pause").empty(); });
    const auto lines = door.lines_of("pause");
    BOOST_REQUIRE(lines.size() == 1U);
    const Json& line = lines[0];
    BOOST_TEST(line["event"] == "slow_query");
    BOOST_TEST(line["door"] == "http");
    BOOST_TEST(line["name"] == "pause");
    BOOST_TEST(number(line["duration_ms"]) >= 150);
    BOOST_TEST(number(line["rows"]) == 1);
    BOOST_TEST(line["status"] == "success");
    BOOST_TEST(!line.has("sqlstate"));
    BOOST_TEST(line["client"] == "127.0.0.1");
    BOOST_TEST(line["request_id"] == "the-slow-one");
    BOOST_TEST(line["text"].text().find("pause($1::float8, $2)") != std::string::npos,
               line["text"]);
    BOOST_TEST(door.log().find("hush") == std::string::npos);
    BOOST_TEST(door.log().find("0.15") == std::string::npos);
    BOOST_TEST(door.metric("slow_queries_total") == static_cast<double>(door.lines().size()));
    BOOST_TEST(door.metric("slow_queries_suppressed_total") == 0);
}

BOOST_AUTO_TEST_CASE(the_threshold_is_the_routes_own_or_everybodys) {
    const Logged door("slow_query = \"20ms\"\n");
    BOOST_TEST(door.get("/patient/s?seconds=0.15").status == 200);
    BOOST_TEST(door.get("/pause/s?seconds=0.03").status == 200);
    test::wait_until("the line", [&] { return !door.lines_of("pause").empty(); });
    BOOST_TEST(door.lines_of("pause").size() == 1U);
    BOOST_TEST(door.lines_of("patient").empty());
}

BOOST_AUTO_TEST_CASE(a_second_has_so_many_lines) {
    const Logged door("slow_query = \"0ms\"\nslow_lines = 5\n");
    for (int i = 0; i < 200; ++i) {
        BOOST_TEST(door.get("/items/1").status == 200);
    }
    BOOST_TEST(door.metric("slow_queries_total") == 200);
    const double suppressed = door.metric("slow_queries_suppressed_total");
    BOOST_TEST(suppressed > 0);
    const auto with_line = [&] {
        std::size_t count = 0;
        for (const Json& line : door.lines()) {
            count += line["event"] == "slow_query" ? 1 : 0;
        }
        return count;
    };
    test::wait_until("the lines",
                     [&] { return static_cast<double>(with_line()) + suppressed == 200; });
}

BOOST_AUTO_TEST_CASE(a_log_that_cannot_be_opened_is_refused_at_start) {
    const auto config = configured(with("/nonexistent/slow.log", ""));
    metrics::Registry registry;
    const auto timing = timing::Timing::make(config, registry, 1);
    BOOST_REQUIRE(!timing);
    contains(timing.error(), "log.slow_query: cannot open \"/nonexistent/slow.log\"");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(server_timing)

BOOST_AUTO_TEST_CASE(who_asks_with_a_key_is_told) {
    const Logged door;
    const std::string ask = "Prefer: return=minimal, Server-Timing\r\n";
    const HttpAnswer answer = door.get("/pause/s?seconds=0.05", ask);
    BOOST_TEST(answer.status == 200);
    std::smatch found;
    const std::string value = answer.header("server-timing");
    BOOST_REQUIRE_MESSAGE(
        std::regex_match(value, found,
                         std::regex("pool;dur=(\\d+\\.\\d{3}), db;dur=(\\d+\\.\\d{3}), "
                                    "total;dur=(\\d+\\.\\d{3})")),
        value);
    BOOST_TEST(std::stod(found[2]) >= 50);
    BOOST_TEST(std::stod(found[3]) >= std::stod(found[1]) + std::stod(found[2]) - 0.002);
    BOOST_TEST(door.get("/items/1").header("server-timing") == "");
    BOOST_TEST(door.get("/items/1", "Prefer: server-timings\r\n").header("server-timing") == "");
    // An answer without a query has no part of it.
    const HttpAnswer refused = door.get("/items/x", ask);
    BOOST_TEST(refused.status == 422);
    BOOST_TEST(std::regex_match(refused.header("server-timing"), std::regex("total;dur=[0-9.]+")),
               refused.header("server-timing"));
    // Strangers are not told.
    HttpClient stranger(door.proxy().port);
    BOOST_TEST(stranger.request("GET", "/items/1", ask).header("server-timing") == "");
    BOOST_TEST(stranger.request("GET", "/health/live", ask).header("server-timing") == "");
}

BOOST_AUTO_TEST_CASE(it_can_be_always_or_never) {
    const Logged always("server_timing = \"always\"\n");
    contains(always.get("/items/1").header("server-timing"), "db;dur=");
    const Logged never("server_timing = \"off\"\n");
    BOOST_TEST(never.get("/items/1", "Prefer: server-timing\r\n").header("server-timing") == "");
}

BOOST_AUTO_TEST_CASE(preferences_are_read_as_rfc_7240_has_them) {
    const std::vector<std::pair<std::string, bool>> cases{
        {"", false},
        {"server-timing", true},
        {"  SERVER-TIMING\t", true},
        {"respond-async,server-timing; x=1", true},
        {"wait=10, server-timing", true},
        {"server-timing-x", false},
        {"x;server-timing", false},
        {",,;,", false},
        {"server-timing=no", false},
    };
    for (const auto& [header, expected] : cases) {
        BOOST_TEST(http::prefers(header, "server-timing") == expected, header);
    }
}

BOOST_AUTO_TEST_SUITE_END()
