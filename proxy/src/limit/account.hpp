// What a session of the wire door pays for its queries from: the buckets of its address, its user
// and its database, as far as these are limited.
//
// A query that is under way cannot be taken back, so that an account, unlike a request's key, may
// be in debt. It never waits for Redis: what no lease covers is charged to the bucket at once, as
// far as it is known here, and told Redis with the next lease. In any window of t seconds at most
// burst + rate * t + proxies * 2n + the debts made in it pass, and what was a debt is paid later.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/ip/address.hpp>

#include "limit/limiter.hpp"

namespace muster::limit {

class Account {
  public:
    enum Kind : std::uint8_t { address, user, database };
    static constexpr std::size_t kinds = 3;

    struct Payment {
        Nanos debt = 0;       // how long until all is paid, by the bucket that has the largest
        Kind kind = address;  // of that bucket
        bool paid = false;
    };

    // Pays for nothing.
    Account() = default;
    // Nobody has an address who is on a Unix socket.
    Account(std::shared_ptr<Limiter> limiter, const std::optional<net::ip::address>& from,
            const std::string& user_name, const std::string& database_name);

    // Charges `tokens` to each bucket, unless one of them had then a debt of more than `most`
    // nanoseconds; in that case none is charged. From any thread; waits for nothing.
    Payment pay(std::int64_t tokens, Nanos most, Nanos now);

    // Nothing is limited.
    bool empty() const { return !limiter_; }
    bool has(Kind kind) const;

  private:
    // What one bucket has given, to be able to give it back.
    enum class Source : std::uint8_t { none, lease, bucket };

    Nanos charge(const std::shared_ptr<Bucket>& bucket, Source& source, std::int64_t tokens,
                 Nanos most, Nanos now);
    void give_back(const std::shared_ptr<Bucket>& bucket, Source source, std::int64_t tokens);
    void have_refilled(const std::shared_ptr<Bucket>& bucket, Source source, Nanos now);

    std::shared_ptr<Limiter> limiter_;
    std::shared_ptr<Bucket> user_;
    std::shared_ptr<Bucket> database_;
    std::uint64_t address_ = 0;  // tag of the address; 0: none
};

}  // namespace muster::limit
