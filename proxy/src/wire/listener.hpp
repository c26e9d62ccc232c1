// The door's Unix socket, which all threads accept from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include "runtime/asio.hpp"

namespace muster::wire {

using UnixAcceptor = net::basic_socket_acceptor<net::local::stream_protocol, Executor>;

// Owns the file of the socket, which PostgreSQL's clients look for as `.s.PGSQL.<port>`.
class UnixListener {
  public:
    UnixListener() = default;
    ~UnixListener();
    UnixListener(const UnixListener&) = delete;
    UnixListener& operator=(const UnixListener&) = delete;

    // Listens in `directory`, where a file that a killed process left is replaced. Any user may
    // connect that may enter the directory. A socket that the process before this one has opened
    // there may be `given`; -1: none. Returns why it cannot.
    std::optional<std::string> open(const std::string& directory, std::uint16_t port,
                                    int given = -1);
    int descriptor() const { return descriptor_; }
    bool is_open() const { return descriptor_ >= 0; }

    // Opens `acceptor` on the same socket. Returns why it cannot.
    std::optional<std::string> share(UnixAcceptor& acceptor) const;

    // Removes the file, unless it is another process's now: nobody new finds the door. Connections
    // that are open stay so.
    void close(bool keep_file = false);

  private:
    std::string path_;
    int descriptor_ = -1;
};

}  // namespace muster::wire
