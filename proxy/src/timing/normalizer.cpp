// The queue and its thread.
#include "timing/normalizer.hpp"

#include <utility>

#include "runtime/quiet_thread.hpp"
#include "timing/statement_text.hpp"

namespace muster::timing {

Normalizer::Normalizer(Statements& statements) : statements_(statements) {
    thread_ = start_quiet_thread([this] { run(); });
}

Normalizer::~Normalizer() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    work_.notify_one();
    thread_.join();
}

void Normalizer::add(StatementKey key, std::string name, std::string sql) {
    {
        const std::lock_guard lock(mutex_);
        if (waiting_.size() >= most_waiting) {
            return;
        }
        waiting_.push_back({key, std::move(name), std::move(sql)});
    }
    work_.notify_one();
}

void Normalizer::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        work_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        if (stopping_) {
            return;
        }
        const New next = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        asked_.fetch_add(1, std::memory_order_relaxed);
        statements_.describe(next.key, next.name, normalized_text(next.sql));
        lock.lock();
        work_.wait_for(lock, pause, [this] { return stopping_; });
    }
}

}  // namespace muster::timing
