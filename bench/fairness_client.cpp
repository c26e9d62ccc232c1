// Sends one query at a fixed rate on several connections, whether the answers keep up or not, and
// prints how that went.
//
//   fairness_client CONNINFO RATE CONNECTIONS SECONDS SQL
//
// Prints: queries that succeeded, that were refused with 53400, that failed otherwise, and of those
// that succeeded the median and the 99th percentile in microseconds, from the moment at which each
// was due.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <libpq-fe.h>

namespace {

using Clock = std::chrono::steady_clock;

struct Part {
    std::vector<double> latencies;  // microseconds
    long refused = 0;
    long failed = 0;
};

void run(PGconn* session, const char* sql, Clock::time_point first, Clock::duration period,
         Clock::time_point end, Part& part) {
    for (auto due = first; due < end; due += period) {
        std::this_thread::sleep_until(due);
        const std::unique_ptr<PGresult, void (*)(PGresult*)> result(PQexec(session, sql), PQclear);
        const std::chrono::duration<double, std::micro> latency = Clock::now() - due;
        const char* state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
        if (PQresultStatus(result.get()) == PGRES_TUPLES_OK)
            part.latencies.push_back(latency.count());
        else if (state != nullptr && std::strcmp(state, "53400") == 0)
            ++part.refused;
        else
            ++part.failed;
        // Whoever is late skips what would be later still: at most as much is asked as was meant.
        while (due + period < Clock::now())
            due += period;
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 6) {
        std::fprintf(stderr, "usage: %s CONNINFO RATE CONNECTIONS SECONDS SQL\n", argv[0]);
        return 2;
    }
    const double rate = std::atof(argv[2]);
    const auto connections = static_cast<std::size_t>(std::atoi(argv[3]));
    std::vector<PGconn*> sessions;
    for (std::size_t i = 0; i < connections; ++i) {
        sessions.push_back(PQconnectdb(argv[1]));
        if (PQstatus(sessions.back()) != CONNECTION_OK) {
            std::fprintf(stderr, "%s", PQerrorMessage(sessions.back()));
            return 1;
        }
    }
    const auto period = std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(static_cast<double>(connections) / rate));
    const auto begin = Clock::now();
    const auto end = begin + std::chrono::seconds(std::atoi(argv[4]));
    std::vector<Part> parts(connections);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < connections; ++i)
        threads.emplace_back(run, sessions[i], argv[5],
                             begin + period * static_cast<long>(i) / static_cast<long>(connections),
                             period, end, std::ref(parts[i]));
    Part all;
    for (std::size_t i = 0; i < connections; ++i) {
        threads[i].join();
        const Part& part = parts[i];
        all.latencies.insert(all.latencies.end(), part.latencies.begin(), part.latencies.end());
        all.refused += part.refused;
        all.failed += part.failed;
        PQfinish(sessions[i]);
    }
    std::sort(all.latencies.begin(), all.latencies.end());
    const auto percentile = [&](double share) {
        const auto at = static_cast<std::size_t>(share * static_cast<double>(all.latencies.size()));
        return all.latencies.empty() ? 0 : all.latencies[std::min(at, all.latencies.size() - 1)];
    };
    std::printf("%zu %ld %ld %.0f %.0f\n", all.latencies.size(), all.refused, all.failed,
                percentile(0.5), percentile(0.99));
    return 0;
}
