// Live updates of one process: hears the relay, and passes every event on, once and in order, to
// the stations of its threads.
//
// Pub/Sub may lose messages: what is missing between two of them, and what was published while the
// connection was down, is read from the stream. What cannot be read any more becomes a reset;
// so does a stream that another has taken the place of, where Redis and the database were both made
// anew.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "metrics/registry.hpp"
#include "push/archive.hpp"
#include "push/station.hpp"

namespace muster::push {

class Hub {
  public:
    // One context a thread; the first is the hub's own. Registers its metrics; the registry does
    // not outlive it, nor do the contexts run longer than it lives.
    Hub(std::vector<net::io_context*> contexts, const config::Config& config,
        metrics::Registry& registry);
    ~Hub();
    Hub(const Hub&) = delete;
    Hub& operator=(const Hub&) = delete;

    // Listens from now on.
    void start();
    void stop();

    const config::Push& settings() const;
    const config::Redis& redis() const;
    const std::string& stream() const;
    // One thread's, to be used on it. What is returned here may outlive the hub.
    std::shared_ptr<Station> station(unsigned thread);
    // Live clients of all threads, to be held against settings().max_clients.
    std::shared_ptr<std::atomic<std::size_t>> clients();

  private:
    struct State;
    struct Passing;
    using Pass = std::function<void(Station&)>;

    static Task<> run(std::shared_ptr<State> state);
    static Task<std::string> listen(std::shared_ptr<State> state);
    static Task<std::string> begin(State& state);
    static Task<std::string> catch_up(State& state, StreamId until);
    static Task<std::string> begin_anew(State& state);
    static Task<> deliver(State& state, std::vector<EventPtr> events);
    static Task<> everywhere(State& state, const Pass& pass);
    static void publish(const std::shared_ptr<State>& state, metrics::Registry& registry);

    std::shared_ptr<State> state_;
};

}  // namespace muster::push
