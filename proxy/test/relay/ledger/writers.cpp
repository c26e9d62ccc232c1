// Writers that do everything a transaction can do, and keep a ledger of what they were told.
#include "relay/ledger/writers.hpp"

#include <chrono>
#include <optional>
#include <random>
#include <stdexcept>
#include <utility>

#include "harness/libpq.hpp"

namespace muster::test::ledger {

using namespace std::chrono_literals;

const char* const ledger_schema = R"(
CREATE TABLE thing (id text PRIMARY KEY, version bigint NOT NULL, writer int NOT NULL, n bigint NOT NULL);
CREATE TABLE made (id text, version bigint, operation text, writer int, n bigint);
CREATE FUNCTION keep_record() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO made VALUES (OLD.id, OLD.version, 'deleted', OLD.writer, OLD.n);
    ELSE
        INSERT INTO made VALUES (NEW.id, NEW.version, CASE TG_OP WHEN 'INSERT' THEN 'created' ELSE 'updated' END,
                                 NEW.writer, NEW.n);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_record AFTER INSERT OR DELETE ON thing FOR EACH ROW EXECUTE FUNCTION keep_record();
CREATE TRIGGER keep_record_of_update AFTER UPDATE ON thing FOR EACH ROW
    WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION keep_record();
SELECT muster.publish('thing', payload => 'row');
INSERT INTO thing SELECT 'shared' || g, 1, 0, g FROM generate_series(0, 2) g;
)";

std::vector<Change> committed_changes(const std::string& conninfo) {
    const auto connection = pg_connect(conninfo);
    // A thing is not made again once it is deleted.
    const auto rows = pg_exec(connection,
                              "SELECT id, operation || ' ' || writer || '.' || n FROM made"
                              " ORDER BY id, version, operation = 'deleted'");
    std::vector<Change> changes;
    for (int row = 0; row < PQntuples(rows.get()); ++row)
        changes.push_back({PQgetvalue(rows.get(), row, 0), PQgetvalue(rows.get(), row, 1)});
    return changes;
}

namespace {

std::string literal(const std::string& text) {
    return "'" + text + "'";
}

// One writer: a session, and the transaction that it is in.
class Writer {
  public:
    Writer(const Writers::Manner& manner, int number, std::vector<Transaction>& ledger,
           std::atomic<std::uint64_t>& acknowledged)
        : manner_(manner),
          number_(number),
          name_("w" + std::to_string(number)),
          ledger_(ledger),
          acknowledged_(acknowledged),
          random_(manner.seed * 1000 + static_cast<unsigned>(number)) {}

    // One transaction of some kind. False if the server is away.
    bool work() {
        if (connection_ == nullptr && !connect())
            return false;
        if (prepared_ && any(3) == 0)
            end_prepared();
        else
            one_of_many_kinds();
        if (connection_ != nullptr && PQstatus(connection_.get()) != CONNECTION_OK)
            connection_.reset();
        return connection_ != nullptr;
    }

    // Ends what is prepared. False if the server is away.
    bool settle() {
        if (connection_ == nullptr && !connect())
            return false;
        if (prepared_)
            end_prepared();
        if (PQstatus(connection_.get()) != CONNECTION_OK)
            connection_.reset();
        return !prepared_;
    }

  private:
    unsigned any(unsigned bound) { return static_cast<unsigned>(random_() % bound); }

    bool connect() {
        try {
            connection_ = pg_connect(manner_.conninfo);
            // What a dying server says is no news.
            PQsetNoticeProcessor(
                connection_.get(), [](void*, const char*) {}, nullptr);
            if (!manner_.durable)
                pg_exec(connection_, "SET synchronous_commit = off");
            pg_exec(connection_, "SET lock_timeout = '10s'");
            if (!has_things_)
                make_things();
            if (prepared_)
                look_for_prepared();
        } catch (const std::runtime_error&) {
            connection_.reset();
            return false;
        }
        return true;
    }

    // Things of its own to change: durable, for they are relied on. If the server ends meanwhile it
    // tries other names.
    void make_things() {
        things_.clear();
        begin();
        good_ = good_ && run("SET LOCAL synchronous_commit = on");
        for (int i = 0; i < 4; ++i)
            things_.push_back(insert());
        commit();
        has_things_ = ledger_.back().told == Told::acknowledged;
    }

    // --- statements

    bool run(const std::string& sql) {
        const PgResult result(PQexec(connection_.get(), sql.c_str()));
        const auto status = PQresultStatus(result.get());
        return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    }

    // Runs what ends a transaction, or is one by itself, and says what became of it.
    Told run_to_end(const std::string& sql) {
        const PgResult result(PQexec(connection_.get(), sql.c_str()));
        if (PQresultStatus(result.get()) == PGRES_COMMAND_OK) {
            const std::string done = PQcmdStatus(result.get());
            return done == "ROLLBACK" || done == "UPDATE 0" ? Told::rolled_back
                                                            : Told::acknowledged;
        }
        // A server that refuses goes on talking; one that is going away may have done it.
        const char* severity = PQresultErrorField(result.get(), PG_DIAG_SEVERITY_NONLOCALIZED);
        const bool refused = severity != nullptr && std::string(severity) == "ERROR" &&
                             PQstatus(connection_.get()) == CONNECTION_OK;
        return refused ? Told::rolled_back : Told::unknown;
    }

    void record(Told told, std::vector<Change> changes, bool durable) {
        if (told == Told::acknowledged)
            ++acknowledged_;
        ledger_.push_back({told, durable, std::move(changes)});
    }
    void record(Told told) { record(told, std::exchange(changes_, {}), manner_.durable); }

    std::string mark(const char* operation, std::int64_t n) const {
        return std::string(operation) + " " + std::to_string(number_) + "." + std::to_string(n);
    }
    std::string stamp() const { return std::to_string(number_) + ", " + std::to_string(n_); }

    // --- changes: each notes what it does to the transaction's list

    bool good_ = true;  // so far, in this transaction

    std::string insert() {
        const std::string id = name_ + ".n" + std::to_string(++n_);
        changes_.push_back({id, mark("created", n_)});
        good_ = good_ && run("INSERT INTO thing VALUES (" + literal(id) + ", 1, " + stamp() + ")");
        return id;
    }

    std::string update_sql(const std::vector<std::string>& ids) {
        ++n_;
        std::string list;
        for (const std::string& id : ids)
            list += (list.empty() ? "" : ", ") + literal(id);
        return "UPDATE thing SET version = version + 1, (writer, n) = ROW(" + stamp() +
               ") WHERE id IN (" + list + ")";
    }

    // Notes what was found and changed.
    void update(const std::vector<std::string>& ids) {
        const std::string sql = update_sql(ids) + " RETURNING id";
        if (!good_)
            return;
        const PgResult result(PQexec(connection_.get(), sql.c_str()));
        good_ = PQresultStatus(result.get()) == PGRES_TUPLES_OK;
        for (int row = 0; row < PQntuples(result.get()); ++row)
            changes_.push_back({PQgetvalue(result.get(), row, 0), mark("updated", n_)});
    }

    void copy() {
        good_ = good_ && PgResult(PQexec(connection_.get(), "COPY thing FROM STDIN")) != nullptr;
        std::string rows;
        for (int i = 0; i < 5; ++i) {
            const std::string id = name_ + ".n" + std::to_string(++n_);
            changes_.push_back({id, mark("created", n_)});
            rows += id + "\t1\t" + std::to_string(number_) + "\t" + std::to_string(n_) + "\n";
        }
        good_ = good_ &&
                PQputCopyData(connection_.get(), rows.data(), static_cast<int>(rows.size())) == 1 &&
                PQputCopyEnd(connection_.get(), nullptr) == 1;
        // What cannot be sent leaves the session in the middle of the copy; it is closed then.
        for (int results = 0; results < 10; ++results) {
            const PgResult result(PQgetResult(connection_.get()));
            if (result == nullptr)
                return;
            good_ = good_ && PQresultStatus(result.get()) == PGRES_COMMAND_OK;
        }
        good_ = false;
    }

    std::string shared() { return "shared" + std::to_string(any(3)); }
    const std::string& own() { return things_[any(3)]; }  // the fourth is for what is prepared

    // --- transactions

    void begin() {
        changes_.clear();
        good_ = run("BEGIN");
    }

    void commit() {
        if (good_)
            record(run_to_end("COMMIT"));
        else
            abandon();
    }

    void abandon() {
        run("ROLLBACK");
        record(Told::rolled_back);
    }

    // Takes back what was done since there were `count` changes.
    void roll_back_to_savepoint(std::size_t count) {
        const auto from = changes_.begin() + static_cast<std::ptrdiff_t>(count);
        record(Told::rolled_back, {from, changes_.end()}, true);
        changes_.erase(from, changes_.end());
        good_ = good_ && run("ROLLBACK TO SAVEPOINT s");
    }

    void one_of_many_kinds() {
        switch (any(10)) {
            case 0:  // one statement that is its own transaction
            case 1: {
                const std::string id = any(2) == 0 ? shared() : own();
                const Told told = run_to_end(update_sql({id}));
                changes_ = {{id, mark("updated", n_)}};
                return record(told);
            }
            case 2:  // several rows at once
                begin();
                update({things_[0], things_[1], things_[2]});
                insert();
                return commit();
            case 3:  // an update that changes nothing says nothing
                begin();
                good_ = good_ && run("UPDATE thing SET n = n WHERE id = " + literal(own()));
                update({own()});
                return commit();
            case 4:
                return savepoints();
            case 5:
                begin();
                update({own()});
                insert();
                update({shared()});
                return abandon();
            case 6:
                begin();
                copy();
                update({own()});
                return commit();
            case 7:
                return made_and_deleted();
            case 8:
                if (!prepared_)
                    return prepare();
                [[fallthrough]];
            default:  // the writers of one row wait for each other
                begin();
                update({own()});
                update({own()});
                update({shared()});
                return commit();
        }
    }

    void savepoints() {
        begin();
        update({own()});
        good_ = good_ && run("SAVEPOINT s");
        const std::size_t before = changes_.size();
        update({own()});
        insert();
        if (any(3) > 0)
            roll_back_to_savepoint(before);
        else
            good_ = good_ && run("RELEASE SAVEPOINT s");
        update({own()});
        update({shared()});
        commit();
    }

    // A thing with a short life, in one transaction or in two.
    void made_and_deleted() {
        begin();
        const std::string id = insert();
        const Change deleted{id, mark("deleted", n_)};
        if (any(2) == 0) {
            commit();
            // What is not known to be there cannot be deleted for sure.
            if (ledger_.back().told != Told::acknowledged)
                return;
            begin();
        }
        changes_.push_back(deleted);
        good_ = good_ && run("DELETE FROM thing WHERE id = " + literal(id));
        commit();
    }

    // --- two-phase commit: prepared now, ended some transactions later

    struct Prepared {
        std::string name;
        std::vector<Change> changes;
        bool to_commit;
        Told told;  // if it is not found after the server was away
    };

    void prepare() {
        begin();
        update({things_[3]});
        insert();
        if (!good_)
            return abandon();
        Prepared prepared{name_ + "." + std::to_string(n_), std::exchange(changes_, {}),
                          any(3) != 0, Told::rolled_back};
        switch (run_to_end("PREPARE TRANSACTION " + literal(prepared.name))) {
            case Told::rolled_back:
                return record(Told::rolled_back, std::move(prepared.changes), true);
            case Told::acknowledged:
            case Told::unknown:
                prepared_ = std::move(prepared);
        }
    }

    void end_prepared() {
        const Told told =
            run_to_end((prepared_->to_commit ? "COMMIT PREPARED " : "ROLLBACK PREPARED ") +
                       literal(prepared_->name));
        if (told == Told::unknown) {
            if (prepared_->to_commit)
                prepared_->told = Told::unknown;
            return;
        }
        // It is durable whatever synchronous_commit says.
        const bool done = told == Told::acknowledged && prepared_->to_commit;
        record(done ? Told::acknowledged : Told::rolled_back, std::move(prepared_->changes), true);
        prepared_.reset();
    }

    // After the server was away: whether what was or may have been prepared is still there.
    void look_for_prepared() {
        if (pg_value(connection_, "SELECT count(*) FROM pg_prepared_xacts WHERE gid = " +
                                      literal(prepared_->name)) == "0") {
            record(prepared_->told, std::move(prepared_->changes), true);
            prepared_.reset();
        }
    }

    const Writers::Manner& manner_;
    const int number_;
    const std::string name_;
    std::vector<Transaction>& ledger_;
    std::atomic<std::uint64_t>& acknowledged_;
    std::minstd_rand random_;
    PgConnection connection_;
    std::int64_t n_ = 0;
    std::vector<Change> changes_;
    std::vector<std::string> things_;
    bool has_things_ = false;
    std::optional<Prepared> prepared_;
};

}  // namespace

Writers::Writers(const Manner& manner) : ledgers_(static_cast<std::size_t>(manner.count)) {
    for (std::size_t i = 0; i < ledgers_.size(); ++i)
        threads_.emplace_back([this, manner, i] {
            const int number = manner.first + static_cast<int>(i);
            Writer writer(manner, number, ledgers_[i], acknowledged_);
            std::minstd_rand random(static_cast<unsigned>(number));
            while (!stopping_) {
                if (!writer.work())
                    std::this_thread::sleep_for(10ms);
                std::this_thread::sleep_for(std::chrono::microseconds(random() % 5000));
            }
            for (int tries = 0; tries < 1000 && !writer.settle(); ++tries)
                std::this_thread::sleep_for(10ms);
        });
}

void Writers::stop() {
    stopping_ = true;
    for (std::thread& thread : threads_)
        if (thread.joinable())
            thread.join();
}

std::vector<Transaction> Writers::ledger() const {
    std::vector<Transaction> all;
    for (const auto& ledger : ledgers_)
        all.insert(all.end(), ledger.begin(), ledger.end());
    return all;
}

}  // namespace muster::test::ledger
