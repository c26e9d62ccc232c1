// The header, the fingerprint and the statement.
#include "http/idempotency.hpp"

#include <algorithm>

#include "cache/origin.hpp"
#include "http/keys.hpp"

namespace muster::http {
namespace {

constexpr std::size_t longest_key = 255;
constexpr Oid bytea_type = 17;

bool is_visible(char c) {
    return c > 0x20 && c < 0x7f;
}

// The content of a structured field's string, RFC 9651 section 4.2.5; nothing if it is none.
std::optional<std::string> quoted(std::string_view text) {
    std::string out;
    for (std::size_t i = 1; i < text.size(); ++i) {
        if (text[i] == '"') {
            return i + 1 == text.size() ? std::optional(std::move(out)) : std::nullopt;
        }
        if (text[i] == '\\' && (++i == text.size() || (text[i] != '"' && text[i] != '\\'))) {
            return std::nullopt;
        }
        out += text[i];
    }
    return std::nullopt;
}

std::string digest_bytes(std::string_view text) {
    const Digest digest = digest_of(text);
    return {digest.begin(), digest.end()};
}

postgres::Parameter text_parameter(const std::string& value) {
    postgres::Parameter parameter;
    parameter.value = value;
    return parameter;
}

}  // namespace

Result<std::optional<std::string>, Problem> idempotency_key(const Exchange& exchange) {
    const auto headers = exchange.headers("Idempotency-Key");
    if (headers.empty()) {
        return std::optional<std::string>();
    }
    std::optional<std::string> key;
    if (headers.size() == 1) {
        const std::string_view text = headers.front();
        const bool bare = text.find_first_of("\"\\") == std::string_view::npos;
        key = text.starts_with('"') ? quoted(text)
              : bare                ? std::optional(std::string(text))
                                    : std::nullopt;
    }
    if (!key || key->empty() || key->size() > longest_key ||
        !std::all_of(key->begin(), key->end(), is_visible)) {
        return Problem{400,
                       "the header Idempotency-Key must be one key of 1 to 255 visible ASCII "
                       "characters, in quotes or without any",
                       {},
                       "A random UUID is a good key."};
    }
    return key;
}

IdempotentRequest::IdempotentRequest(std::string key_, const Exchange& exchange,
                                     const Target& target)
    : key(std::move(key_)), method(exchange.method) {
    for (const std::string& segment : target.segments) {
        path += '/' + percent_encode(segment);
    }
    std::string sent = digest_bytes(exchange.body);
    for (const QueryParameter& parameter : target.query) {
        sent += percent_encode(parameter.name) + '=' + percent_encode(parameter.value) + '&';
    }
    fingerprint = digest_bytes(sent);
}

// The call runs under a condition on nothing of its own, which PostgreSQL tests before it scans the
// function (OFFSET 0 keeps it there). A column that the function does not return is looked for one
// level further out, in `d`, so that the statement needs not know which it has; and a function that
// returns nothing but json has it as `r` itself.
IdempotentCall::IdempotentCall(const config::Route& route) {
    const std::size_t first = route.compiled.parameters.size() + 1;
    const auto placeholder = [&](std::size_t i) { return '$' + std::to_string(first + i); };
    const std::string request = placeholder(0) + "::uuid, " + placeholder(1) + ", " +
                                placeholder(2) + ", " + placeholder(3) + ", " + placeholder(4);
    const std::string status = "coalesce(n.status, " + std::to_string(route.success) + ")";
    sql_ = "select c.outcome, coalesce(c.status, " + status +
           ") as status, coalesce(c.body, n.body) as body, coalesce(c.next, n.next) as next,"
           " coalesce(c.location, n.location) as location, c.xid,"
           " case when c.outcome = 'run' and n.body is not null and " +
           status + " between 200 and 399 then muster.idempotency_store(" + request + ", " +
           status + ", n.body, n.next, n.location) end as stored, " +
           std::string(cache::Origin::sql) + " from muster.idempotency_claim(" + request +
           ") c left join lateral (select x.*"
           " from (select null::text, null::text, null::int, null::text)"
           " d (body, next, status, location),"
           " lateral (select case when pg_typeof(r) = any ('{json,jsonb}'::regtype[])"
           " then r::text else body::text end, next::text, status::int, location::text from " +
           route.compiled.sql +
           " r where c.outcome = 'run' offset 0)"
           " x (body, next, status, location)) n on true";
}

std::vector<postgres::Parameter> IdempotentCall::bind(std::vector<postgres::Parameter> values,
                                                      const std::string& api_key,
                                                      const IdempotentRequest& request) {
    for (const std::string* text : {&api_key, &request.key, &request.method, &request.path}) {
        values.push_back(text_parameter(*text));
    }
    values.push_back({request.fingerprint, true, bytea_type});
    return values;
}

}  // namespace muster::http
