// The queue and its thread.
#include "timing/normalizer.hpp"

#include <csignal>
#include <utility>

#include "timing/statement_text.hpp"

namespace muster::timing {

Normalizer::Normalizer(Statements& statements) : statements_(statements) {
    // Signals are for the thread that waits for them.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
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
        statements_.describe(next.key, next.name, normalized_text(next.sql));
        lock.lock();
        work_.wait_for(lock, pause, [this] { return stopping_; });
    }
}

}  // namespace muster::timing
