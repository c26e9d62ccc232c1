// pgbouncer's own figures beside ours: SHOW STATS and SHOW POOLS of its console, as metrics under
// the names that its well-known exporter (prometheus-community/pgbouncer_exporter) gives them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "metrics/registry.hpp"
#include "postgres/connection.hpp"
#include "runtime/asio.hpp"

namespace muster::timing {

// A column of a SHOW, and the metric that it is.
struct PgbouncerColumn {
    const char* column;
    const char* metric;
    const char* help;
    double unit = 1;  // of the column, in the metric's
    bool total = false;
};
extern const std::vector<PgbouncerColumn> pgbouncer_stats;  // labelled by database
extern const std::vector<PgbouncerColumn> pgbouncer_pools;  // by database and user

// What a SHOW's rows say of a column; nothing where this version of pgbouncer has no such column or
// a value is no number. At most 1,000 rows are looked at.
std::vector<metrics::Registry::Sample> pgbouncer_samples(const postgres::Rows& rows,
                                                         const PgbouncerColumn& column);

// Asks pgbouncer every `interval`, with 2 s for an answer, and registers what it says. While it
// does not answer there are no figures, and pgbouncer_up is 0.
class Pgbouncer {
  public:
    // Asks on the thread of `context`. Registers nothing and does nothing without a conninfo.
    Pgbouncer(net::io_context& context, const config::Pgbouncer& config,
              metrics::Registry& registry);

    // From the context's thread or before it runs.
    void start();
    // From any thread.
    void stop();

  private:
    class Poller;
    std::shared_ptr<Poller> poller_;  // null: not asked for
};

}  // namespace muster::timing
