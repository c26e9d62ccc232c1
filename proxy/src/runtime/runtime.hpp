// The threads of the process and its life from start to graceful end.
//
// Each thread runs an io_context of its own; nothing moves between them. The doors are started
// before run() and told to stop by it.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "runtime/asio.hpp"

namespace muster {

class Runtime {
  public:
    // `threads` 0 means one per core.
    explicit Runtime(unsigned threads);
    ~Runtime();
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;

    unsigned threads() const { return static_cast<unsigned>(workers_.size()); }
    net::io_context& context(unsigned thread) { return workers_[thread]->context; }

    // The context of the thread that calls run(), for what is no request's business.
    net::io_context& control() { return control_; }

    // Has run() call `handle` on its thread whenever this signal comes. Before run().
    void on_signal(int number, std::function<void()> handle) {
        handlers_[number] = std::move(handle);
    }

    // Runs until SIGTERM, SIGINT or request_stop(), then calls `stop`, which has to let every
    // door's work come to its end. What has not ended after `patience`, or at a second signal, is
    // dropped. Returns whether all work ended by itself.
    bool run(std::chrono::milliseconds patience, const std::function<void()>& stop);

    // Whether `stop` has been called. On the thread of run().
    bool stopping() const { return stopping_; }

    // As a SIGTERM would; from any thread.
    void request_stop();

  private:
    using Guard = net::executor_work_guard<Executor>;
    struct Worker {
        // Others may post to it; its sockets are its thread's alone, and need no locks.
        net::io_context context{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};
        Guard guard{context.get_executor()};
        std::thread thread;
    };

    void start_threads();
    void worker_ended();

    net::io_context control_{1};  // of the thread that called run()
    std::vector<std::unique_ptr<Worker>> workers_;
    std::map<int, std::function<void()>> handlers_;  // by signal
    std::function<void()> stop_;
    std::chrono::milliseconds patience_{0};
    Timer patience_timer_;
    unsigned running_ = 0;
    bool stopping_ = false;
    bool dropped_ = false;

    void begin_stop();
    void drop();
};

// Runs `task` on `context`; an exception that escapes it is logged under `name`.
void spawn(net::io_context& context, const char* name, Task<> task);

// Settings of the process that every server needs: SIGPIPE ignored, SIGHUP and SIGUSR2 too
// until run() has handlers for them, as many open files as allowed, and up to 16 MB of freed memory
// kept for the next large answer (of each thread's heap).
void prepare_process();

}  // namespace muster
