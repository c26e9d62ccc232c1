// A synchronous libpq session for tests. Every wait is bounded by the caller's conninfo
// (connect_timeout) and statement_timeout, or by the test program's own timeout.
#pragma once

#include <memory>
#include <string>

#include <libpq-fe.h>

namespace muster::test {

struct FinishConnection {
    void operator()(PGconn* connection) const { PQfinish(connection); }
};
using PgConnection = std::unique_ptr<PGconn, FinishConnection>;

struct ClearResult {
    void operator()(PGresult* result) const { PQclear(result); }
};
using PgResult = std::unique_ptr<PGresult, ClearResult>;

// Connects; throws std::runtime_error with libpq's message if that fails.
PgConnection pg_connect(const std::string& conninfo);

// libpq's message of a connection that must fail; throws if it succeeds.
std::string pg_connect_error(const std::string& conninfo);

// Runs one statement in the simple protocol; throws if it fails.
PgResult pg_exec(const PgConnection& connection, const std::string& sql);

// The first column of the first row, "" for NULL; throws if the statement fails or has no row.
std::string pg_value(const PgConnection& connection, const std::string& sql);

// SQLSTATE of a result, "00000" if it is no error.
std::string sqlstate(const PgResult& result);

}  // namespace muster::test
