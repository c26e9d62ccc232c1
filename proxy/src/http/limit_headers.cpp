// The rate limits' headers and problem.
#include "http/limit_headers.hpp"

#include <algorithm>
#include <string>

#include "http/problem.hpp"

namespace muster::http {
namespace {

// Whole seconds, rounded up: who comes back then finds what he was promised.
std::int64_t seconds(limit::Nanos duration) {
    constexpr limit::Nanos second = 1'000'000'000;
    return duration / second + (duration % second > 0 ? 1 : 0);
}

// A String of Structured Fields (RFC 9651); names of policies have nothing to escape.
std::string quoted(const std::string& name) {
    return '"' + name + '"';
}

}  // namespace

void add_limit_headers(Response& response, const limit::Verdict& verdict) {
    const limit::Policy& policy = *verdict.policy;
    const std::string burst = std::to_string(policy.quota.burst);
    const std::string remaining = std::to_string(verdict.remaining);
    const std::string reset = std::to_string(seconds(verdict.reset_after));
    auto& headers = response.headers;
    headers.reserve(headers.size() + 6);
    headers.emplace_back("RateLimit-Policy", quoted(policy.name) + ";q=" + burst +
                                                 ";w=" + std::to_string(policy.window));
    headers.emplace_back("RateLimit", quoted(policy.name) + ";r=" + remaining + ";t=" + reset);
    headers.emplace_back("X-RateLimit-Limit", burst);
    headers.emplace_back("X-RateLimit-Remaining", remaining);
    headers.emplace_back("X-RateLimit-Reset", reset);
}

Response too_many_requests(const limit::Verdict& verdict) {
    const limit::Policy& policy = *verdict.policy;
    const std::string wait =
        std::to_string(std::max<std::int64_t>(1, seconds(verdict.retry_after)));
    const bool keyed = policy.name != "address";
    Problem problem;
    problem.status = 429;
    problem.type = "https://iana.org/assignments/http-problem-types#quota-exceeded";
    problem.detail = (keyed ? "the API key's limit of " + std::to_string(policy.rate) +
                                  " requests per second is used up; try again in "
                            : "too many requests without a valid API key come from this address; "
                              "try again in ") +
                     wait + " s";
    problem.violated_policy = policy.name;
    Response response = respond(problem);
    response.headers.emplace_back("Retry-After", wait);
    return response;
}

}  // namespace muster::http
