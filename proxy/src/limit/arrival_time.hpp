// A theoretical arrival time that threads share.
#pragma once

#include <atomic>

#include "limit/gcra.hpp"

namespace muster::limit {

// One atomic word; nobody waits. The time orders nothing but itself, so that relaxed order will do.
class ArrivalTime {
  public:
    Decision take(const Quota& quota, Nanos now, std::int64_t cost) {
        Nanos known = value_.load(std::memory_order_relaxed);
        for (;;) {
            const Decision decision = decide(quota, known, now, cost);
            if (!decision.admitted ||
                value_.compare_exchange_weak(known, decision.arrival, std::memory_order_relaxed)) {
                return decision;
            }
        }
    }

    // Takes `cost` tokens whether they are there or not, unless that made a debt of more than
    // `most` nanoseconds. Returns the debt, whether they were taken or not.
    Nanos charge(const Quota& quota, Nanos now, std::int64_t cost, Nanos most) {
        Nanos known = value_.load(std::memory_order_relaxed);
        for (;;) {
            const Decision decision = limit::charge(quota, known, now, cost);
            if (decision.retry_after > most ||
                value_.compare_exchange_weak(known, decision.arrival, std::memory_order_relaxed)) {
                return decision.retry_after;
            }
        }
    }

    // Undoes a take() or charge() of `cost` tokens.
    void give_back(const Quota& quota, std::int64_t cost) {
        value_.fetch_sub(quota.interval * cost, std::memory_order_relaxed);
    }

    Nanos value() const { return value_.load(std::memory_order_relaxed); }
    void set(Nanos value) { value_.store(value, std::memory_order_relaxed); }

  private:
    std::atomic<Nanos> value_{0};
};

}  // namespace muster::limit
