// A database that goes away and comes back under load, and a Redis that hangs: what requests are
// answered meanwhile, and how soon all is well again.
//
// MUSTER_OUTAGE_SECONDS is how long the database is away; 6 if not given.
#include <atomic>
#include <chrono>
#include <csignal>
#include <map>
#include <mutex>
#include <thread>

#include "end_to_end/support.hpp"

using namespace muster::test;
using namespace std::chrono_literals;

namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::duration duration) {
    return std::chrono::duration<double>(duration).count();
}

std::chrono::seconds outage_time() {
    const char* const given = std::getenv("MUSTER_OUTAGE_SECONDS");
    return std::chrono::seconds(given == nullptr ? 6 : std::stoi(given));
}

std::string premium_headers(const std::string& name) {
    const auto owner = pg_connect(shared_stack().env("MUSTER_POSTGRES_DSN"));
    return "X-API-Key: " +
           pg_value(owner, "select muster.create_api_key('" + name + "', 'premium')") +
           "\r\nContent-Type: application/json\r\n";
}

HttpAnswer get_with(const std::string& target, const std::string& headers) {
    return HttpClient(shared_stack().port("http")).request("GET", target, headers);
}

double circuit(const std::string& name) {
    return sample("circuit_breaker_state", {"circuit=\"" + name + '"'});
}

std::string proxy_log() {
    return read_file(shared_stack().directory() / "log" / "proxy.log");
}

bool is_stale(const HttpAnswer& answer) {
    return answer.header("cache-status").find("detail=stale") != std::string::npos;
}

// Clients that send one request after the other, a few hundred a second, and remember what came.
class Load {
  public:
    struct Outcome {
        Clock::time_point begun;
        Clock::duration took;
        HttpAnswer answer;  // without its body
    };

    explicit Load(std::string headers) : headers_(std::move(headers)) {
        for (int i = 0; i < 8; ++i)
            threads_.emplace_back([this, i] { run(i); });
    }
    ~Load() { stop(); }
    std::vector<Outcome> stop() {
        stopping_ = true;
        for (auto& thread : threads_)
            thread.join();
        threads_.clear();
        return std::move(outcomes_);
    }
    // Whether all requests sent in the last second that have an answer were served.
    bool served() {
        const std::lock_guard lock(mutex_);
        const auto since = Clock::now() - 1s;
        int recent = 0;
        for (auto outcome = outcomes_.rbegin(); outcome != outcomes_.rend(); ++outcome) {
            if (outcome->begun < since)
                continue;
            if (outcome->answer.status >= 300 || is_stale(outcome->answer))
                return false;
            ++recent;
        }
        return recent > 20;
    }

  private:
    void run(int client) {
        std::unique_ptr<HttpClient> http;
        for (int n = 0; !stopping_; ++n) {
            Outcome outcome{Clock::now(), {}, {}};
            try {
                if (!http)
                    http = std::make_unique<HttpClient>(shared_stack().port("http"));
                outcome.answer = request(*http, client, n);
            } catch (const std::runtime_error&) {
                http.reset();  // status 0: the proxy has closed the connection
            }
            outcome.took = Clock::now() - outcome.begun;
            outcome.answer.body.clear();
            {
                const std::lock_guard lock(mutex_);
                outcomes_.push_back(std::move(outcome));
            }
            std::this_thread::sleep_for(20ms);
        }
    }

    // In turn: from the cache, from the database, a write.
    HttpAnswer request(HttpClient& http, int client, int n) {
        switch (n % 3) {
            case 0:
                return http.request("GET", "/tools/?limit=10", headers_);
            case 1:
                return http.request(
                    "GET", "/agents/?offset=" + std::to_string(client * 1000000 + n), headers_);
            default:
                return http.request("POST", "/agents/", headers_,
                                    R"({"name":")" + fresh_name("load") + R"("})");
        }
    }

    const std::string headers_;
    std::atomic<bool> stopping_{false};
    std::mutex mutex_;
    std::vector<Outcome> outcomes_;
    std::vector<std::thread> threads_;
};

// Notes when the server accepts connections again.
class Return {
  public:
    Return()
        : thread_([this] {
              const auto dsn = shared_stack().env("MUSTER_POSTGRES_DSN");
              while (!stopping_ && PQping(dsn.c_str()) != PQPING_OK)
                  std::this_thread::sleep_for(2ms);
              at_ = Clock::now();
          }) {}
    ~Return() { end(); }
    Clock::time_point end() {
        stopping_ = true;
        if (thread_.joinable())
            thread_.join();
        return at_;
    }

  private:
    std::atomic<bool> stopping_{false};
    Clock::time_point at_;
    std::thread thread_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(outage_under_load)

BOOST_AUTO_TEST_CASE(postgresql_goes_for_a_while) {
    auto& stack = shared_stack();
    const auto headers = premium_headers("outage");
    make_tool(fresh_name("kept"));
    // A token of a transaction that no answer from the cache has seen.
    wait_until("the cache to be used", [&] {
        return get_with("/tools/?limit=10", headers).header("cache-status").find("; hit") !=
               std::string::npos;
    });
    const auto token =
        HttpClient(stack.port("http"))
            .request("POST", "/agents/", headers, R"({"name":")" + fresh_name("token") + R"("})")
            .header("muster-token");
    BOOST_REQUIRE(!token.empty());

    Load load(headers);
    wait_until("the load to be served", [&] { return load.served(); });
    const auto log_before = proxy_log().size();
    stack.stop("postgres");
    const auto stopped = Clock::now();
    wait_until("the breaker to open", [&] { return circuit("database") >= 2; });
    wait_until("a stale answer", [&] { return is_stale(get_with("/tools/?limit=10", headers)); });
    // What is in the cache has been read before the load's end; the token is of before that. So
    // one of the future stands for one that it has not seen.
    const auto unseen = token.substr(0, token.find(':') + 1) + "9000000000000000000";
    const auto against = get_with("/tools/?limit=10", headers + "Muster-Token: " + unseen + "\r\n");
    BOOST_TEST(against.status == 503);
    BOOST_TEST(against.header("cache-status") == "");
    // Another entry point, the same key: known, and answered at once.
    problem(get_with("/goals/?offset=77", headers), 503);
    std::this_thread::sleep_until(stopped + outage_time());

    Return back;
    stack.start();
    wait_until("the load to be served again", [&] { return load.served(); });
    const auto returned = back.end();
    const auto outcomes = load.stop();
    wait_until("the breaker to close", [&] {
        get_with("/agents/?offset=78", headers);
        return circuit("database") == 0;
    });

    std::map<int, int> statuses;
    int stale = 0;
    Clock::duration longest{};
    auto last_failure = returned;
    for (const auto& outcome : outcomes) {
        ++statuses[outcome.answer.status];
        stale += is_stale(outcome.answer) ? 1 : 0;
        longest = std::max(longest, outcome.took);
        const bool allowed = outcome.answer.status == 200 || outcome.answer.status == 201 ||
                             outcome.answer.status == 503 || outcome.answer.status == 504;
        BOOST_TEST(allowed, "status " << outcome.answer.status);
        if (outcome.answer.status == 503)
            BOOST_TEST(outcome.answer.header("retry-after") != "");
        if (is_stale(outcome.answer))
            BOOST_TEST(outcome.answer.status == 200);
        if (outcome.answer.status >= 300 || is_stale(outcome.answer))
            last_failure = std::max(last_failure, outcome.begun);
    }
    std::string table;
    for (const auto& [status, count] : statuses)
        table += " " + std::to_string(count) + " x " + std::to_string(status);
    BOOST_TEST_MESSAGE("outage of " << outage_time().count() << " s under load:" << table << ", "
                                    << stale << " of them stale; longest request "
                                    << seconds(longest) << " s; full service "
                                    << seconds(last_failure - returned)
                                    << " s after PostgreSQL accepted connections");
    BOOST_TEST(stale > 0);
    BOOST_TEST(statuses[503] > 0);
    // The deadline is 5 s and a cancelled query's grace half a second; the rest is the machine's.
    BOOST_TEST(seconds(longest) < 10);
    BOOST_TEST(seconds(last_failure - returned) < 20);
    const auto log = proxy_log().substr(log_before);
    for (const std::string change :
         {"open, was closed", "recovering, was half-open", "closed, was recovering"})
        BOOST_TEST(log.find("circuit breaker of database: " + change) != std::string::npos, change);
    BOOST_TEST(sample("cache_stale_total") >= stale);
}

BOOST_AUTO_TEST_CASE(redis_hangs) {
    auto& stack = shared_stack();
    const auto headers = premium_headers("hang");
    const auto read = [&](int n) {
        const auto answer = get_with("/events/?offset=" + std::to_string(5000 + n), headers);
        BOOST_TEST(answer.status == 200, answer.body);
    };
    wait_until("the cache to be used", [&] {
        return get_with("/events/?limit=7", headers).header("cache-status").find("; hit") !=
               std::string::npos;
    });
    const auto errors = sample("cache_l2_errors_total");
    const auto log_before = proxy_log().size();
    stack.signal("redis", SIGSTOP);
    const auto begun = Clock::now();
    for (int n = 0; n < 200; ++n)
        read(n);
    BOOST_TEST_MESSAGE("200 reads beside a Redis that hangs took " << seconds(Clock::now() - begun)
                                                                   << " s");
    BOOST_TEST(circuit("redis") >= 2);
    BOOST_TEST(
        HttpClient(stack.port("http"))
            .request("POST", "/agents/", headers, R"({"name":")" + fresh_name("hang") + R"("})")
            .status == 201);
    // Few have waited for it: those that opened the breaker, and probes.
    BOOST_TEST(sample("cache_l2_errors_total") - errors < 50);
    stack.signal("redis", SIGCONT);
    int n = 1000;
    wait_until("the breaker to close", [&] {
        read(n++);
        return circuit("redis") == 0;
    });
    const auto log = proxy_log().substr(log_before);
    for (const std::string change :
         {"open, was closed", "recovering, was half-open", "closed, was recovering"})
        BOOST_TEST(log.find("circuit breaker of redis: " + change) != std::string::npos, change);
}

BOOST_AUTO_TEST_SUITE_END()
