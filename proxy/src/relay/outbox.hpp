// PostgreSQL's side of the relay: one session that holds the leader's lock, makes ticks, reads what
// became visible between two of them, and keeps the outbox bounded.
//
// The session ends by itself if the relay hangs (idle_session_timeout, TCP timeouts), for an
// advisory lock has no lease of its own; ticks are made on the session that holds the lock and no
// other.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "postgres/connection.hpp"
#include "relay/plan.hpp"
#include "relay/sql.hpp"
#include "relay/stream_id.hpp"

namespace muster::relay {

struct Tick {
    std::uint64_t id = 0;
    std::string snapshot;
};

// A generation as recorded, with the part of its reset message that never changes.
struct Generation {
    std::uint64_t number = 0;
    std::uint64_t first_tick = 0;
    std::string reset;
};

class Outbox {
  public:
    template <class T>
    using Outcome = postgres::Outcome<T>;
    using Failure = std::optional<postgres::Error>;

    // SQLSTATE of the errors that say that a tick or generation asked for is not there.
    static constexpr const char* not_kept = "55000";

    // Connects and sets what the session relies on.
    static Task<Outcome<std::unique_ptr<Outbox>>> open(net::io_context& context,
                                                       const std::string& conninfo,
                                                       TimePoint deadline);

    // Tries to become the only relay of this database; false while another one is, and on a
    // standby. Ends the session of a leader whose relay hangs. (A lock that is taken twice has to
    // be given back twice: not to be called by who leads.)
    Task<Outcome<bool>> lead();
    Task<Failure> yield_lead();

    Task<Outcome<std::optional<Recorded>>> newest_generation();
    // What else the decision where to go on needs, given the stream's last ids and its length.
    Task<Outcome<Facts>> facts(std::optional<Recorded> recorded, StreamId last, StreamId ours,
                               std::uint64_t stream_length);
    // Records the plan's new generation.
    Task<Failure> record(const Plan& plan);
    Task<Outcome<Generation>> generation(std::uint64_t number);
    // Records that the generation's reset is published.
    Task<Failure> announced(std::uint64_t number);

    Task<Outcome<Tick>> tick(std::uint64_t id);
    Task<Outcome<Tick>> tick_before(std::uint64_t id);
    Task<Outcome<Tick>> first_tick_from(std::uint64_t id);
    Task<Outcome<Tick>> newest_tick();
    // The ticks after `id` in order, at most 1000.
    Task<Outcome<std::vector<Tick>>> ticks_after(std::uint64_t id);

    struct Probe {
        std::optional<std::uint64_t> made;  // the new tick, if anything became visible since `base`
        std::string snapshot;
    };
    // Makes a tick and commits it durably if any change became visible since `base`.
    Task<Outcome<Probe>> probe(const Tick& base);

    // Reads what became visible between two ticks, in order, without its first `skip` rows. A row's
    // only column is the fixed part of its message. The deadline includes the sink's waits.
    Task<Outcome<std::size_t>> read(const Tick& from, const Tick& to, std::uint64_t skip,
                                    postgres::RowSink& sink, TimePoint deadline);
    Task<Outcome<std::uint64_t>> count(const Tick& from, const Tick& to);

    struct Backlog {
        std::uint64_t rows = 0;
        std::chrono::microseconds age{0};  // of the oldest
    };
    // What is committed but was not visible in the tick.
    Task<Outcome<Backlog>> backlog(const Tick& published);

    struct Rotation {
        std::string step;  // as muster.rotate() says; empty when nothing was due
        std::uint64_t dropped = 0;
    };
    // Takes the next step to keep the outbox within its bounds, if one is due. Everything up to the
    // tick `published` is (0: unknown).
    Task<Outcome<Rotation>> rotate(std::uint64_t published, std::uint64_t most_rows,
                                   std::chrono::milliseconds most_age);
    // Everything up to this tick was published when the tables last rotated.
    Task<Outcome<std::uint64_t>> published_at_rotation();

    // Has commits wake this session from now on; false where they cannot.
    Task<Outcome<bool>> arm();
    // Waits for a commit since arm() or the last wait, at most so long (500 ms at most). False if
    // there is no waking any more.
    Task<Outcome<bool>> wait(std::chrono::milliseconds timeout);

    // Notifies those who LISTEN on muster_events.
    Task<Failure> notify(const std::string& payload);
    // Shows in pg_stat_activity what has been published.
    Task<Failure> tell(std::uint64_t published);

    bool usable() const { return connection_->usable(); }

  private:
    explicit Outbox(std::unique_ptr<postgres::Connection> connection)
        : connection_(std::move(connection)) {}
    Task<Failure> prepare(const sql::Prepared& statement);
    Task<Failure> learn_rotation();
    Task<Outcome<Tick>> one_tick(const char* sql, std::vector<std::string> parameters);
    Task<Outcome<std::size_t>> read_rest(const std::vector<postgres::Parameter>& parameters,
                                         postgres::RowSink& sink, TimePoint deadline);
    Task<Outcome<postgres::Rows>> ask(const char* sql, std::vector<std::string> parameters);
    Task<Outcome<postgres::Rows>> ask(const sql::Prepared& statement,
                                      std::vector<std::string> parameters);

    std::unique_ptr<postgres::Connection> connection_;
    std::set<const sql::Prepared*> prepared_;
    std::optional<unsigned> current_;  // the table that ticks go to
    std::uint64_t published_at_rotation_ = 0;
};

}  // namespace muster::relay
