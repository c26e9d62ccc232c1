// Asking pgbouncer's console, and its columns.
#include "timing/pgbouncer.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <mutex>
#include <string_view>
#include <utility>

#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

#include "runtime/event.hpp"
#include "runtime/runtime.hpp"

namespace muster::timing {
namespace {

using namespace std::chrono_literals;
using metrics::Registry;

constexpr auto patience = 2s;
constexpr int most_rows = 1000;

using Samples = std::map<std::string_view, std::vector<Registry::Sample>>;  // by metric

// Figures are written by the poller and read by a scrape, which may be another thread.
struct Board {
    std::mutex mutex;
    bool up = false;
    Samples samples;

    void set(std::optional<Samples> figures) {
        const std::lock_guard lock(mutex);
        up = figures.has_value();
        samples = std::move(figures).value_or(Samples());
    }
};

void take(Samples& samples, const postgres::Rows& rows,
          const std::vector<PgbouncerColumn>& columns) {
    for (const PgbouncerColumn& column : columns) {
        auto& all = samples[column.metric];
        auto more = pgbouncer_samples(rows, column);
        if (all.empty()) {
            all = std::move(more);
            continue;
        }
        // The second of two columns that make one figure: seconds and what is left in microseconds.
        for (std::size_t i = 0; i < std::min(all.size(), more.size()); ++i) {
            all[i].value += more[i].value;
        }
    }
}

}  // namespace

const std::vector<PgbouncerColumn> pgbouncer_stats{
    {"total_xact_count", "pgbouncer_stats_sql_transactions_pooled_total",
     "SQL transactions pooled by pgbouncer.", 1, true},
    {"total_query_count", "pgbouncer_stats_queries_pooled_total",
     "SQL commands pooled by pgbouncer.", 1, true},
    {"total_server_assignment_count", "pgbouncer_stats_server_assignments_total",
     "Times that a server was assigned to a client.", 1, true},
    {"total_received", "pgbouncer_stats_received_bytes_total",
     "Network traffic received by pgbouncer.", 1, true},
    {"total_sent", "pgbouncer_stats_sent_bytes_total", "Network traffic sent by pgbouncer.", 1,
     true},
    {"total_xact_time", "pgbouncer_stats_server_in_transaction_seconds_total",
     "Time in transactions on servers, idle or not.", 1e-6, true},
    {"total_query_time", "pgbouncer_stats_queries_duration_seconds_total",
     "Time in queries on servers.", 1e-6, true},
    {"total_wait_time", "pgbouncer_stats_client_wait_seconds_total",
     "Time that clients waited for a server.", 1e-6, true},
    {"total_client_parse_count", "pgbouncer_stats_client_parses_total",
     "Prepared statements made by clients.", 1, true},
    {"total_server_parse_count", "pgbouncer_stats_server_parses_total",
     "Prepared statements made on servers.", 1, true},
    {"total_bind_count", "pgbouncer_stats_binds_total", "Prepared statements bound by clients.", 1,
     true},
};

const std::vector<PgbouncerColumn> pgbouncer_pools{
    {"cl_active", "pgbouncer_pools_client_active_connections",
     "Clients linked to a server, or idle."},
    {"cl_waiting", "pgbouncer_pools_client_waiting_connections", "Clients waiting for a server."},
    {"cl_active_cancel_req", "pgbouncer_pools_client_active_cancel_connections",
     "Clients whose cancel request was sent on."},
    {"cl_waiting_cancel_req", "pgbouncer_pools_client_waiting_cancel_connections",
     "Clients whose cancel request waits."},
    {"sv_active", "pgbouncer_pools_server_active_connections", "Servers linked to a client."},
    {"sv_active_cancel", "pgbouncer_pools_server_active_cancel_connections",
     "Servers that carry a cancel request."},
    {"sv_being_canceled", "pgbouncer_pools_server_being_canceled_connections",
     "Servers whose query is being cancelled."},
    {"sv_idle", "pgbouncer_pools_server_idle_connections", "Servers ready for a client."},
    {"sv_used", "pgbouncer_pools_server_used_connections", "Servers idle for long, to be checked."},
    {"sv_tested", "pgbouncer_pools_server_testing_connections", "Servers being checked or reset."},
    {"sv_login", "pgbouncer_pools_server_login_connections", "Servers being logged in to."},
    {"maxwait", "pgbouncer_pools_client_maxwait_seconds", "How long the first client has waited."},
    {"maxwait_us", "pgbouncer_pools_client_maxwait_seconds", "", 1e-6},
};

std::vector<Registry::Sample> pgbouncer_samples(const postgres::Rows& rows,
                                                const PgbouncerColumn& column) {
    std::vector<Registry::Sample> samples;
    const int values = rows.find(column.column);
    if (values < 0) {
        return samples;
    }
    for (int row = 0; row < std::min(rows.size(), most_rows); ++row) {
        const std::string_view text = rows.get(row, values);
        double value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
            continue;
        }
        metrics::Labels labels;
        for (const char* label : {"database", "user"}) {
            if (const int found = rows.find(label); found >= 0) {
                labels.emplace_back(label, rows.get(row, found));
            }
        }
        samples.push_back({std::move(labels), value * column.unit});
    }
    return samples;
}

class Pgbouncer::Poller : public std::enable_shared_from_this<Poller> {
  public:
    Poller(net::io_context& context, const config::Pgbouncer& config)
        : context_(context), config_(config), board_(std::make_shared<Board>()), pause_(context) {}

    void publish(Registry& registry) const;
    void start() { spawn(context_, "asking pgbouncer for its figures", run(shared_from_this())); }
    void stop() {
        net::post(context_, [self = shared_from_this()] { self->pause_.set(); });
    }

  private:
    static Task<> run(std::shared_ptr<Poller> self);
    Task<postgres::Outcome<Samples>> look(TimePoint deadline);
    void tell(const std::optional<postgres::Error>& error);

    net::io_context& context_;
    const config::Pgbouncer config_;
    const std::shared_ptr<Board> board_;
    Event pause_;  // set when it is to end
    std::unique_ptr<postgres::Connection> connection_;
    std::optional<bool> up_;  // as last logged
};

void Pgbouncer::Poller::publish(Registry& registry) const {
    registry.gauge("pgbouncer_up", "Whether pgbouncer's console answers.", {}, [board = board_] {
        const std::lock_guard lock(board->mutex);
        return board->up ? 1.0 : 0.0;
    });
    for (const auto* columns : {&pgbouncer_stats, &pgbouncer_pools}) {
        for (const PgbouncerColumn& column : *columns) {
            if (*column.help == '\0') {
                continue;
            }
            const auto read = [board = board_, metric = column.metric] {
                const std::lock_guard lock(board->mutex);
                const auto found = board->samples.find(metric);
                return found == board->samples.end() ? std::vector<Registry::Sample>()
                                                     : found->second;
            };
            if (column.total) {
                registry.counters(column.metric, column.help, read);
            } else {
                registry.gauges(column.metric, column.help, read);
            }
        }
    }
}

Task<> Pgbouncer::Poller::run(std::shared_ptr<Poller> self) {
    while (!self->pause_.is_set()) {
        auto figures = co_await self->look(Clock::now() + patience);
        if (figures) {
            self->tell(std::nullopt);
            self->board_->set(std::move(figures).value());
        } else {
            self->connection_.reset();
            self->tell(figures.error());
            self->board_->set(std::nullopt);
        }
        co_await self->pause_.wait(Clock::now() + self->config_.interval);
    }
    self->connection_.reset();
}

Task<postgres::Outcome<Samples>> Pgbouncer::Poller::look(TimePoint deadline) {
    if (!connection_ || !connection_->usable()) {
        connection_.reset();
        auto connected =
            co_await postgres::Connection::connect(context_, config_.conninfo, deadline);
        if (!connected) {
            co_return std::move(connected).error();
        }
        connection_ = std::move(connected).value();
    }
    Samples samples;
    for (const auto& [show, columns] :
         {std::pair("SHOW STATS", &pgbouncer_stats), std::pair("SHOW POOLS", &pgbouncer_pools)}) {
        const auto rows =
            co_await connection_->query(postgres::Statement::simple(show), {}, deadline);
        if (!rows) {
            co_return rows.error();
        }
        take(samples, rows.value(), *columns);
    }
    co_return samples;
}

// Logs when pgbouncer stops answering, and when it is back.
void Pgbouncer::Poller::tell(const std::optional<postgres::Error>& error) {
    if (error && up_.value_or(true)) {
        spdlog::error("pgbouncer's console does not give its figures: {} ({})",
                      error->message.substr(0, error->message.find('\n')), error->sqlstate);
    } else if (!error && !up_.value_or(true)) {
        spdlog::info("pgbouncer's console gives its figures again");
    }
    up_ = !error;
}

Pgbouncer::Pgbouncer(net::io_context& context, const config::Pgbouncer& config,
                     Registry& registry) {
    if (!config.conninfo.empty()) {
        poller_ = std::make_shared<Poller>(context, config);
        poller_->publish(registry);
    }
}

void Pgbouncer::start() {
    if (poller_) {
        poller_->start();
    }
}

void Pgbouncer::stop() {
    if (poller_) {
        poller_->stop();
    }
}

}  // namespace muster::timing
