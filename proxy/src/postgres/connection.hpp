// One asynchronous PostgreSQL connection (libpq in non-blocking mode on an Asio descriptor).
//
// A Connection belongs to one io_context thread and runs one request at a time. Every wait has a
// deadline. A connection whose request was cut off in the middle is no longer `usable()` and must
// be dropped, never returned to a pool half-read.
#pragma once

#include <memory>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <libpq-fe.h>

#include "runtime/asio.hpp"
#include "runtime/result.hpp"

namespace muster::postgres {

// What went wrong. `sqlstate` is the server's, or one of class 08 for a broken or refused
// connection, or 57014 when the deadline passed. `message` is for logs: it may name objects and
// addresses.
struct Error {
    std::string sqlstate;
    std::string message;
    std::string detail;
    std::string hint;
    bool connection_lost = false;
};

template <class T>
using Outcome = Result<T, Error>;

// Owns a PGresult. Views returned live as long as the Rows they came from.
class Rows {
  public:
    explicit Rows(PGresult* result) : result_(result) {}

    int size() const { return PQntuples(result_.get()); }
    int columns() const { return PQnfields(result_.get()); }
    std::string_view name(int column) const { return PQfname(result_.get(), column); }
    Oid type(int column) const { return PQftype(result_.get(), column); }
    // Index of the column of this name, or -1.
    int find(const char* column) const { return PQfnumber(result_.get(), column); }
    bool is_null(int row, int column) const { return PQgetisnull(result_.get(), row, column) != 0; }
    std::string_view get(int row, int column) const {
        return {PQgetvalue(result_.get(), row, column),
                static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
    }
    // Of all values together.
    std::size_t bytes() const;
    // Command tag, e.g. "INSERT 0 1".
    std::string_view tag() const { return PQcmdStatus(result_.get()); }

  private:
    struct Clear {
        void operator()(PGresult* result) const { PQclear(result); }
    };
    std::unique_ptr<PGresult, Clear> result_;
};

// A bound parameter; NULL when `value` is empty. Text values must not contain NUL: a caller with
// bytes of unknown origin sets `binary` and the type's oid.
struct Parameter {
    std::optional<std::string> value;
    bool binary = false;
    Oid type = 0;  // 0: the server infers it
};

// What to run: the text of a statement, or the name of one that prepare() made.
struct Statement {
    Statement(const char* sql) : text(sql) {}
    static Statement prepared(const char* name) {
        Statement statement(name);
        statement.is_prepared = true;
        return statement;
    }
    // A text without parameters, in the simple protocol: pgbouncer's console knows no other.
    static Statement simple(const char* sql) {
        Statement statement(sql);
        statement.is_simple = true;
        return statement;
    }
    const char* text;
    bool is_prepared = false;
    bool is_simple = false;
};

// Types of a statement as the server sees it (ParameterDescription and RowDescription).
struct Description {
    struct Column {
        std::string name;
        Oid type;
    };
    std::vector<Oid> parameters;
    std::vector<Column> columns;
};

// Takes the rows of a result that is too large to be held.
class RowSink {
  public:
    virtual ~RowSink() = default;
    // Takes one row, in one-row Rows. Returns true to have flush() awaited before the next;
    // meanwhile nothing is read, so memory stays bounded by what the sink holds.
    virtual bool take(const Rows& row) = 0;
    virtual Task<> flush() = 0;
};

class Connection {
  public:
    // Connects to `conninfo` (libpq keywords or URI; host names are resolved without blocking the
    // thread). Fails with class 08 or the server's own error.
    static Task<Outcome<std::unique_ptr<Connection>>> connect(net::io_context& context,
                                                              const std::string& conninfo,
                                                              TimePoint deadline);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // Runs one statement, in the extended protocol unless it is simple, with text results and waits
    // for ReadyForQuery, so that a write that is answered is committed. Past the deadline it asks
    // the server to cancel and, if that brings no answer within 500 ms, gives the connection up;
    // either way the error is 57014.
    Task<Outcome<Rows>> query(Statement statement, std::span<const Parameter> parameters,
                              TimePoint deadline);

    // As query(), row by row: `sink` or `on_row(rows)` gets one-row Rows. Returns their number. The
    // deadline is the whole statement's, the sink's waits included.
    Task<Outcome<std::size_t>> query_rows(Statement statement,
                                          std::span<const Parameter> parameters, TimePoint deadline,
                                          RowSink& sink);
    Task<Outcome<std::size_t>> query_rows(Statement statement,
                                          std::span<const Parameter> parameters, TimePoint deadline,
                                          const std::function<void(const Rows&)>& on_row);

    // Makes a prepared statement of this session, which has to be the server's own: behind
    // transaction pooling the next request meets another one.
    Task<std::optional<Error>> prepare(const char* name, const char* sql, TimePoint deadline);

    // Parses `sql` and asks for its types, in one Sync so that it works behind transaction pooling.
    Task<Outcome<Description>> describe(const char* sql, TimePoint deadline);

    // Idle, in no transaction and in step with the server.
    bool usable() const;

  private:
    class Impl;
    explicit Connection(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace muster::postgres
