// Measures how long a change takes from its commit to live clients, and the proxy's memory.
//
//   push_client CONNINFO HTTP_PORT KEY READERS STALLED RATE SECONDS PROXY_PID P99 GROWTH
//
// Inserts rows into table `beat` (n bigint primary key, note text) at RATE a second and prints, for
// all events of all readers, the time from the acknowledged commit to the event's arrival. Ends
// with status 1 if a reader lacks an event, a stalled client was not told where to resume, the 99th
// percentile is not below P99 ms (0: any will do), or the memory has grown by more than GROWTH MB
// under load.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sys/prctl.h>
#include <sys/resource.h>

#include <libpq-fe.h>

#include "push/crowd.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;
using muster::test::Crowd;

constexpr auto patience = 30s;

struct Free {
    void operator()(PGconn* connection) const { PQfinish(connection); }
    void operator()(PGresult* result) const { PQclear(result); }
};

// Resident memory of a process, in MB.
double memory_of(const std::string& pid) {
    std::ifstream status("/proc/" + pid + "/status");
    std::string line;
    while (std::getline(status, line)) {
        if (line.starts_with("VmRSS:")) {
            return std::stod(line.substr(6)) / 1024;
        }
    }
    return 0;
}

double at(const std::vector<double>& sorted, double part) {
    const auto rank =
        static_cast<std::size_t>(std::ceil(part * static_cast<double>(sorted.size())));
    return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

int measure(char** arguments) {
    const auto readers = static_cast<std::size_t>(std::stoul(arguments[4]));
    const auto stalled = static_cast<std::size_t>(std::stoul(arguments[5]));
    const double rate = std::stod(arguments[6]);
    const auto beats = static_cast<std::size_t>(rate * std::stod(arguments[7]));
    const std::string pid = arguments[8];
    const double p99_bar = std::stod(arguments[9]);
    const double growth_bar = std::stod(arguments[10]);

    // Written before the commit's event can come, or just after: then it took no time.
    const auto never = Clock::time_point::max().time_since_epoch().count();
    std::vector<std::atomic<Clock::rep>> committed(beats);
    for (auto& one : committed) {
        one = never;
    }
    struct Heard {
        std::size_t n;
        Clock::rep when;
    };
    std::vector<Heard> heard;  // of the crowd's thread, until all have come
    heard.reserve(beats * readers);
    auto crowd = std::make_unique<Crowd>(
        Crowd::Setup{static_cast<unsigned short>(std::stoul(arguments[2])), arguments[3], readers,
                     stalled},
        [&](std::string_view json) {
            constexpr std::string_view before = R"("aggregate_id":")";
            const std::size_t begin = json.find(before);
            const auto n = std::strtoull(json.data() + begin + before.size(), nullptr, 10);
            heard.push_back({n, Clock::now().time_since_epoch().count()});
        });
    const double memory_before = memory_of(pid);
    crowd->come();
    const double memory_idle = memory_of(pid);

    const std::unique_ptr<PGconn, Free> connection(PQconnectdb(arguments[1]));
    const auto run = [&](const char* sql, const std::string& n) {
        const char* value = n.c_str();
        const std::unique_ptr<PGresult, Free> result(PQexecParams(
            connection.get(), sql, n.empty() ? 0 : 1, nullptr, &value, nullptr, nullptr, 0));
        if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) {
            throw std::runtime_error(PQerrorMessage(connection.get()));
        }
    };
    run("SET muster.publish = off", "");
    run("TRUNCATE beat", "");
    run("RESET muster.publish", "");
    ::prctl(PR_SET_TIMERSLACK, 1UL);
    const auto start = Clock::now() + 100ms;
    double memory_most = memory_idle;
    for (std::size_t n = 0; n < beats; ++n) {
        std::this_thread::sleep_until(
            start + std::chrono::duration_cast<Clock::duration>(
                        std::chrono::duration<double>(static_cast<double>(n) / rate)));
        run("INSERT INTO beat VALUES ($1, repeat('x', 1000))", std::to_string(n));
        committed[n] = Clock::now().time_since_epoch().count();
        if (n % 50 == 0) {
            memory_most = std::max(memory_most, memory_of(pid));
        }
    }
    const auto give_up = Clock::now() + patience;
    while (crowd->readers_with(beats) < readers && Clock::now() < give_up) {
        std::this_thread::sleep_for(20ms);
    }
    memory_most = std::max(memory_most, memory_of(pid));
    const std::size_t complete = crowd->readers_with(beats);
    crowd->wake_stalled();
    while (!crowd->stalled_ended() && Clock::now() < give_up) {
        std::this_thread::sleep_for(20ms);
    }
    const auto told = crowd->stalled();
    const auto overflowed =
        std::count_if(told.begin(), told.end(), [](const Crowd::Ledger& ledger) {
            return !ledger.overflow.empty() && ledger.overflow == ledger.last;
        });

    crowd.reset();  // nothing is noted any more

    std::vector<double> times;
    for (const Heard& one : heard) {
        const Clock::duration took(std::max<Clock::rep>(0, one.when - committed.at(one.n).load()));
        times.push_back(std::chrono::duration<double, std::milli>(took).count());
    }
    if (times.empty()) {
        std::fprintf(stderr, "nothing was heard\n");
        return 1;
    }
    std::sort(times.begin(), times.end());
    bool missed = false;
    const auto judged = [&](bool good) {
        missed = missed || !good;
        return good ? "" : "   MISSED";
    };
    const double p99 = at(times, 0.99);
    std::printf("  commit -> live client         p50 %7.2f  p95 %7.2f  p99 %7.2f  max %7.2f ms%s\n",
                at(times, 0.5), at(times, 0.95), p99, times.back(),
                judged(p99_bar == 0 || p99 < p99_bar));
    std::printf("  readers that got everything   %zu of %zu%s\n", complete, readers,
                judged(complete == readers));
    std::printf("  stalled, told where to resume %zd of %zu%s\n", static_cast<ssize_t>(overflowed),
                stalled, judged(static_cast<std::size_t>(overflowed) == stalled));
    std::printf(
        "  the proxy's memory            %.0f MB before, %.0f MB with all clients, at most "
        "%.0f MB%s\n",
        memory_before, memory_idle, memory_most, judged(memory_most - memory_idle <= growth_bar));
    return missed ? 1 : 0;
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 11) {
        std::fprintf(stderr,
                     "usage: push_client CONNINFO HTTP_PORT KEY READERS STALLED RATE SECONDS PID "
                     "P99 GROWTH\n");
        return 2;
    }
    rlimit files{};
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    try {
        return measure(arguments);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "push_client: %s\n", error.what());
        return 1;
    }
}
