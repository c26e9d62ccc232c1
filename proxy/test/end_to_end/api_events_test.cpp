// Events, health, the root and keys, call by call.
#include "end_to_end/support.hpp"

using namespace muster::test;

namespace {

const std::string some_aggregate = "11111111-1111-4111-8111-111111111111";

Json make_event(const std::string& type, const std::string& more = "") {
    return post("/events/", R"({"event_type":")" + type +
                                R"(","aggregate_type":"thing","aggregate_id":")" + some_aggregate +
                                "\"" + more + "}");
}

// A request with other credentials than the stack's key.
HttpAnswer with_key(const std::string& header, const std::string& method, const std::string& target,
                    std::optional<std::string> body = {}) {
    return HttpClient(shared_stack().port("http"))
        .request(method, target, header + "Content-Type: application/json\r\n", std::move(body));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(api_events)

BOOST_AUTO_TEST_CASE(an_event_is_recorded_and_found) {
    const auto type = fresh_name("type");
    const auto plain = make_event(type);
    BOOST_TEST((names_of(plain) == event_names), plain);
    BOOST_TEST(plain["payload"].dump() == "{}");
    BOOST_TEST(plain["metadata"].dump() == "{}");
    BOOST_TEST(plain["version"] == "1");
    BOOST_TEST(is_time(plain["created_at"]));
    const auto full =
        make_event(type, R"(,"payload":{"a":[1,{"b":null}]},"metadata":{"m":true},"version":3)");
    BOOST_TEST(full["payload"].dump() == R"({"a":[1,{"b":null}]})");
    BOOST_TEST(full["metadata"].dump() == R"({"m":true})");
    BOOST_TEST(full["version"] == "3");
    BOOST_TEST(get("/events/" + full["id"].text()) == full);
    get("/events/" + nobody, 404);

    using Ids = std::vector<std::string>;
    const Ids newest_first{full["id"].text(), plain["id"].text()};
    BOOST_TEST(column(get("/events/?event_type=" + type), "id") == newest_first,
               boost::test_tools::per_element());
    BOOST_TEST(column(get("/events?event_type=" + type +
                          "&aggregate_type=thing&aggregate_id=" + some_aggregate),
                      "id") == newest_first,
               boost::test_tools::per_element());
    BOOST_TEST(get("/events/?event_type=" + type + "&aggregate_type=other").size() == 0u);
    BOOST_TEST(get("/events/?event_type=" + type + "&limit=1").size() == 1u);
    BOOST_TEST(all_pages("/events/?limit=1&event_type=" + type).size() == 2u);
}

BOOST_AUTO_TEST_CASE(events_are_checked_and_only_appended) {
    auto& stack = shared_stack();
    const auto event = make_event(fresh_name("type"));
    for (const std::string missing : {"event_type", "aggregate_type", "aggregate_id"}) {
        std::string body = "{";
        for (const std::string member : {"event_type", "aggregate_type", "aggregate_id"}) {
            if (member != missing)
                body += "\"" + member + "\":\"" +
                        (member == "aggregate_id" ? some_aggregate : "x") + "\",";
        }
        body.back() = '}';
        const auto detail = problem(stack.http("POST", "/events/", body), 422);
        BOOST_TEST(detail.find(missing) != std::string::npos, detail);
    }
    problem(stack.http("POST", "/events/",
                       R"({"event_type":"x","aggregate_type":"y","aggregate_id":"z"})"),
            422);
    for (const std::string method : {"PATCH", "DELETE", "PUT"}) {
        const auto answer = stack.http(method, "/events/" + event["id"].text(), "{}");
        problem(answer, 405);
        BOOST_TEST(answer.header("allow").find("GET") != std::string::npos);
    }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(api_door)

BOOST_AUTO_TEST_CASE(root_and_health_need_no_key) {
    const auto root = Json::parse(with_key("", "GET", "/").body);
    BOOST_TEST(root["status"] == "operational");
    BOOST_TEST(!root["service"].text().empty());
    BOOST_TEST(!root["version"].text().empty());
    BOOST_TEST(root["endpoints"].is_object());
    for (const auto* path : {"/health", "/health/live"}) {
        const auto answer = with_key("", "GET", path);
        BOOST_TEST(answer.status == 200);
        BOOST_TEST(Json::parse(answer.body)["status"] == "alive");
    }
    for (const auto port : {shared_stack().port("http"), shared_stack().port("admin")}) {
        const auto answer = HttpClient(port).request("GET", "/health/ready");
        BOOST_TEST(answer.status == 200, answer.body);
        const auto ready = Json::parse(answer.body);
        BOOST_TEST(ready["status"] == "ready");
        BOOST_TEST(ready["database"] == "up");
        BOOST_TEST(ready["redis"] == "up");
    }
}

BOOST_AUTO_TEST_CASE(keys_are_asked_for_and_checked) {
    const auto& key = shared_stack().env("MUSTER_API_KEY");
    BOOST_TEST(with_key("X-API-Key: " + key + "\r\n", "GET", "/agents/?limit=1").status == 200);
    BOOST_TEST(
        with_key("Authorization: Bearer " + key + "\r\n", "GET", "/agents/?limit=1").status == 200);
    auto wrong = key;
    wrong.back() = wrong.back() == 'A' ? 'E' : 'A';
    for (const std::string& header :
         {std::string(), std::string("X-API-Key: \r\n"), "X-API-Key: " + wrong + "\r\n",
          "Authorization: Basic " + key + "\r\n", std::string("X-API-Key: ' or 1=1 --\r\n")}) {
        const auto answer = with_key(header, "POST", "/agents/", R"({"name":"burglar"})");
        problem(answer, 401);
        BOOST_TEST(answer.header("www-authenticate").find("Bearer") != std::string::npos);
        BOOST_TEST(answer.body.find(wrong) == std::string::npos);
    }
}

BOOST_AUTO_TEST_CASE(a_key_reaches_as_far_as_its_scopes) {
    const auto owner = pg_connect(shared_stack().env("MUSTER_POSTGRES_DSN"));
    const auto key_of = [&](const std::string& scopes) {
        return "X-API-Key: " +
               pg_value(owner, "select muster.create_api_key('" + fresh_name("scoped") +
                                   "', scopes => '{" + scopes + "}')") +
               "\r\n";
    };
    const auto reader = key_of("read"), writer = key_of("write");
    BOOST_TEST(with_key(reader, "GET", "/agents/?limit=1").status == 200);
    problem(with_key(reader, "POST", "/agents/", R"({"name":"x"})"), 403);
    problem(with_key(reader, "DELETE", "/agents/" + nobody), 403);
    BOOST_TEST(with_key(writer, "POST", "/agents/", R"({"name":"by a writer"})").status == 201);
    problem(with_key(writer, "GET", "/agents/"), 403);
}

BOOST_AUTO_TEST_CASE(a_revoked_key_stops_working_within_moments) {
    const auto owner = pg_connect(shared_stack().env("MUSTER_POSTGRES_DSN"));
    const auto name = fresh_name("revoked");
    const auto header =
        "X-API-Key: " + pg_value(owner, "select muster.create_api_key('" + name + "')") + "\r\n";
    BOOST_TEST(with_key(header, "GET", "/agents/?limit=1").status == 200);
    pg_exec(owner, "select muster.revoke_api_key('" + name + "')");
    wait_until("the key to be refused",
               [&] { return with_key(header, "GET", "/agents/?limit=1").status == 401; });
}

BOOST_AUTO_TEST_SUITE_END()
