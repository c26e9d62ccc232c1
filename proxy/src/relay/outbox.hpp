// PostgreSQL's side of the relay: one session that holds the leader's lock, makes ticks and reads
// what became visible between two of them.
//
// The session ends by itself if the relay hangs (idle_session_timeout, TCP timeouts), for an
// advisory lock has no lease of its own; ticks are made on the session that holds the lock and no
// other.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "postgres/connection.hpp"
#include "relay/plan.hpp"
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

    // SQLSTATE of the errors that say that a tick or generation asked for is not there.
    static constexpr const char* not_kept = "55000";

    // Connects and sets what the session relies on.
    static Task<Outcome<std::unique_ptr<Outbox>>> open(net::io_context& context,
                                                       const std::string& conninfo,
                                                       TimePoint deadline);

    // Tries to become the only relay of this database; false while another one is, and on a
    // standby.
    Task<Outcome<bool>> lead();

    Task<Outcome<std::optional<Recorded>>> newest_generation();
    // What else the decision where to go on needs, given the stream's last ids and its length.
    Task<Outcome<Facts>> facts(std::optional<Recorded> recorded, StreamId last, StreamId ours,
                               std::uint64_t stream_length);
    // Records the plan's new generation.
    Task<std::optional<postgres::Error>> record(const Plan& plan);
    Task<Outcome<Generation>> generation(std::uint64_t number);

    Task<Outcome<Tick>> tick(std::uint64_t id);
    Task<Outcome<Tick>> tick_before(std::uint64_t id);
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

    bool usable() const { return connection_->usable(); }

  private:
    explicit Outbox(std::unique_ptr<postgres::Connection> connection)
        : connection_(std::move(connection)) {}
    Task<Outcome<Tick>> one_tick(const char* sql, std::uint64_t id);
    Task<Outcome<postgres::Rows>> ask(const char* sql, std::vector<std::string> parameters);

    std::unique_ptr<postgres::Connection> connection_;
};

}  // namespace muster::relay
