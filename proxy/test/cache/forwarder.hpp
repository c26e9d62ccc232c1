// The random test's news: what changes a proxy knows of, and the forwarder that brings them from
// the relay, none too reliably.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <mutex>
#include <random>
#include <string>
#include <thread>

#include <hiredis/hiredis.h>

#include "cache/proxy.hpp"

namespace muster::test {

constexpr int things = 8;          // some of which do not exist at the beginning
constexpr std::size_t latest = 4;  // known changes that are checked, of each thing

// A change, by the mark it left: "<version>.<unique>".
struct Mark {
    long version = 0;
    std::string text;
    explicit Mark(std::string mark) : version(std::stol(mark)), text(std::move(mark)) {}
};

// The latest changes that are known to one proxy, by thing.
class Known {
  public:
    void add(int thing, const std::string& mark) {
        const std::lock_guard lock(mutex_);
        auto& marks = marks_.at(static_cast<std::size_t>(thing));
        marks.emplace_front(mark);
        if (marks.size() > latest) {
            marks.pop_back();
        }
    }
    std::deque<Mark> of(int thing) const {
        const std::lock_guard lock(mutex_);
        return marks_.at(static_cast<std::size_t>(thing));
    }

  private:
    mutable std::mutex mutex_;
    std::array<std::deque<Mark>, things + 1> marks_;
};

// The value of `"name":"value"` or `"name" : "value"` in a JSON text.
std::string text_member(const std::string& json, const std::string& name);

// Stands between the relay and one proxy, on a thread of its own: delays, reorders and loses
// messages, and falls silent for more than a second.
class Forwarder {
  public:
    struct Counters {
        std::atomic<std::uint64_t> lost{0}, delayed{0}, silences{0}, delivered{0};
    };

    // Publishes on `channel` + "events" and `channel` + "heartbeat", and notes in `known` what the
    // proxy has counted. Ends when `stop` is set. All of them outlive it.
    Forwarder(const CachedProxy& proxy, std::string channel, Known& known, Counters& counters,
              const std::atomic<bool>& stop, unsigned seed)
        : proxy_(proxy),
          channel_(std::move(channel)),
          known_(known),
          counters_(counters),
          stop_(stop),
          random_(seed),
          thread_([this] { run(); }) {}
    ~Forwarder() { thread_.join(); }
    Forwarder(const Forwarder&) = delete;
    Forwarder& operator=(const Forwarder&) = delete;

  private:
    struct Held {
        TimePoint due;
        bool change;
        std::string text;
    };

    bool one_in(unsigned n) { return random_() % n == 0; }
    void run();
    void receive(redisContext& in);
    void hold(bool change, std::string text);
    void release(redisContext& out);

    const CachedProxy& proxy_;
    const std::string channel_;
    Known& known_;
    Counters& counters_;
    const std::atomic<bool>& stop_;
    std::mt19937 random_;
    TimePoint silent_until_{};
    std::deque<Held> held_;
    std::thread thread_;
};

}  // namespace muster::test
