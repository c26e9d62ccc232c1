// Rate limits and API keys on a whole stack: every status and header, several proxies on one Redis,
// and what happens when Redis or the database goes.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <memory>
#include <mutex>
#include <thread>

#include <sys/wait.h>

#include "end_to_end/extra_proxy.hpp"
#include "end_to_end/support.hpp"
#include "limit/window.hpp"
#include "push/client.hpp"

using namespace muster::test;
using namespace std::chrono_literals;

namespace {

muster::limit::Nanos now() {
    return std::chrono::steady_clock::now().time_since_epoch() / 1ns;
}

std::string owner(const std::string& sql) {
    return pg_value(pg_connect(shared_stack().env("MUSTER_POSTGRES_DSN")), sql);
}

std::string make_key(const std::string& name, const std::string& rest = "") {
    return owner("select muster.create_api_key('" + name + "'" + rest + ")");
}

std::string header(const std::string& key) {
    return "X-API-Key: " + key + "\r\nContent-Type: application/json\r\n";
}

void await_proxies(unsigned short admin, int count) {
    wait_until("the proxies to know each other", [&] {
        return ExtraProxy::metric_of(admin, "muster_limit_proxies") == count &&
               ExtraProxy::metric_of(admin, "muster_limit_local_share") == 0;
    });
}

// Sends requests until one is refused, `most` at most.
HttpAnswer until_refused(HttpClient& client, const std::string& headers,
                         const std::string& target = "/tools/?limit=1", int most = 3000) {
    for (int i = 0; i < most; ++i) {
        auto answer = client.request("GET", target, headers);
        if (answer.status == 429)
            return answer;
    }
    throw std::runtime_error("nothing is refused");
}

std::string last_word(const std::string& text, char before) {
    return text.substr(text.rfind(before) + 1);
}

int seconds_of_the_long_run() {
    const char* const given = std::getenv("MUSTER_LIMITS_SECONDS");
    return given == nullptr ? 0 : std::stoi(given);
}

// What clients of several proxies get of one key.
struct Run {
    std::vector<Admitted> admitted;
    std::size_t refused = 0;
    std::size_t other = 0;
    double seconds = 0;
};

Run run(const std::vector<unsigned short>& ports, const std::string& key,
        std::chrono::seconds duration) {
    Run all;
    std::mutex mutex;
    const auto start = now();
    const auto end = start + std::chrono::nanoseconds(duration).count();
    std::vector<std::thread> clients;
    for (const auto port : ports) {
        clients.emplace_back([&, port] {
            Run mine;
            HttpClient client(port);
            while (now() < end) {
                const auto before = now();
                const auto status = client.request("GET", "/tools/?limit=1", header(key)).status;
                if (status == 200)
                    mine.admitted.push_back({before, now()});
                else if (status == 429)
                    ++mine.refused;
                else
                    ++mine.other;
                if (status != 200)
                    std::this_thread::sleep_for(3ms);
            }
            const std::lock_guard lock(mutex);
            all.admitted.insert(all.admitted.end(), mine.admitted.begin(), mine.admitted.end());
            all.refused += mine.refused;
            all.other += mine.other;
        });
    }
    for (auto& client : clients)
        client.join();
    all.seconds = static_cast<double>(now() - start) / 1e9;
    return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(limits)

BOOST_AUTO_TEST_CASE(every_answer_says_where_one_stands) {
    const auto key = make_key(fresh_name("standing"));
    const auto port = shared_stack().port("http");
    const auto first = HttpClient(port).request("GET", "/tools/?limit=1", header(key));
    BOOST_TEST(first.status == 200);
    BOOST_TEST(first.header("ratelimit-policy") == "\"standard\";q=100;w=1");
    BOOST_TEST(first.header("ratelimit") == "\"standard\";r=99;t=1");
    BOOST_TEST(first.header("x-ratelimit-limit") == "100");
    BOOST_TEST(first.header("x-ratelimit-remaining") == "99");
    BOOST_TEST(first.header("x-ratelimit-reset") == "1");
    BOOST_TEST(first.header("retry-after") == "");
    // So do answers that are errors, whoever finds them.
    for (const char* target : {"/tools/?limit=x", "/tools/00000000-0000-4000-8000-000000000000"}) {
        const auto answer = HttpClient(port).request("GET", target, header(key));
        BOOST_TEST(answer.status >= 400);
        BOOST_TEST(answer.header("ratelimit-policy") == "\"standard\";q=100;w=1");
    }
    const auto premium = make_key(fresh_name("premium"), ", tier => 'premium'");
    const auto other = HttpClient(port).request("GET", "/tools/?limit=1", header(premium));
    BOOST_TEST(other.header("ratelimit-policy") == "\"premium\";q=1000;w=1");
    BOOST_TEST(other.header("x-ratelimit-limit") == "1000");
    // What has no route or needs no key has no quota.
    for (const char* target : {"/health", "/health/live", "/health/ready", "/", "/nothing"})
        BOOST_TEST(HttpClient(port).request("GET", target).header("ratelimit") == "");
}

BOOST_AUTO_TEST_CASE(past_the_quota_the_answer_is_429) {
    const ExtraProxy proxy({"limits.standard_rate=1", "limits.standard_burst=20"});
    const auto key = make_key(fresh_name("refused"));
    HttpClient client(proxy.http);
    const auto refused = until_refused(client, header(key));
    const auto detail = problem(refused, 429);
    const auto retry = refused.header("retry-after");
    BOOST_TEST(std::stoi(retry) >= 1);
    BOOST_TEST(std::stoi(retry) <= 20);
    BOOST_TEST(detail == "the API key's limit of 1 requests per second is used up; try again in " +
                             retry + " s");
    BOOST_TEST(refused.header("ratelimit-policy") == "\"standard\";q=20;w=20");
    BOOST_TEST(refused.header("ratelimit").find("\"standard\";r=0;t=") == 0U);
    BOOST_TEST(refused.header("x-ratelimit-limit") == "20");
    BOOST_TEST(refused.header("x-ratelimit-remaining") == "0");
    BOOST_TEST(refused.header("x-ratelimit-reset") == last_word(refused.header("ratelimit"), '='));
    const auto json = Json::parse(refused.body);
    BOOST_TEST(json["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded");
    BOOST_TEST(json["title"] == "Too Many Requests");
    BOOST_TEST(json["violated-policies"][0] == "standard");
    // Refused is refused, whatever is asked for; health is not.
    BOOST_TEST(client.request("POST", "/tools/", header(key), "{}").status == 429);
    for (int i = 0; i < 50; ++i)
        BOOST_TEST(client.request("GET", "/health/live").status == 200);
    // Another key is another quota.
    BOOST_TEST(client.request("GET", "/tools/?limit=1", header(make_key(fresh_name("k")))).status ==
               200);
    BOOST_TEST(proxy.metric("muster_limit_rejected_total{tier=\"standard\"}") >= 2);
    std::this_thread::sleep_for(std::chrono::seconds(std::stoi(retry)));
    wait_until("the quota to fill",
               [&] { return client.request("GET", "/tools/?limit=1", header(key)).status == 200; });
}

BOOST_AUTO_TEST_CASE(a_route_may_cost_more) {
    auto command = shared_stack().proxy_command();
    const auto option = std::find(command.begin(), command.end(), "--config");
    BOOST_REQUIRE(command.end() - option > 1);
    const Sandbox sandbox;
    const auto path = sandbox.path() / "proxy.toml";
    std::ofstream(path) << read_file(option[1])
                        << "\n[[route]]\nname = \"dear\"\nmatch = \"GET /dear\"\ncost = 40\n"
                           "call = \"muster.tools_json(row_limit => 1)\"\n";
    option[1] = path;
    auto impossible = command;  // it could never pass
    impossible.insert(impossible.end(), {"--set", "limits.standard_burst=39"});
    {
        const auto log = sandbox.path() / "log";
        Process process(impossible, log, SIGKILL);
        BOOST_TEST(WEXITSTATUS(process.wait()) == 2);
        BOOST_TEST(read_file(log).find("route \"dear\" has the cost 40") != std::string::npos);
    }
    const ExtraProxy dear({"limits.standard_rate=1"}, command);
    const auto key = make_key(fresh_name("dear"));
    HttpClient client(dear.http);
    BOOST_TEST(client.request("GET", "/dear", header(key)).status == 200);
    const auto second = client.request("GET", "/dear", header(key));
    BOOST_TEST(second.status == 200);
    BOOST_TEST(std::stoi(second.header("x-ratelimit-remaining")) <= 30);
    const auto third = client.request("GET", "/dear", header(key));
    BOOST_TEST(third.status == 429);
    BOOST_TEST(std::stoi(third.header("retry-after")) > 5);
}

BOOST_AUTO_TEST_CASE(four_proxies_give_one_quota) {
    const std::vector<std::string> settings{"threads=1"};
    const ExtraProxy second(settings), third(settings), fourth(settings);
    auto& stack = shared_stack();
    for (const auto admin : {stack.port("admin"), second.admin, third.admin, fourth.admin})
        await_proxies(admin, 4);
    const std::vector<unsigned short> ports{stack.port("http"), second.http, third.http,
                                            fourth.http};
    const int given = seconds_of_the_long_run();
    const auto duration = std::chrono::seconds(given > 0 ? given : 10);
    const auto result = run(ports, make_key(fresh_name("four")), duration);
    const double allowed = 100 + 100 * result.seconds;
    BOOST_TEST_MESSAGE("4 proxies, 1 key of 100 a second, "
                       << result.seconds << " s: " << result.admitted.size() << " admitted, "
                       << result.refused << " refused; burst and rate allow " << allowed
                       << "; the fullest window has " << excess(result.admitted, 100)
                       << " above the rate, 180 are allowed");
    BOOST_TEST(result.other == 0U);
    BOOST_TEST(result.refused > 0U);
    BOOST_TEST(excess(result.admitted, 100) <= 100 + 4 * 2 * 10);
    if (given > 0) {  // long enough for the burst and the leases not to count
        BOOST_TEST(static_cast<double>(result.admitted.size()) <= 1.01 * allowed);
        BOOST_TEST(static_cast<double>(result.admitted.size()) >= 0.99 * 100 * result.seconds);
    }
}

BOOST_AUTO_TEST_CASE(redis_is_killed_in_the_middle) {
    const ExtraProxy other({"threads=1"});
    auto& stack = shared_stack();
    await_proxies(stack.port("admin"), 2);
    await_proxies(other.admin, 2);
    const auto key = make_key(fresh_name("outage"));
    const auto local = [&] { return other.metric("muster_limit_local_share"); };
    std::thread killing([&] {
        std::this_thread::sleep_for(1s);
        stack.stop("redis");
        wait_until("the outage to be seen", [&] { return local() == 1; });
        std::this_thread::sleep_for(3s);
        stack.start();
        wait_until("the outage to be over", [&] { return local() == 0; });
    });
    const auto result = run({stack.port("http"), other.http}, key, 8s);
    killing.join();
    BOOST_TEST_MESSAGE("Redis gone for 3 s: " << result.admitted.size() << " admitted in "
                                              << result.seconds << " s, excess "
                                              << excess(result.admitted, 100));
    BOOST_TEST(result.other == 0U);
    BOOST_TEST(result.refused > 0U);
    // A Redis that has lost its memory may give the burst once more.
    BOOST_TEST(excess(result.admitted, 100) <= 2 * 100 + 2 * 2 * 10);
    BOOST_TEST(static_cast<double>(result.admitted.size()) >= 100 * result.seconds / 2);
    BOOST_TEST(other.said().find("rate limits: Redis does not answer") != std::string::npos);
    BOOST_TEST(other.said().rfind("rate limits are shared through Redis by 2 proxies") >
               other.said().find("rate limits: Redis does not answer"));
}

BOOST_AUTO_TEST_CASE(switched_off_there_are_no_limits_and_no_headers) {
    const ExtraProxy proxy({"limits.enabled=false", "limits.standard_burst=1"});
    const auto key = make_key(fresh_name("free"));
    HttpClient client(proxy.http);
    for (int i = 0; i < 20; ++i) {
        const auto answer = client.request("GET", "/tools/?limit=1", header(key));
        BOOST_TEST(answer.status == 200);
        BOOST_TEST(answer.header("ratelimit") == "");
    }
    for (int i = 0; i < 150; ++i)
        BOOST_TEST(client.request("GET", "/tools/", header("bogus")).status == 401);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(keys)

BOOST_AUTO_TEST_CASE(scopes_are_enforced) {
    const auto port = shared_stack().port("http");
    const auto reader = make_key(fresh_name("reader"), ", scopes => '{read}'");
    const auto writer = make_key(fresh_name("writer"), ", scopes => '{write}'");
    const auto status = [&](const char* method, const std::string& key) {
        return HttpClient(port).request(
            method, "/tools/", header(key),
            method == std::string("POST") ? std::optional<std::string>("{}") : std::nullopt);
    };
    BOOST_TEST(status("GET", reader).status == 200);
    BOOST_TEST(status("POST", writer).status == 422);
    const auto no_write = status("POST", reader);
    BOOST_TEST(problem(no_write, 403) == "the API key lacks the scope \"write\"");
    BOOST_TEST(no_write.header("ratelimit-policy") == "\"standard\";q=100;w=1");
    BOOST_TEST(problem(status("GET", writer), 403) == "the API key lacks the scope \"read\"");
}

BOOST_AUTO_TEST_CASE(failed_attempts_are_limited_by_address_before_the_database_is_asked) {
    const ExtraProxy proxy({"limits.address_rate=1", "limits.address_burst=30", "threads=1"});
    const auto known = make_key(fresh_name("known"));
    HttpClient client(proxy.http);
    BOOST_TEST(client.request("GET", "/tools/?limit=1", header(known)).status == 200);
    const auto none = client.request("GET", "/tools/");
    problem(none, 401);
    BOOST_TEST(none.header("ratelimit-policy") == "\"address\";q=30;w=30");
    HttpAnswer answer;
    int attempts = 0;
    do {
        answer = client.request("GET", "/tools/", header("guess-" + std::to_string(attempts)));
        BOOST_REQUIRE((answer.status == 401 || answer.status == 429));
    } while (answer.status == 401 && ++attempts < 100);
    const auto detail = problem(answer, 429);
    BOOST_TEST(detail.find("too many requests without a valid API key") == 0U);
    BOOST_TEST(answer.header("retry-after") != "");
    BOOST_TEST(Json::parse(answer.body)["violated-policies"][0] == "address");
    // A key that is in use goes on, though it comes from the same address and is looked up again;
    // one that nobody has seen yet waits with the guesses.
    std::this_thread::sleep_for(1100ms);
    BOOST_TEST(client.request("GET", "/tools/?limit=1", header(known)).status == 200);
    for (int i = 0; i < 5; ++i)
        client.request("GET", "/tools/");
    const auto fresh = make_key(fresh_name("fresh"));
    BOOST_TEST(client.request("GET", "/tools/?limit=1", header(fresh)).status == 429);
    BOOST_TEST(proxy.metric("muster_limit_rejected_total{tier=\"address\"}") >= 2);
}

BOOST_AUTO_TEST_CASE(addresses_behind_a_trusted_proxy_are_told_apart) {
    const ExtraProxy proxy({"limits.address_rate=1", "limits.address_burst=10",
                            "http.trusted_proxies=127.0.0.1, 10.0.0.0/8", "threads=1"});
    HttpClient client(proxy.http);
    const auto from = [&](const std::string& forwarded) {
        return client.request("GET", "/tools/", "X-Forwarded-For: " + forwarded + "\r\n").status;
    };
    const auto exhaust = [&](const std::string& forwarded) {
        for (int i = 0; i < 100; ++i) {
            if (from(forwarded) == 429)
                return true;
        }
        return false;
    };
    BOOST_TEST(exhaust("198.51.100.1"));
    BOOST_TEST(from("198.51.100.2") == 401);
    // Read from the right: what the client writes itself does not help it.
    BOOST_TEST(exhaust("198.51.100.1, 10.1.1.1"));
    BOOST_TEST(exhaust("203.0.113.9, 198.51.100.1"));
    BOOST_TEST(from("198.51.100.1, 198.51.100.3") == 401);
    BOOST_TEST(exhaust("2001:db8:0:1::1"));
    BOOST_TEST(exhaust("2001:db8:0:1::2"));
    BOOST_TEST(from("2001:db8:0:2::1") == 401);

    const ExtraProxy trusts_nobody({"limits.address_rate=1", "limits.address_burst=10"});
    HttpClient direct(trusts_nobody.http);
    int refused = 0;
    for (int i = 0; i < 30; ++i)
        refused += direct
                       .request("GET", "/tools/",
                                "X-Forwarded-For: 198.51.100." + std::to_string(i) + "\r\n")
                       .status == 429;
    BOOST_TEST(refused > 0);
}

BOOST_AUTO_TEST_CASE(bogus_keys_and_addresses_cost_bounded_memory) {
    const ExtraProxy proxy({"limits.address_rate=1000000", "limits.address_burst=1000000",
                            "http.trusted_proxies=127.0.0.1", "threads=1"});
    const auto memory = [&] {  // KiB
        const auto status = read_file("/proc/" + std::to_string(proxy.pid()) + "/status");
        return std::stol(status.substr(status.find("VmRSS:") + 6));
    };
    // Pipelined, each with a key and an address of its own; the answers are counted, not parsed.
    const auto send = [&](int first, int count) {
        HttpClient client(proxy.http);
        for (int at = first; at < first + count; at += 100) {
            std::string batch;
            for (int i = at; i < at + 100; ++i)
                batch += "GET /tools/ HTTP/1.1\r\nHost: x\r\nX-API-Key: bogus-" +
                         std::to_string(i) + "\r\nX-Forwarded-For: 10." +
                         std::to_string(i >> 16 & 255) + "." + std::to_string(i >> 8 & 255) + "." +
                         std::to_string(i & 255) + "\r\n\r\n";
            client.send(batch);
            for (int i = 0; i < 100; ++i)
                BOOST_REQUIRE(client.read().status == 401);
        }
    };
    // Past the bounds of what is kept of them.
    send(0, 30000);
    const auto before = memory();
    const int given = seconds_of_the_long_run();
    send(30000, given > 0 ? 1000000 : 50000);
    const auto after = memory();
    BOOST_TEST_MESSAGE("RSS before " << before << " KiB, after " << after << " KiB");
    BOOST_TEST(after - before < 4 * 1024);  // 84 bytes of each would be more
    BOOST_TEST(proxy.metric("muster_limit_buckets") == 0);
}

// In use all the time, by every thread of both proxies, and by streams.
BOOST_AUTO_TEST_CASE(revoked_is_revoked_on_every_proxy) {
    using Time = std::chrono::steady_clock;
    constexpr auto slack = 2s;  // the machine's
    const ExtraProxy other;
    const auto name = fresh_name("revoked");
    const auto key = make_key(name, ", tier => 'premium'");
    const auto port = shared_stack().port("http");
    wait_until("the hub to listen", [&] { return other.metric("push_connected") == 1; });
    SseConnection here(port, "/events/stream", header(key));
    SseConnection there(other.http, "/events/stream", header(key));
    for (auto* stream : {&here, &there})
        BOOST_TEST(stream->next_news()->kind == "subscribed");

    struct Use {
        unsigned short port;
        Time::time_point last;  // when the last request that was served was sent
        int served = 0;
        std::atomic<bool> refused{false};
    };
    std::array<Use, 8> uses;
    std::vector<std::thread> clients;
    for (std::size_t i = 0; i < uses.size(); ++i) {
        uses[i].port = i % 2 == 0 ? port : other.http;
        clients.emplace_back([&use = uses[i], &key] {
            HttpClient client(use.port);
            const auto give_up = Time::now() + 30s;
            while (!use.refused && Time::now() < give_up) {
                const auto sent = Time::now();
                const auto status = client.request("GET", "/tools/?limit=1", header(key)).status;
                if (status == 200) {
                    use.last = sent;
                    ++use.served;
                }
                use.refused = status == 401;
                std::this_thread::sleep_for(20ms);
            }
        });
    }
    std::this_thread::sleep_for(1500ms);
    BOOST_TEST(owner("select muster.revoke_api_key('" + name + "')") == "t");
    const auto revoked = Time::now();
    for (auto* stream : {&here, &there}) {
        const auto told = stream->next_news();
        BOOST_TEST((told && told->kind == "closed"));
        BOOST_TEST((Time::now() - revoked < 1s + slack));
    }
    for (auto& client : clients)
        client.join();
    for (const auto& use : uses) {
        BOOST_TEST(use.served > 10);
        BOOST_TEST(use.refused.load());
        BOOST_TEST((use.last - revoked < 1s + slack));
    }
}

BOOST_AUTO_TEST_CASE(with_the_database_down_keys_verified_before_live_on_for_a_while) {
    auto& stack = shared_stack();
    const ExtraProxy patient({"threads=1"});
    const ExtraProxy strict({"threads=1", "http.key_grace=0s"});
    const auto reader = make_key(fresh_name("reader"), ", scopes => '{read}'");
    const auto unseen = make_key(fresh_name("unseen"));
    HttpClient at_patient(patient.http);
    HttpClient at_strict(strict.http);
    BOOST_TEST(at_patient.request("GET", "/tools/?limit=1", header(reader)).status == 200);
    BOOST_TEST(at_strict.request("GET", "/tools/?limit=1", header(reader)).status == 200);
    stack.stop("postgres");
    std::this_thread::sleep_for(1100ms);
    // That the key is known shows in the refusal of what its scope does not cover.
    wait_until("the outage to be seen", [&] {
        return at_patient.request("GET", "/tools/?limit=1", header(reader)).status == 503;
    });
    BOOST_TEST(at_patient.request("POST", "/tools/", header(reader), "{}").status == 403);
    BOOST_TEST(at_strict.request("POST", "/tools/", header(reader), "{}").status == 503);
    BOOST_TEST(at_patient.request("POST", "/tools/", header(unseen), "{}").status == 503);
    stack.start();
    wait_until("the database to be back", [&] {
        return at_strict.request("GET", "/tools/?limit=1", header(reader)).status == 200 &&
               at_patient.request("GET", "/tools/?limit=1", header(reader)).status == 200;
    });
}

BOOST_AUTO_TEST_SUITE_END()
