// One asynchronous connection to Redis (hiredis on an Asio adapter of ours).
//
// A Connection belongs to one io_context thread. Any number of coroutines may have commands in
// flight; replies come in the order of sending. It never reconnects by itself: its owner makes a
// new one. It may be destroyed at any time outside of a call: commands in flight then end as
// `lost`.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "redis/reply.hpp"
#include "runtime/asio.hpp"
#include "runtime/result.hpp"

namespace muster::redis {

// Why there is no reply. An error reply is a Reply.
struct Error {
    enum class Kind {
        not_sent,   // nothing reached the server: not connected, or too much in flight
        lost,       // the connection broke: the command may have run or not
        timed_out,  // no reply by the deadline: the command may still run, even later
        refused,    // while connecting: the server said no (password, limits)
    };
    Kind kind;
    std::string message;
};

template <class T>
using Outcome = Result<T, Error>;

class Link;

class Connection {
  public:
    // Bounds of what may be in flight on one connection; a command beyond them is `not_sent`.
    static constexpr std::size_t most_commands = 4096;
    static constexpr std::size_t most_bytes = std::size_t{64} * 1024 * 1024;

    // Connects, authenticates if there is a password file and gives the connection `name` (no
    // spaces). A host that begins with '/' is a Unix socket. All of it is over by `deadline`.
    static Task<Outcome<std::unique_ptr<Connection>>> connect(net::io_context& context,
                                                              config::Redis configuration,
                                                              std::string name, TimePoint deadline);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // Puts a command into the connection's buffer at once and returns the wait for its reply, so
    // commands are sent in the order of these calls. A reply that comes after its deadline is
    // dropped; the connection goes on.
    Task<Outcome<Reply>> send(std::span<const std::string_view> words, TimePoint deadline);

    template <class... Words>
    Task<Outcome<Reply>> command(TimePoint deadline, const Words&... words) {
        const std::array<std::string_view, sizeof...(Words)> list{std::string_view(words)...};
        return send(list, deadline);
    }

    // False once the connection is broken; it stays so.
    bool connected() const;
    std::size_t in_flight() const;

  private:
    friend class Subscription;
    explicit Connection(std::shared_ptr<Link> link);
    std::shared_ptr<Link> link_;
};

}  // namespace muster::redis
