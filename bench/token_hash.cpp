// Times what tells a statement from others, beside libpg_query's ways to: nanoseconds a statement.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include <pg_query.h>

#include "timing/token_hash.hpp"

namespace {

// The least over many short rounds: what a core takes when nothing interferes.
template <class Work>
double nanoseconds(const std::vector<std::string>& statements, int rounds, Work&& work) {
    double least = 1e12;
    for (int round = 0; round < rounds; ++round) {
        const auto before = std::chrono::steady_clock::now();
        for (const std::string& one : statements) {
            work(one);
        }
        const std::chrono::duration<double, std::nano> passed =
            std::chrono::steady_clock::now() - before;
        least = std::min(least, passed.count() / static_cast<double>(statements.size()));
    }
    return least;
}

volatile std::uint64_t sink;

void report(const char* name, const char* before, const char* behind) {
    std::vector<std::string> statements;
    for (int i = 0; i < 500; ++i) {
        statements.push_back(before + std::to_string(i * 1999 % 1000000) + behind);
    }
    const double ours = nanoseconds(
        statements, 4000, [](const std::string& sql) { sink = muster::timing::token_hash(sql); });
    const double normalize = nanoseconds(statements, 20, [](const std::string& sql) {
        pg_query_free_normalize_result(pg_query_normalize(sql.c_str()));
    });
    const double fingerprint = nanoseconds(statements, 20, [](const std::string& sql) {
        pg_query_free_fingerprint_result(pg_query_fingerprint(sql.c_str()));
    });
    std::printf("%-10s %8.1f %12.1f %12.1f\n", name, ours, normalize, fingerprint);
}

}  // namespace

int main() {
    std::printf("%-10s %8s %12s %12s\n", "", "hash", "normalize", "fingerprint");
    report("pgbench", "SELECT abalance FROM pgbench_accounts WHERE aid = ", ";");
    report("join",
           "SELECT a.id, a.name, count(g.id) FROM agents a JOIN goals g ON g.agent_id = a.id "
           "LEFT JOIN agent_tools t ON t.agent_id = a.id WHERE a.status = 'busy' AND a.id > ",
           " AND g.created_at > now() - interval '1 day' GROUP BY a.id, a.name "
           "HAVING count(g.id) > 3 ORDER BY count(g.id) DESC, a.name LIMIT 100");
}
