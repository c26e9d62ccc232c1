// Who sends a request: API keys, looked up by their SHA-256 in the database.
//
// One Keys per thread. Answers are believed for a second, whichever thread has asked, so that a
// revocation works within it; unknown keys are kept apart from known ones, so that guessing does
// not push those out. A key that was found valid is remembered beyond its second: while the
// database cannot be reached, it is accepted for a time of grace.
#pragma once

#include <memory>
#include <optional>

#include "breaker/breaker.hpp"
#include "http/exchange.hpp"
#include "http/key_table.hpp"
#include "http/problem.hpp"
#include "limit/limiter.hpp"
#include "postgres/pool.hpp"
#include "runtime/flight.hpp"
#include "runtime/result.hpp"

namespace muster::http {

// The key of a request: X-API-Key, else Authorization: Bearer. Empty if there is none.
std::string_view key_of(const Exchange& exchange);

class Keys {
  public:
    using Answer = Result<std::shared_ptr<const Identity>, Problem>;

    Keys(net::io_context& context, postgres::Pool& pool, limit::Limiter& limiter,
         breaker::Breaker& database, KnownKeys& remembered);

    // The digest of the key that a request brings; 401 if it brings none.
    static Result<Digest, Problem> presented(const Exchange& exchange);

    // What is known without asking: the key's owner, or 401.
    std::optional<Answer> recall(const Digest& digest) const;
    // Whether this was a valid key when the database was last asked, not long ago.
    bool recognizes(const Digest& digest) const;
    // Asks the database, unless another thread has within the second. 401 if there is no such key,
    // 503 when that cannot be found out. `owner` is what this belongs to: a look-up may outlive the
    // request that has begun it.
    Task<Answer> verify(const Digest& digest, TimePoint deadline,
                        std::shared_ptr<const void> owner);
    // Asks whatever was said before. For who asks once a second anyway: with an answer that is
    // itself a second old, a key would be good for two.
    Task<Answer> verify_anew(const Digest& digest, TimePoint deadline,
                             std::shared_ptr<const void> owner);

  private:
    using Lookup = Flight<Answer>;
    class Asking;

    bool has_grace(const Digest& digest, TimePoint now) const;
    Task<Answer> ask(const Digest& digest, breaker::Breaker::Pass pass, TimePoint deadline);
    Task<Answer> join(const Digest& digest, std::shared_ptr<Lookup> lookup, TimePoint deadline);
    static Task<> probe(std::unique_ptr<Asking> asking, breaker::Breaker::Pass pass,
                        TimePoint deadline);
    Task<Answer> query(const Digest& digest, breaker::Breaker::Pass pass, TimePoint deadline);
    Answer unavailable_or_grace(const Digest& digest, Problem problem);
    std::shared_ptr<const Identity> identify(const Owner& owner);

    net::io_context& context_;
    postgres::Pool& pool_;
    limit::Limiter& limiter_;
    breaker::Breaker& database_;
    KnownKeys& remembered_;
    KeyTable<Identity> known_;    // fresh
    KeyTable<Identity> unknown_;  // likewise
    DigestMap<std::shared_ptr<Lookup>> lookups_;
};

}  // namespace muster::http
