// Errors as RFC 9457 problem documents.
#pragma once

#include <string>
#include <string_view>

#include "http/exchange.hpp"
#include "postgres/connection.hpp"

namespace muster::http {

// What a client is told went wrong. Its title is the status's own phrase.
struct Problem {
    unsigned status = 500;
    std::string detail;
    std::string sqlstate;  // empty: not the database's
    std::string hint;      // empty: none
    std::string_view type = "about:blank";
    std::string violated_policy = {};  // of the rate limits; empty: none
};

// The document as an answer; a 503 asks to come back in a second.
Response respond(const Problem& problem);
Response respond(unsigned status, std::string detail);

// The status of a failed query, by its SQLSTATE.
unsigned status_of(std::string_view sqlstate);

// The problem of a failed query. The server's words are passed on only where they speak of the
// request; `writes` says that the query may have changed something.
Problem problem_of(const postgres::Error& error, bool writes);

// The problem of having no database connection to run on.
Problem unavailable(const postgres::Error& error);

// The reason phrase of a status: "Not Found".
std::string_view reason_of(unsigned status);

}  // namespace muster::http
