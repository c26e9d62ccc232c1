// Many live clients on one thread, of both kinds, some of which do not read.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>

namespace muster::test {

class Crowd {
  public:
    struct Setup {
        unsigned short port;
        std::string key;      // the API key
        std::size_t readers;  // every other one a WebSocket client, the others of SSE
        std::size_t stalled;  // SSE clients that read nothing but the answer's head
    };
    // What one client was told.
    struct Ledger {
        std::size_t events = 0;
        std::size_t ids = 0;   // a hash of all ids in their order
        std::string last;      // the id of the last event
        std::string overflow;  // where to resume, if it was told
        bool ended = false;    // the connection is
    };

    // `hear` is called with each event's JSON that a reader gets, on the crowd's thread.
    Crowd(Setup setup, std::function<void(std::string_view json)> hear);
    ~Crowd();
    Crowd(const Crowd&) = delete;
    Crowd& operator=(const Crowd&) = delete;

    // Connects everybody and returns when all are subscribed; reads on a thread from then on.
    // Throws if one is refused.
    void come();
    // How many readers have heard of this many events.
    std::size_t readers_with(std::size_t events) const;
    // Has the stalled clients read, until their connections end.
    void wake_stalled();
    // Whether all of theirs have.
    bool stalled_ended() const;

    // When nothing comes any more.
    std::vector<Ledger> readers() const;
    std::vector<Ledger> stalled() const;

    // What Ledger::ids is after these.
    static std::size_t hash(std::size_t before, std::string_view id);

  private:
    class Client;
    std::vector<Ledger> ledgers(bool stalled) const;

    const Setup setup_;
    const std::function<void(std::string_view)> hear_;
    boost::asio::io_context context_{1};
    std::vector<std::unique_ptr<Client>> clients_;
    std::thread thread_;
};

}  // namespace muster::test
