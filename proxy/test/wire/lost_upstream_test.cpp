// The upstream killed at random under load: every client has its answer or an error, none hangs.
#include <boost/test/unit_test.hpp>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>

#include "harness/libpq.hpp"
#include "servers/postgres.hpp"
#include "wire/door.hpp"
#include "wire/relay.hpp"

using namespace muster;
using namespace muster::test;
using namespace std::chrono_literals;

namespace {

// Within which everything has to come to an end. The door's own deadlines are below.
constexpr auto patience = 20s;

// What became of clients and their queries.
struct Tally {
    std::atomic<int> answers{0}, errors{0}, wrong{0}, hung{0};
};

// A libpq session that never waits for longer than `patience`.
class PatientClient {
  public:
    PatientClient(const std::string& conninfo, Tally& tally)
        : connection_(PQconnectStart(conninfo.c_str())), tally_(tally) {
        auto state = PGRES_POLLING_WRITING;
        while (state != PGRES_POLLING_OK && state != PGRES_POLLING_FAILED) {
            if (!wait(state == PGRES_POLLING_READING ? POLLIN : POLLOUT))
                return;
            state = PQconnectPoll(connection_.get());
        }
        connected_ = state == PGRES_POLLING_OK;
        if (!connected_)
            ++tally_.errors;
    }

    bool connected() const { return connected_; }

    // Runs `sql`, whose rows' first values together are `expected`. False once there is no sense
    // in going on.
    bool ask(const std::string& sql, const std::string& expected) {
        deadline_ = Clock::now() + patience;
        if (PQsendQuery(connection_.get(), sql.c_str()) != 1)
            return failed();
        std::string got;
        bool error = false;
        for (;;) {
            while (PQisBusy(connection_.get()) == 1) {
                if (!wait(POLLIN))
                    return false;
                if (PQconsumeInput(connection_.get()) != 1)
                    return failed();
            }
            const PgResult result(PQgetResult(connection_.get()));
            if (!result)
                break;
            error = error || PQresultStatus(result.get()) != PGRES_TUPLES_OK;
            for (int row = 0; row < PQntuples(result.get()); ++row)
                got += PQgetvalue(result.get(), row, 0);
        }
        if (error)
            return failed();
        ++(got == expected ? tally_.answers : tally_.wrong);
        return true;
    }

  private:
    bool failed() {
        ++tally_.errors;
        return false;
    }
    bool wait(short events) {
        pollfd one{PQsocket(connection_.get()), events, 0};
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
        if (left > 0 && ::poll(&one, 1, static_cast<int>(left)) > 0)
            return true;
        ++tally_.hung;
        return false;
    }

    PgConnection connection_;
    Tally& tally_;
    TimePoint deadline_ = Clock::now() + patience;
    bool connected_ = false;
};

// Clients that come, ask and go, and come again.
class Crowd {
  public:
    Crowd(int clients, const std::string& conninfo, unsigned seed) {
        for (int i = 0; i < clients; ++i)
            threads_.emplace_back([this, conninfo, seed, i] {
                std::mt19937 random(seed + static_cast<unsigned>(i));
                while (!over_)
                    visit(conninfo, random);
            });
    }
    ~Crowd() { end(); }
    void end() {
        over_ = true;
        for (auto& thread : threads_)
            thread.join();
        threads_.clear();
    }
    const Tally& tally() const { return tally_; }

  private:
    void visit(const std::string& conninfo, std::mt19937& random) {
        PatientClient client(conninfo, tally_);
        if (!client.connected()) {
            std::this_thread::sleep_for(10ms);  // the server may be down
            return;
        }
        for (auto n = random() % 50; n > 0 && !over_; --n) {
            const auto value = std::to_string(random());
            const auto rows = 1 + random() % 2000;
            bool goes_on = false;
            if (random() % 4 == 0) {
                std::string all;
                for (std::size_t row = 0; row < rows; ++row)
                    all += value;
                goes_on = client.ask(
                    "select " + value + " from generate_series(1, " + std::to_string(rows) + ")",
                    all);
            } else if (random() % 4 == 0) {
                goes_on = client.ask("select " + value + " from pg_sleep(0.05)", value);
            } else {
                goes_on = client.ask("select " + value, value);
            }
            if (!goes_on)
                return;
        }
    }

    Tally tally_;
    std::atomic<bool> over_{false};
    std::vector<std::thread> threads_;
};

}  // namespace

BOOST_AUTO_TEST_CASE(an_upstream_killed_at_random_hangs_no_client) {
    const char* given = std::getenv("MUSTER_SEED");
    const auto seed =
        given != nullptr ? static_cast<unsigned>(std::stoul(given)) : std::random_device{}();
    BOOST_TEST_MESSAGE("MUSTER_SEED=" << seed);
    std::mt19937 random(seed);
    PostgresServer postgres;
    Relay relay(postgres.port());
    config::Wire wire;
    wire.upstream = {"127.0.0.1", relay.port()};
    wire.connect_timeout = 2s;
    wire.login_timeout = 5s;
    Door door(wire);
    Crowd crowd(16, door.conninfo("user=postgres dbname=postgres"), seed);
    const auto& tally = crowd.tally();
    // What the server says to `sql` once it runs.
    const auto sql = [&](const std::string& text) {
        std::string said;
        wait_until("PostgreSQL to answer", [&] {
            try {
                said = postgres.psql(text);
                return true;
            } catch (const std::runtime_error&) {
                return false;
            }
        });
        return said;
    };
    // A backend of the door's, 0 if there is none just now.
    const auto backend = [&] {
        const auto pid =
            sql("select pid from pg_stat_activity where client_addr is not null and "
                "backend_type = 'client backend' order by random() limit 1");
        return pid.empty() ? 0 : std::stoi(pid);
    };
    int faults[5] = {};
    for (int i = 0; i < 25; ++i) {
        const int answered = tally.answers;
        wait_until("answers", [&] { return tally.answers > answered + 50 || tally.hung > 0; });
        // Each once at least; those after which the server recovers, which takes a while, not more.
        const auto fault = i < 5 ? static_cast<std::size_t>(i) : random() % 3;
        ++faults[fault];
        switch (fault) {
            case 0:
                relay.reset_all();
                break;
            case 1:
                sql("select pg_terminate_backend(" + std::to_string(backend()) + ")");
                break;
            case 2:  // alive, and silent
                if (const auto pid = backend(); pid > 1) {
                    ::kill(pid, SIGSTOP);
                    std::this_thread::sleep_for(50ms);
                    ::kill(pid, SIGCONT);
                }
                break;
            case 3:  // all backends go with it
                if (const auto pid = backend(); pid > 1)
                    ::kill(pid, SIGKILL);
                break;
            default:
                postgres.crash_and_restart();
        }
    }
    crowd.end();
    BOOST_TEST_MESSAGE(tally.answers << " answers, " << tally.errors << " errors; resets "
                                     << faults[0] << ", terminated " << faults[1] << ", stopped "
                                     << faults[2]);
    BOOST_TEST(tally.hung == 0);
    BOOST_TEST(tally.wrong == 0);
    BOOST_TEST(tally.answers > 1000);
    BOOST_TEST(tally.errors > 16);
    door.wait_until_empty();
    BOOST_TEST(door.server().stats().connections_now == 0);
    BOOST_TEST(pg_value(pg_connect(door.conninfo("user=postgres dbname=postgres")), "select 1") ==
               "1");
}
