// The listening sockets of the process: opened by it, or handed over to it by systemd (socket
// activation) or by the process that it replaces.
//
// A socket that was handed over keeps what waits in its queue, so that a restart loses no
// connection. That is why every one of them is listened on, whatever the number of threads is now:
// with SO_REUSEPORT the kernel spreads connections over all sockets that are open.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/asio.hpp"
#include "runtime/result.hpp"

namespace muster {

class Listeners {
  public:
    struct Socket {
        std::string name;  // of the door: "http"
        int descriptor;
    };

    // None was handed over.
    Listeners() = default;
    // Takes those that the environment tells of (LISTEN_FDS, LISTEN_FDNAMES; sd_listen_fds(3)), and
    // the variables out of it.
    static Listeners handed_over();
    ~Listeners();
    Listeners(Listeners&& other) noexcept;
    Listeners& operator=(Listeners&&) = delete;

    // Descriptors for each of `threads` to listen on: those handed over under this name, or without
    // a known name on this port; else as many new ones as there are threads. The caller owns them.
    // The error says why it cannot listen.
    Result<std::vector<std::vector<int>>, std::string> open(const std::string& name,
                                                            const std::string& host,
                                                            std::uint16_t port, unsigned threads);

    // The same for a socket of another kind: what was handed over under this name, or -1; and what
    // has been opened elsewhere.
    int take(const std::string& name);
    void add(const std::string& name, int descriptor) { open_.push_back({name, descriptor}); }

    // What has been opened here, to be handed on while it is listened on.
    const std::vector<Socket>& open_sockets() const { return open_; }

    // Closes, with a warning, what was handed over and nobody has asked for.
    void close_unused();

  private:
    std::vector<Socket> given_;
    std::vector<Socket> open_;
};

// The port that a socket listens on.
std::uint16_t port_of(int descriptor);

}  // namespace muster
