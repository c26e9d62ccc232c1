// A synchronous libpq session for tests.
#include "harness/libpq.hpp"

#include <stdexcept>

namespace muster::test {
namespace {

PgConnection attempt(const std::string& conninfo) {
    // Keywords or an URI; what it says itself comes later and wins.
    const char* names[] = {"connect_timeout", "dbname", nullptr};
    const char* values[] = {"30", conninfo.c_str(), nullptr};
    return PgConnection(PQconnectdbParams(names, values, 1));
}

}  // namespace

PgConnection pg_connect(const std::string& conninfo) {
    auto connection = attempt(conninfo);
    if (PQstatus(connection.get()) != CONNECTION_OK)
        throw std::runtime_error(PQerrorMessage(connection.get()));
    return connection;
}

std::string pg_connect_error(const std::string& conninfo) {
    const auto connection = attempt(conninfo);
    if (PQstatus(connection.get()) == CONNECTION_OK)
        throw std::runtime_error("connected against expectation");
    return PQerrorMessage(connection.get());
}

PgResult pg_exec(const PgConnection& connection, const std::string& sql) {
    PgResult result(PQexec(connection.get(), sql.c_str()));
    const auto status = PQresultStatus(result.get());
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_COPY_IN &&
        status != PGRES_COPY_OUT && status != PGRES_COPY_BOTH)
        throw std::runtime_error(sql + ": " + PQerrorMessage(connection.get()));
    return result;
}

std::string pg_value(const PgConnection& connection, const std::string& sql) {
    const auto result = pg_exec(connection, sql);
    if (PQntuples(result.get()) == 0)
        throw std::runtime_error(sql + ": no row");
    return {PQgetvalue(result.get(), 0, 0),
            static_cast<std::size_t>(PQgetlength(result.get(), 0, 0))};
}

std::string sqlstate(const PgResult& result) {
    const char* state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
    return state == nullptr ? "00000" : state;
}

}  // namespace muster::test
