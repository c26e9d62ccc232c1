// The mapping from SQLSTATEs to statuses, and the document.
#include "http/problem.hpp"

#include <boost/beast/http/status.hpp>

#include "runtime/json.hpp"

namespace muster::http {
namespace {

// Whether the server's DETAIL speaks of the request's values, and not of a whole row or of others'
// transactions.
bool detail_is_for_clients(std::string_view sqlstate) {
    return sqlstate.starts_with("22") || sqlstate == "23505" || sqlstate == "23503";
}

// What clients are told in place of messages that are about the server.
std::string server_side_detail(const postgres::Error& error, unsigned status, bool writes) {
    if (status == 504) {
        return writes ? "the database did not answer in time; the request was cancelled"
                      : "the database did not answer in time";
    }
    if (status != 503) {
        return "the request failed in the database; the proxy's log has the reason under this "
               "request id";
    }
    const std::string_view sqlstate = error.sqlstate;
    if (error.connection_lost || sqlstate.starts_with("08")) {
        return writes ? "the connection to the database was lost; the request may or may not have "
                        "been carried out"
                      : "the connection to the database was lost";
    }
    if (sqlstate == "40001" || sqlstate == "40P01") {
        return "the request collided with another one and was rolled back";
    }
    if (sqlstate == "55P03") {
        return "what the request needs is locked by another one";
    }
    if (sqlstate == "25006") {
        return "the database is read-only at present";
    }
    if (sqlstate.starts_with("53")) {
        return "the database has no room for the request at present";
    }
    return "the database is not available";
}

}  // namespace

std::string_view reason_of(unsigned status) {
    const auto reason =
        boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(status));
    return {reason.data(), reason.size()};
}

Response respond(const Problem& problem) {
    Response response;
    response.status = problem.status;
    response.content_type = "application/problem+json";
    std::string& out = response.text;
    out = R"({"type":)";
    append_json_string(out, problem.type);
    out += ",\"title\":";
    append_json_string(out, reason_of(problem.status));
    out += ",\"status\":" + std::to_string(problem.status) + ",\"detail\":";
    append_json_string(out, problem.detail);
    if (!problem.sqlstate.empty()) {
        out += ",\"sqlstate\":";
        append_json_string(out, problem.sqlstate);
    }
    if (!problem.hint.empty()) {
        out += ",\"hint\":";
        append_json_string(out, problem.hint);
    }
    if (!problem.violated_policy.empty()) {
        out += ",\"violated-policies\":[";
        append_json_string(out, problem.violated_policy);
        out += ']';
    }
    out += '}';
    if (problem.status == 503) {
        response.headers.emplace_back("Retry-After", "1");
    }
    return response;
}

Response respond(unsigned status, std::string detail) {
    return respond(Problem{status, std::move(detail), {}, {}});
}

unsigned status_of(std::string_view sqlstate) {
    const std::string_view group = sqlstate.substr(0, 2);
    if (group == "22" || sqlstate == "23502" || sqlstate == "23514") {
        return 422;
    }
    if (sqlstate == "23505" || sqlstate == "23503") {
        return 409;
    }
    if (sqlstate == "P0002") {
        return 404;
    }
    if (sqlstate == "42501") {
        return 403;
    }
    if (group == "54") {
        return 413;
    }
    if (sqlstate == "57014") {
        return 504;
    }
    if (sqlstate == "40001" || sqlstate == "40P01" || sqlstate == "55P03" || sqlstate == "25006" ||
        group == "53" || group == "08" || sqlstate.starts_with("57P")) {
        return 503;
    }
    return 500;
}

Problem problem_of(const postgres::Error& error, bool writes) {
    Problem problem;
    problem.status =
        error.connection_lost && error.sqlstate != "57014" ? 503 : status_of(error.sqlstate);
    problem.sqlstate = error.sqlstate;
    if (problem.status >= 500) {
        problem.detail = server_side_detail(error, problem.status, writes);
        return problem;
    }
    problem.detail = error.message;
    if (!error.detail.empty() && detail_is_for_clients(error.sqlstate)) {
        problem.detail += ": " + error.detail;
    }
    problem.hint = error.hint;
    return problem;
}

Problem unavailable(const postgres::Error& error) {
    return {503,
            error.sqlstate == "53300" ? "all database connections are busy"
                                      : "the database is not available",
            error.sqlstate,
            {}};
}

}  // namespace muster::http
