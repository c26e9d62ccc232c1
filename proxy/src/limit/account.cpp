// Charging, and having leases refilled.
#include "limit/account.hpp"

#include <algorithm>

namespace muster::limit {
namespace {

// Redis hears of what is charged without a lease at most so often, for each bucket.
constexpr Nanos report_period = 10'000'000;

}  // namespace

Account::Account(std::shared_ptr<Limiter> limiter, const std::optional<net::ip::address>& from,
                 const std::string& user_name, const std::string& database_name) {
    const WirePolicies& policies = limiter->policies_.wire;
    const Nanos now = nanos(Clock::now());
    if (from && policies.address() != nullptr) {
        address_ = limiter->wire_addresses_->tag_of(*from);
    }
    if (const Policy* policy = policies.user(user_name)) {
        user_ = limiter->buckets_.of(user_name, *policy, now);
    }
    if (const Policy* policy = policies.database(database_name)) {
        database_ = limiter->buckets_.of(database_name, *policy, now);
    }
    if (address_ != 0 || user_ || database_) {
        limiter_ = std::move(limiter);
    }
}

bool Account::has(Kind kind) const {
    switch (kind) {
        case address:
            return address_ != 0;
        case user:
            return user_ != nullptr;
        case database:
            return database_ != nullptr;
    }
    return false;
}

Account::Payment Account::pay(std::int64_t tokens, Nanos most, Nanos now) {
    Payment payment{0, address, true};
    if (empty()) {
        return payment;
    }
    Source of_user = Source::none;
    Source of_database = Source::none;
    // Whether the payment goes on.
    const auto owes = [&](Kind kind, Nanos debt) {
        if (debt > payment.debt) {
            payment.debt = debt;
            payment.kind = kind;
        }
        payment.paid = debt <= most;
        return payment.paid;
    };
    if (user_ && !owes(user, charge(user_, of_user, tokens, most, now))) {
        return payment;
    }
    if (database_ && !owes(database, charge(database_, of_database, tokens, most, now))) {
        give_back(user_, of_user, tokens);
        return payment;
    }
    if (address_ != 0) {
        const Quota share =
            share_of(limiter_->policies_.wire.address()->quota, limiter_->leases_->proxies());
        ArrivalTime& arrival = limiter_->wire_addresses_->of(address_, now);
        if (!owes(address, arrival.charge(share, now, tokens, most))) {
            give_back(user_, of_user, tokens);
            give_back(database_, of_database, tokens);
            return payment;
        }
    }
    have_refilled(user_, of_user, now);
    have_refilled(database_, of_database, now);
    return payment;
}

// Returns the debt that the bucket has then, or would have if that is more than `most`.
Nanos Account::charge(const std::shared_ptr<Bucket>& bucket, Source& source, std::int64_t tokens,
                      Nanos most, Nanos now) {
    if (bucket->lease.take(tokens, now)) {
        source = Source::lease;
        return 0;
    }
    const Quota share = share_of(bucket->policy.quota, limiter_->leases_->proxies());
    const Nanos debt = bucket->arrival.charge(share, now, tokens, most);
    if (debt <= most) {
        bucket->unreported.fetch_add(tokens, std::memory_order_relaxed);
        source = Source::bucket;
    }
    return debt;
}

void Account::give_back(const std::shared_ptr<Bucket>& bucket, Source source, std::int64_t tokens) {
    if (source == Source::lease) {
        bucket->lease.give_back(tokens);
    } else if (source == Source::bucket) {
        bucket->unreported.fetch_sub(tokens, std::memory_order_relaxed);
        bucket->arrival.give_back(share_of(bucket->policy.quota, limiter_->leases_->proxies()),
                                  tokens);
    }
}

// Asks Redis for a lease if there are tokens as far as is known here, and else now and then to tell
// what was used.
void Account::have_refilled(const std::shared_ptr<Bucket>& bucket, Source source, Nanos now) {
    const bool enough =
        source == Source::none ||
        (source == Source::lease && bucket->lease.held(now) > bucket->policy.lease / 2);
    if (enough || !limiter_->leases_->shared() || bucket->asking.load(std::memory_order_relaxed)) {
        return;
    }
    const Policy& policy = bucket->policy;
    const std::int64_t half = std::max<std::int64_t>(1, policy.lease / 2);
    const bool to_report = bucket->unreported.load(std::memory_order_relaxed) >= half &&
                           now - bucket->asked_at.load(std::memory_order_relaxed) >= report_period;
    if (to_report || decide(policy.quota, bucket->arrival.value(), now, half).admitted) {
        limiter_->leases_->refill(bucket);
    }
}

}  // namespace muster::limit
