// A wire door in the test's own process, and raw TCP clients of it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>

#include "wire/server.hpp"

namespace muster::test {

// Two threads, a free port. The destructor closes whatever is still open.
class Door {
  public:
    // `timing`, if any, is for two threads and outlives the door.
    explicit Door(config::Wire settings, timing::Timing* timing = nullptr);
    ~Door();

    std::string conninfo(const std::string& rest) const;
    unsigned short port() const { return server_.port(); }
    wire::Server& server() { return server_; }
    // Waits until no socket is left.
    void wait_until_empty() const;

  private:
    using Guard = net::executor_work_guard<Executor>;

    std::vector<std::unique_ptr<net::io_context>> contexts_;
    std::vector<Guard> guards_;
    wire::Server server_;
    std::vector<std::thread> threads_;
};

// A blocking TCP connection; reads give up after 30 s.
class RawClient {
  public:
    explicit RawClient(unsigned short port);
    ~RawClient() { close(); }
    RawClient(RawClient&& other) noexcept;
    RawClient& operator=(RawClient&&) = delete;

    void send(std::string_view bytes);
    // Sends as much as the connection takes; false once it is closed.
    bool try_send(std::string_view bytes);
    // Reads exactly n bytes, fewer only if the other side closes before.
    std::string receive(std::size_t n);
    std::string receive_all() { return receive(std::string::npos); }
    void half_close();
    void close();
    // Closes with a reset.
    void reset();
    int descriptor() const { return fd_; }

  private:
    int fd_;
};

// A startup message of protocol 3.0.
std::string startup_message(const std::string& user, const std::string& database);

// A typed message.
std::string message(char type, std::string_view body = {});

// Resident memory of this process in kB, and whether it says anything: sanitizers keep what was
// freed.
long resident();
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool memory_is_told = false;
#else
inline constexpr bool memory_is_told = true;
#endif

// SQLSTATE inside an ErrorResponse, "" if there is none.
std::string error_state(std::string_view bytes);

}  // namespace muster::test
