// Asking a server to cancel what a connection is running.
#include "postgres/cancel.hpp"

#include <atomic>
#include <system_error>

#include <spdlog/spdlog.h>

#include "runtime/quiet_thread.hpp"

namespace muster::postgres {

namespace {

constexpr int most_under_way = 8;
std::atomic<int> under_way{0};

void run(PGcancel* cancel) {
    char message[256] = "";
    if (PQcancel(cancel, message, sizeof message) == 0)
        spdlog::debug("postgres cancel request failed: {}", message);
    PQfreeCancel(cancel);
    under_way.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace

void send_cancel(PGconn* connection) {
    if (under_way.fetch_add(1, std::memory_order_relaxed) >= most_under_way) {
        under_way.fetch_sub(1, std::memory_order_relaxed);
        return;
    }
    PGcancel* cancel = PQgetCancel(connection);
    if (cancel == nullptr) {
        under_way.fetch_sub(1, std::memory_order_relaxed);
        return;
    }
    try {
        start_quiet_thread([cancel] { run(cancel); }).detach();
    } catch (const std::system_error&) {
        PQfreeCancel(cancel);
        under_way.fetch_sub(1, std::memory_order_relaxed);
    }
}

}  // namespace muster::postgres
