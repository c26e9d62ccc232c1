// Writes that may be sent again: a request with an Idempotency-Key is carried out once, and its
// answer is given again for 24 hours (draft-ietf-httpapi-idempotency-key-header-07).
//
// The database keeps the answers, in the transaction of the write: muster.idempotency_claim() and
// muster.idempotency_store(). Here are the header, what makes two requests the same, and the
// statement around a route's call.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "http/exchange.hpp"
#include "http/problem.hpp"
#include "http/url.hpp"
#include "postgres/connection.hpp"
#include "runtime/result.hpp"

namespace muster::http {

// The key that a request brings, if any: a structured field's string in quotes, or the same text
// bare, as most clients send it. From 1 to 255 visible ASCII characters; anything else is a 400.
Result<std::optional<std::string>, Problem> idempotency_key(const Exchange& exchange);

// What a key stands for. The fingerprint tells apart what is sent under one key: it is of the body
// and the query. One path has one text here, however it was sent.
struct IdempotentRequest {
    IdempotentRequest(std::string key, const Exchange& exchange, const Target& target);

    std::string key;
    std::string method;
    std::string path;
    std::string fingerprint;  // 32 bytes
};

// A route's statement when it may run only once. It returns one row: outcome, status, body, next,
// location, xid (of the transaction that did it, if that was another one), stored, and
// cache::Origin::sql last.
class IdempotentCall {
  public:
    explicit IdempotentCall(const config::Route& route);

    const std::string& sql() const { return sql_; }

    // The statement's parameters: those of the route's call, then the request's and whose it is.
    static std::vector<postgres::Parameter> bind(std::vector<postgres::Parameter> values,
                                                 const std::string& api_key,
                                                 const IdempotentRequest& request);

  private:
    std::string sql_;
};

}  // namespace muster::http
