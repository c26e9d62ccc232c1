// Threads, signals and the graceful end.
#include "runtime/runtime.hpp"

#include <csignal>
#include <cstring>
#include <exception>

#include <malloc.h>
#include <sys/resource.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <spdlog/spdlog.h>

namespace muster {
namespace {

// Runs an io_context to its end. A handler that throws is a fault of ours, but it costs one
// connection, not the process.
void run_to_end(net::io_context& context) {
    for (;;) {
        try {
            context.run();
            return;
        } catch (const std::exception& error) {
            spdlog::error("a handler failed: {}", error.what());
        }
    }
}

}  // namespace

Runtime::Runtime(unsigned threads) : patience_timer_(control_.get_executor()) {
    if (threads == 0) {
        threads = std::max(1U, std::thread::hardware_concurrency());
    }
    for (unsigned i = 0; i < threads; ++i) {
        workers_.push_back(std::make_unique<Worker>());
    }
}

Runtime::~Runtime() = default;

void Runtime::start_threads() {
    // Signals are for the control thread; the workers inherit a mask that leaves them out.
    sigset_t signals;
    sigset_t before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    for (const auto& [number, handle] : handlers_) {
        sigaddset(&signals, number);
    }
    pthread_sigmask(SIG_BLOCK, &signals, &before);
    running_ = threads();
    for (auto& worker : workers_) {
        worker->thread = std::thread([this, context = &worker->context] {
            run_to_end(*context);
            net::post(control_, [this] { worker_ended(); });
        });
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

bool Runtime::run(std::chrono::milliseconds patience, const std::function<void()>& stop) {
    patience_ = patience;
    stop_ = stop;
    auto guard = net::make_work_guard(control_);
    net::signal_set signals(control_, SIGTERM, SIGINT);
    for (const auto& [number, handle] : handlers_) {
        signals.add(number);
    }
    std::function<void(const error_code&, int)> on_signal = [&](const error_code& ec, int number) {
        if (ec) {
            return;
        }
        spdlog::info("received SIG{}", sigabbrev_np(number));
        if (const auto found = handlers_.find(number); found != handlers_.end()) {
            if (!stopping_) {
                found->second();
            }
        } else if (stopping_) {
            drop();
        } else {
            begin_stop();
        }
        signals.async_wait(on_signal);
    };
    signals.async_wait(on_signal);
    start_threads();
    run_to_end(control_);
    for (auto& worker : workers_) {
        worker->thread.join();
    }
    return !dropped_;
}

void Runtime::request_stop() {
    net::post(control_, [this] { begin_stop(); });
}

void Runtime::begin_stop() {
    if (stopping_) {
        return;
    }
    stopping_ = true;
    stop_();
    for (auto& worker : workers_) {
        worker->guard.reset();
    }
    patience_timer_.expires_after(patience_);
    patience_timer_.async_wait([this](const error_code& ec) {
        if (!ec) {
            drop();
        }
    });
}

void Runtime::drop() {
    if (!dropped_) {
        spdlog::warn("requests in hand are dropped");
    }
    dropped_ = true;
    for (auto& worker : workers_) {
        worker->context.stop();
    }
}

void Runtime::worker_ended() {
    if (--running_ == 0) {
        control_.stop();
    }
}

void spawn(net::io_context& context, const char* name, Task<> task) {
    net::co_spawn(context.get_executor(), std::move(task), [name](std::exception_ptr failure) {
        if (!failure) {
            return;
        }
        try {
            std::rethrow_exception(failure);
        } catch (const std::exception& error) {
            spdlog::error("{} failed: {}", name, error.what());
        }
    });
}

void prepare_process() {
    // Answers of a megabyte come and go: by its defaults malloc gives their pages back after each,
    // and a quarter of a large page's time goes into having them zeroed again.
    constexpr int kept_free = 16 * 1024 * 1024;
    mallopt(M_MMAP_THRESHOLD, kept_free);
    mallopt(M_TRIM_THRESHOLD, kept_free);
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGHUP, SIG_IGN);
    std::signal(SIGUSR2, SIG_IGN);
    rlimit files{};
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &files) != 0) {
            spdlog::warn("could not raise the limit of open files: {}", std::strerror(errno));
        }
    }
}

}  // namespace muster
