// The look-up of API keys, its cache, and the sharing of simultaneous look-ups.
#include "http/keys.hpp"

#include <spdlog/spdlog.h>

#include "http/circuits.hpp"
#include "http/header_value.hpp"
#include "runtime/runtime.hpp"

namespace muster::http {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t longest_key = 512;
// What a key that has grace waits for the database that may be away.
constexpr auto probe_patience = 250ms;
constexpr Oid bytea_type = 17;

Problem unauthorized(std::string detail) {
    return {401, std::move(detail), {}, "Send a valid key as X-API-Key or Authorization: Bearer."};
}

// Whether the array literal "{read,write}" has this word.
bool has_scope(std::string_view scopes, std::string_view word) {
    const std::size_t at = scopes.find(word);
    if (at == std::string_view::npos || at == 0 || at + word.size() >= scopes.size()) {
        return false;
    }
    const char before = scopes[at - 1];
    const char after = scopes[at + word.size()];
    return (before == '{' || before == ',') && (after == '}' || after == ',');
}

}  // namespace

std::string_view key_of(const Exchange& exchange) {
    if (const auto key = exchange.header("X-API-Key"); key && !key->empty()) {
        return *key;
    }
    const auto authorization = exchange.header("Authorization");
    constexpr std::string_view scheme = "Bearer ";
    if (!authorization || authorization->size() < scheme.size() ||
        !equals_ignoring_case(authorization->substr(0, scheme.size()), scheme)) {
        return {};
    }
    std::string_view key = authorization->substr(scheme.size());
    key.remove_prefix(std::min(key.find_first_not_of(' '), key.size()));
    return key;
}

// Announces a look-up, and wakes those who joined it however it ends. One that is nobody's request
// keeps the owner of the keys.
class Keys::Asking {
  public:
    Asking(Keys& keys, const Digest& digest, std::shared_ptr<const void> owner = nullptr)
        : owner_(std::move(owner)),
          keys_(keys),
          digest_(digest),
          lookup_(std::make_shared<Lookup>()) {
        keys_.lookups_.emplace(digest_, lookup_);
    }
    ~Asking() {
        keys_.lookups_.erase(digest_);
        lookup_->land(std::move(answer_));
    }
    Asking(const Asking&) = delete;
    Asking& operator=(const Asking&) = delete;
    void answer(const Answer& answer) { answer_ = answer; }

    Keys& keys() const { return keys_; }
    const Digest& digest() const { return digest_; }
    const std::shared_ptr<Lookup>& lookup() const { return lookup_; }

  private:
    const std::shared_ptr<const void> owner_;  // goes last
    Keys& keys_;
    const Digest digest_;
    std::shared_ptr<Lookup> lookup_;
    std::optional<Answer> answer_;
};

Keys::Keys(net::io_context& context, postgres::Pool& pool, limit::Limiter& limiter,
           breaker::Breaker& database, KnownKeys& remembered)
    : context_(context),
      pool_(pool),
      limiter_(limiter),
      database_(database),
      remembered_(remembered) {
    digest_of("");  // OpenSSL initialises itself here, before there are threads
}

Result<Digest, Problem> Keys::presented(const Exchange& exchange) {
    const std::string_view key = key_of(exchange);
    if (key.empty()) {
        return unauthorized("the request has no API key");
    }
    if (key.size() > longest_key) {
        return unauthorized("the API key is not valid");
    }
    return digest_of(key);
}

std::optional<Keys::Answer> Keys::recall(const Digest& digest) const {
    const TimePoint now = Clock::now();
    if (const auto* entry = known_.find(digest, now)) {
        return Answer(entry->who);
    }
    if (unknown_.find(digest, now) != nullptr) {
        return Answer(unauthorized("the API key is not valid"));
    }
    return std::nullopt;
}

bool Keys::recognizes(const Digest& digest) const {
    return remembered_.find(digest, Clock::now()).has_value();
}

Task<Keys::Answer> Keys::verify(const Digest& digest, TimePoint deadline,
                                std::shared_ptr<const void> owner) {
    const TimePoint now = Clock::now();
    const auto known = remembered_.find(digest, now);
    if (known && now < known->asked + key_lifetime) {  // another thread has just asked
        auto identity = identify(*known->who);
        known_.insert(digest, {identity, known->asked, known->asked + key_lifetime}, now);
        co_return identity;
    }
    co_return co_await verify_anew(digest, deadline, std::move(owner));
}

Task<Keys::Answer> Keys::verify_anew(const Digest& digest, TimePoint deadline,
                                     std::shared_ptr<const void> owner) {
    if (const auto lookup = lookups_.find(digest); lookup != lookups_.end()) {
        co_return co_await join(digest, lookup->second, deadline);
    }
    const TimePoint now = Clock::now();
    const bool graced = has_grace(digest, now);
    const auto pass = database_.admit(now);
    if (!pass) {
        co_return unavailable_or_grace(digest, Circuits::unavailable());
    }
    if (!graced) {
        co_return co_await ask(digest, *pass, deadline);
    }
    auto asking = std::make_unique<Asking>(*this, digest, std::move(owner));
    auto lookup = asking->lookup();
    spawn(context_, "the look-up of a known key", probe(std::move(asking), *pass, deadline));
    co_return co_await join(digest, std::move(lookup), deadline);
}

// Whether the key would be accepted if the database, whose breaker is not closed, did not answer.
bool Keys::has_grace(const Digest& digest, TimePoint now) const {
    return database_.state() != breaker::State::closed && remembered_.find(digest, now);
}

// The answer when the database cannot be reached: the one of before, within the time of grace. It
// is believed for as long as one of the database's, so that an outage is not asked about at every
// request.
Keys::Answer Keys::unavailable_or_grace(const Digest& digest, Problem problem) {
    const TimePoint now = Clock::now();
    const auto known = remembered_.find(digest, now);
    if (!known) {
        return problem;
    }
    auto identity = identify(*known->who);
    known_.insert(digest, {identity, known->asked, std::min(now + key_lifetime, known->until)},
                  now);
    return identity;
}

std::shared_ptr<const Identity> Keys::identify(const Owner& owner) {
    return std::make_shared<const Identity>(
        Identity{owner, limiter_.enabled() ? limiter_.bucket(owner.id, owner.tier) : nullptr});
}

Task<Keys::Answer> Keys::join(const Digest& digest, std::shared_ptr<Lookup> lookup,
                              TimePoint deadline) {
    const TimePoint now = Clock::now();
    const bool graced = has_grace(digest, now);
    auto landed = co_await lookup->join(
        context_, graced ? std::min(deadline, now + probe_patience) : deadline);
    Answer answer = landed ? *std::move(landed)
                           : Problem{503, "the API key could not be checked in time", {}, {}};
    if (graced && !answer && answer.error().status != 401) {
        co_return unavailable_or_grace(digest, answer.error());
    }
    co_return answer;
}

Task<Keys::Answer> Keys::ask(const Digest& digest, breaker::Breaker::Pass pass,
                             TimePoint deadline) {
    Asking asking(*this, digest);
    auto answer = co_await query(digest, pass, deadline);
    asking.answer(answer);
    co_return answer;
}

// A look-up that takes as long as it takes, whoever still waits for it.
Task<> Keys::probe(std::unique_ptr<Asking> asking, breaker::Breaker::Pass pass,
                   TimePoint deadline) {
    asking->answer(co_await asking->keys().query(asking->digest(), pass, deadline));
}

Task<Keys::Answer> Keys::query(const Digest& digest, breaker::Breaker::Pass pass,
                               TimePoint deadline) {
    const TimePoint asked = Clock::now();
    const bool resting = pool_.resting();
    auto lease = co_await pool_.acquire(deadline);
    if (!lease) {
        spdlog::debug("API keys cannot be checked: {}", lease.error().message);
        if (is_outage(lease.error())) {
            if (!resting) {
                database_.failed(pass, Clock::now());
            }
            co_return unavailable_or_grace(digest, unavailable(lease.error()));
        }
        co_return unavailable(lease.error());
    }
    std::vector<postgres::Parameter> parameters(1);
    parameters[0].value = std::string(digest.begin(), digest.end());
    parameters[0].binary = true;
    parameters[0].type = bytea_type;
    auto rows = co_await lease.value()->query(
        "select k.id, k.name, k.tier, k.scopes from muster.api_key($1::bytea) k", parameters,
        deadline);
    if (!rows) {
        spdlog::error("API keys cannot be checked: {} ({})", rows.error().message,
                      rows.error().sqlstate);
        Problem problem{503, "the API key could not be checked", rows.error().sqlstate, {}};
        if (is_outage(rows.error())) {
            database_.failed(pass, Clock::now());
            co_return unavailable_or_grace(digest, std::move(problem));
        }
        co_return problem;
    }
    database_.succeeded(pass, Clock::now());
    const postgres::Rows& row = rows.value();
    const TimePoint until = asked + key_lifetime;
    if (row.size() == 0 || row.is_null(0, 0)) {
        remembered_.learn(digest, nullptr, asked);  // if it was revoked: no grace
        unknown_.insert(digest, {nullptr, asked, until}, asked);
        co_return unauthorized("the API key is not valid");
    }
    const auto owner = std::make_shared<const Owner>(Owner{
        .id = std::string(row.get(0, 0)),
        .name = std::string(row.get(0, 1)),
        .tier = std::string(row.get(0, 2)),
        .may_read = has_scope(row.get(0, 3), "read"),
        .may_write = has_scope(row.get(0, 3), "write"),
    });
    remembered_.learn(digest, owner, asked);
    auto identity = identify(*owner);
    known_.insert(digest, {identity, asked, until}, asked);
    co_return identity;
}

}  // namespace muster::http
