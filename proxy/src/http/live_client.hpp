// One live client: its connection, from the head of the answer on. Internal to Live.
//
// One coroutine writes and one reads. What the first has to do next is decided in serve(); the
// other, the sweep and the station only leave it notes and wake it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "http/exchange.hpp"
#include "http/keys.hpp"
#include "http/live_protocol.hpp"
#include "push/archive.hpp"
#include "push/replay.hpp"
#include "push/station.hpp"
#include "runtime/event.hpp"

namespace muster::http {

class Live;

class LiveClient final : public Continuation, public std::enable_shared_from_this<LiveClient> {
  public:
    struct Beginning {
        bool websocket;
        LiveCommand command;
        Digest key;
        std::shared_ptr<const Identity> identity;
    };

    LiveClient(std::shared_ptr<Live> live, Beginning beginning);
    ~LiveClient() override;
    LiveClient(const LiveClient&) = delete;
    LiveClient& operator=(const LiveClient&) = delete;

    Task<> run(TcpSocket socket, std::string received) override;
    void stop() override;

    // Ends it, for the first reason given, and says so if the client takes it within `patience`.
    void end(LiveEnd end, Clock::duration patience);
    // Ends what is past its deadline, and has a heartbeat sent when it is time.
    void sweep(TimePoint now);

    const Digest& key() const { return key_; }
    bool is_websocket() const { return websocket_; }

  private:
    Task<> serve();
    void obey(LiveCommand command);
    Task<> replay_some();
    void attach(StreamId id);
    bool fill();
    void put(const push::EventPtr& event);
    Task<> flush();
    Task<> farewell();
    Task<> rest(TimePoint until);
    void wake();
    StreamId position() const;

    static Task<> read(std::shared_ptr<LiveClient> self, std::string received);
    Task<> take(websocket::Reader::Message message);
    Task<> take_text(std::string_view text);
    void lose();

    const std::shared_ptr<Live> live_;
    const bool websocket_;
    const LiveFormat& format_;
    const Digest key_;
    const std::shared_ptr<const Identity> identity_;

    std::optional<TcpSocket> socket_;
    push::Listener listener_;
    bool attached_ = false;
    std::optional<push::Replay> replay_;  // under way
    push::PieceSize piece_;
    std::optional<TimePoint> unreadable_since_;  // the stream
    StreamId position_;                          // what was sent last, or is on its way

    // Notes for serve().
    std::optional<LiveCommand> command_;
    std::optional<std::string> pong_;
    bool heartbeat_due_ = false;
    std::optional<LiveEnd> end_;
    bool gone_ = false;         // the client is: nothing can be sent
    bool peer_closed_ = false;  // it has said that it will say no more

    // What is being sent: `out_`, then a large event's JSON, which is shared, and its tail.
    std::string out_;
    push::EventPtr body_;
    bool writing_ = false;
    TimePoint write_limit_;
    TimePoint end_limit_ = TimePoint::max();
    TimePoint last_sent_;
    TimePoint last_heard_;

    Timer wake_;    // of the writer
    Timer obeyed_;  // of the reader: the command was taken
    ::muster::Event read_to_end_;
};

}  // namespace muster::http
