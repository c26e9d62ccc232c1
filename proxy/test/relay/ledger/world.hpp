// The world of a fault test: PostgreSQL with the extension, Redis, muster-proxy's relay as
// processes, writers and a subscriber, and transactions that nobody ends.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/libpq.hpp"
#include "relay/ledger/subscriber.hpp"
#include "relay/ledger/verdict.hpp"
#include "relay/ledger/writers.hpp"
#include "servers/postgres.hpp"
#include "servers/redis.hpp"

namespace muster::test::ledger {

// How often each fault is done: `count`, times the environment's MUSTER_ROUNDS if there is one.
int times(int count);
// Other random numbers for each value of the environment's MUSTER_SEED; 1 if there is none.
unsigned seed();

// muster-proxy, alone with its relay where it can be (--relay-only).
class RelayProgram {
  public:
    // `name` is that of its files in the directory.
    RelayProgram(const std::filesystem::path& directory, const std::string& name,
                 const std::string& configuration);

    void start();
    void kill();
    void signal(int number) const { process_->signal(number); }
    // Throws, with its last words, if it ended by itself.
    void check();
    std::string log() const { return read_file(log_); }

  private:
    std::filesystem::path configuration_;
    std::filesystem::path log_;
    std::unique_ptr<Process> process_;
};

class World {
  public:
    struct Setup {
        std::string scenario;  // its name in the summary
        int writers = 6;
        bool durable = true;
        // None of them is started. The first is connected by TCP, the second by the Unix socket.
        int relays = 1;
        bool standby = false;
        // Whether there are transactions of this database that have written, or are prepared, and
        // stay open. Otherwise the one in another database is joined by one that only reads.
        bool hold = true;
        std::vector<std::string> postgres_settings = {};
        std::vector<std::string> redis_options = {"--appendonly", "yes", "--appendfsync", "always"};
        std::uint64_t stream_length = 10'000'000;
        std::string relay_settings = {};  // further lines of its section
    };
    // Starts everything but the relays. Three transactions that have written are open from now on,
    // unless told otherwise: one in this database, one in another, and one that is prepared.
    explicit World(Setup setup);
    ~World();

    RelayProgram& relay(std::size_t number = 0) { return *relays_.at(number); }
    PostgresServer& postgres() { return *postgres_; }
    RedisServer& redis() { return *redis_; }
    Subscriber& subscriber() { return *subscriber_; }

    // Return when the writers have had `count` more transactions acknowledged, and when the
    // subscriber has heard `count` more entries.
    void let_write(std::uint64_t count);
    void let_hear(std::size_t count);
    // One value, asked by a superuser's session.
    std::string ask(const std::string& sql);
    // The number of the relay that has the lead, if one has.
    std::optional<std::size_t> leader();
    // Whether this relay has a session.
    bool has_session(std::size_t relay);

    // Looks at what the stream holds, to compare it with what it holds at the end.
    void remember_stream();

    void crash_postgres();
    // Kills the server, after its standby has ceased to follow and more has been published, and
    // promotes the standby.
    void fail_over();
    // Counts a fault for the summary.
    void count_fault() { ++faults_; }
    // Makes so many things in one transaction.
    void write_many(int count);

    // Ends the writers and then the open transactions, while checking that those delayed nobody but
    // themselves; judges, adds a line to the summary, and reports what is wrong to Boost.Test.
    // Of what is committed, no more changes may be unpublished than the server says that it
    // dropped.
    Verdict finish();

  private:
    void make_database();
    void start_writers();
    std::string relay_conninfo(int relay) const;
    void hold_transactions();
    void release_transactions();
    void add_to_ledger(Told told, Change change);
    Change write_marker();
    void let_hear(const Change& change);
    void wait_for_relay(const std::string& what, const std::function<bool()>& condition);
    std::string relay_configuration(int relay) const;

    const Setup setup_;
    Sandbox sandbox_;
    std::unique_ptr<PostgresServer> postgres_;
    std::unique_ptr<PostgresServer> standby_;
    std::unique_ptr<RedisServer> redis_;
    std::vector<std::unique_ptr<RelayProgram>> relays_;
    std::unique_ptr<Subscriber> subscriber_;
    std::unique_ptr<Writers> writers_;
    int writers_started_ = 0;
    PgConnection asking_;

    PgConnection held_;        // in a transaction that has made held_change_
    PgConnection held_other_;  // the same in another database
    Change held_change_;
    Change forgotten_change_;
    int markers_ = 0;
    int many_ = 1'000'000;  // numbers of things made by write_many()

    std::vector<Transaction> ledger_;  // of what is done here
    std::vector<Entry> sightings_;
    bool crashed_ = false;
    int faults_ = 0;
};

}  // namespace muster::test::ledger
