// libpq's socket as a coroutine waits for it: readiness in either direction, under one deadline.
//
// libpq owns the descriptor and may close or replace it inside any call. So it is only lent to
// Asio: watch() before waiting, release() as soon as libpq may have closed it and before anything
// else on this thread can open a descriptor of the same number.
//
// The timer is armed lazily. A request only notes its deadline; a timer already running for an
// earlier moment looks at the note when it fires and runs on. A stream of quick requests therefore
// sets no timers at all.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "runtime/asio.hpp"

namespace muster::postgres {

class Socket : public std::enable_shared_from_this<Socket> {
  public:
    enum class Event { ready, expired, failed };

    static std::shared_ptr<Socket> make(net::io_context& context);

    // Starts watching `fd`; stops watching what was watched before. Negative: nothing to watch.
    void watch(int fd);
    // Stops watching without closing.
    void release();
    int fd() const { return fd_; }

    // The waits below end with `expired` from this moment on.
    void set_deadline(TimePoint deadline);
    void clear_deadline();

    Task<Event> readable();
    Task<Event> writable();
    // Whichever comes first: a server that does not read because we do not read must not block us.
    Task<Event> readable_or_writable();

  private:
    explicit Socket(net::io_context& context);
    void arm(TimePoint at);
    void on_timer();
    Task<Event> wait(StreamDescriptor::wait_type direction);

    StreamDescriptor descriptor_;
    Timer timer_;
    int fd_ = -1;
    std::optional<TimePoint> deadline_;
    std::optional<TimePoint> armed_for_;
    std::uint64_t turn_ = 0;  // which arm() a firing timer belongs to
    bool expired_ = false;
};

}  // namespace muster::postgres
