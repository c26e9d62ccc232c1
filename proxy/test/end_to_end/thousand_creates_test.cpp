// A thousand agents made and changed by eight clients at once, and one subscriber that misses
// nothing.
#include <map>
#include <thread>

#include "end_to_end/support.hpp"

using namespace muster::test;
using namespace std::chrono_literals;

namespace {

constexpr int clients = 8;
constexpr int creates = 125;  // by each client
constexpr int changes = 2;    // of each agent

// What one client does; returns the ids of its agents.
std::vector<std::string> work(const Stack& stack, int client) {
    HttpClient http(stack.port("http"));
    const auto headers = stack.http_headers();
    std::vector<std::string> ids;
    // Sends until the key's quota lets it pass.
    const auto expect = [&](int status, const std::string& method, const std::string& target,
                            const std::string& body) {
        auto answer = http.request(method, target, headers, body);
        for (int tries = 0; answer.status == 429 && tries < 60; ++tries) {
            std::this_thread::sleep_for(
                std::chrono::seconds(std::stoi(answer.header("retry-after"))));
            answer = http.request(method, target, headers, body);
        }
        if (answer.status != status)
            throw std::runtime_error(answer.body);
        return Json::parse(answer.body);
    };
    for (int i = 0; i < creates; ++i) {
        const auto name = "crowd-" + std::to_string(client) + "-" + std::to_string(i);
        const auto agent = expect(201, "POST", "/agents/", R"({"name":")" + name + R"("})");
        ids.push_back(agent["id"].text());
        for (int change = 1; change <= changes; ++change) {
            const auto body = R"({"metadata":{"change":)" + std::to_string(change) + "}}";
            expect(200, "PATCH", "/agents/" + ids.back(), body);
        }
    }
    return ids;
}

// A stream id as numbers that compare as Redis compares them.
std::pair<unsigned long long, unsigned long long> position(const std::string& id) {
    const auto dash = id.find('-');
    return {std::stoull(id.substr(0, dash)), std::stoull(id.substr(dash + 1))};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(thousand_creates)

BOOST_AUTO_TEST_CASE(every_change_is_told_once_and_in_order) {
    auto& stack = shared_stack();
    auto subscriber = stack.subscriber();
    std::vector<std::vector<std::string>> ids(clients);
    std::vector<std::string> failures(clients);
    std::vector<std::thread> threads;
    for (int client = 0; client < clients; ++client) {
        threads.emplace_back([&, client] {
            try {
                ids[static_cast<std::size_t>(client)] = work(stack, client);
            } catch (const std::exception& error) {
                failures[static_cast<std::size_t>(client)] = error.what();
            }
        });
    }

    constexpr int expected = clients * creates * (1 + changes);
    std::map<std::string, std::vector<Json>> told;  // by agent
    std::set<std::string> seen;
    std::string previous;
    int count = 0;
    while (count < expected) {
        const auto text = subscriber.next(30s);
        if (!text)
            break;
        const auto message = Json::parse(*text);
        const auto id = message["id"].text();
        BOOST_REQUIRE(seen.insert(id).second);
        if (!previous.empty()) {
            BOOST_REQUIRE(message["prev_id"] == previous);
            BOOST_REQUIRE((position(previous) < position(id)));
        }
        previous = id;
        if (message["aggregate_type"] == "agent") {
            told[message["aggregate_id"].text()].push_back(message);
            ++count;
        }
    }
    for (auto& thread : threads)
        thread.join();
    for (const auto& failure : failures)
        BOOST_TEST(failure == "");
    // Nothing comes behind what was expected.
    BOOST_TEST(!subscriber.next(500ms));
    BOOST_REQUIRE(count == expected);
    BOOST_TEST(told.size() == std::size_t{clients * creates});

    for (const auto& of_client : ids) {
        for (const auto& id : of_client) {
            const auto& messages = told[id];
            BOOST_REQUIRE(messages.size() == std::size_t{1 + changes});
            BOOST_TEST(messages[0]["event_type"] == "agent.created");
            for (std::size_t change = 1; change <= changes; ++change) {
                BOOST_TEST(messages[change]["event_type"] == "agent.updated");
                BOOST_TEST(messages[change]["payload"]["updates"]["metadata"]["change"] ==
                           std::to_string(change));
            }
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
