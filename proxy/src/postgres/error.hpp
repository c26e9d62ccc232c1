// Errors of the server and of libpq as values.
#pragma once

#include <string>

#include "postgres/connection.hpp"

namespace muster::postgres {

// A text without the line ends and blanks behind it; empty for null.
std::string trimmed(const char* text);

Error failure(const char* sqlstate, std::string message, bool lost);

// The error that a result carries: the server's fields, or libpq's own text.
Error error_of(const PGresult* result);

// The error of a failed connection attempt, made with PQERRORS_VERBOSE.
Error connect_error(const PGconn* connection);

}  // namespace muster::postgres
