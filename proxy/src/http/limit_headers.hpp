// What a client is told of the rate limits.
#pragma once

#include "http/exchange.hpp"
#include "limit/limiter.hpp"

namespace muster::http {

// Adds RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-10): the policy lets a
// quota q pass within a window of w seconds; r are left and the quota is whole in t seconds. And
// X-RateLimit-Limit, -Remaining and -Reset, which say the same, the last in seconds from now.
void add_limit_headers(Response& response, const limit::Verdict& verdict);

// The answer to a request that was refused, without the headers above: 429 with Retry-After.
Response too_many_requests(const limit::Verdict& verdict);

}  // namespace muster::http
