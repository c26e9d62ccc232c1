// One client's connection, from accept to close.
//
// startup -> connecting -> login -> open -> closing, or startup -> cancelling. In `login` and
// `open` two coroutines, one a direction, copy bytes as they come: each reads at most one buffer
// and writes it before it reads again, so a peer that does not read stops its opposite and nothing
// else. Session objects live as long as one of their coroutines or their timer does, all on one
// thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <boost/intrusive/list_hook.hpp>

#include "runtime/asio.hpp"
#include "wire/cancel_keys.hpp"
#include "wire/error_response.hpp"
#include "wire/leg.hpp"
#include "wire/occupancy.hpp"
#include "wire/pipeline.hpp"
#include "wire/scanner.hpp"
#include "wire/startup.hpp"
#include "wire/statement_times.hpp"
#include "wire/throttle.hpp"

namespace muster::wire {

class Worker;

class Session : public std::enable_shared_from_this<Session>,
                public boost::intrusive::list_base_hook<
                    boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  public:
    Session(std::shared_ptr<Worker> worker, Socket client);
    ~Session();

    void start();

    // Asks the session to end as soon as it is idle, which may be at once.
    void drain();

    // Sees whether a peer has gone that was last heard of at the same time: once in a while.
    void look_again();

    // Closes both legs now.
    void close();

    // The limits are others now.
    void apply_limits();

  private:
    enum class Phase { startup, connecting, login, open, closing, cancelling };

    // Up to the login (session_start.cpp).
    Task<> serve();
    Task<bool> read_proxy_header();
    Task<startup::Packet> read_startup(char* buffer, std::size_t& filled);
    bool offers_tls() const;
    Task<bool> begin_tls(bool asked_for);
    Task<> open(std::string_view packet);
    Task<bool> connect_upstream();
    Task<> forward_cancel(std::string_view packet);
    Task<> send_cancel(std::string_view packet);

    Task<> copy_to_server(std::optional<BufferPool::Buffer> block, std::string_view bytes);
    Task<> copy_to_client();

    std::size_t observe_client(std::string_view bytes);
    bool observe_server(std::string_view bytes);

    void logged_in();

    // What the limits ask for (session_limits.cpp).
    bool take_place(const startup::Packet& packet);
    Task<bool> take_users_place(std::string_view bytes);
    Task<> login();
    Task<> hold(std::string_view bytes);
    Task<std::size_t> drop(std::string_view bytes);
    Task<> say(std::string words);
    Task<> progress(TimePoint deadline);
    void made_progress();
    std::string whose(limit::Account::Kind kind) const;

    void leave_if_idle();
    void refuse(const Fatal& error);
    void give_way();
    void fail(const Fatal& error);
    void linger();
    void arm(Clock::duration after, Phase phase);
    void expired();

    friend class Worker;  // counts what was admitted, and who waits for a client
    using WaitingHook = boost::intrusive::list_member_hook<
        boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

    std::shared_ptr<Worker> worker_;
    WaitingHook waiting_hook_;
    Leg client_;
    Leg server_;
    Timer timer_;
    Phase phase_ = Phase::startup;
    Scanner from_client_;
    Scanner from_server_;
    Pipeline pipeline_;
    std::optional<net::ip::address> address_;  // the client's; none: by a Unix socket
    std::string user_;                         // as it says, and once open as it is
    std::string database_;
    std::unique_ptr<StatementTimes> times_;  // null: nothing is timed
    std::unique_ptr<KeyReader> key_reader_;  // in a login to an upstream that is a name
    std::optional<CancelKeys::Entry> cancel_key_;
    Throttle throttle_;
    Occupancy::Place address_place_;
    Occupancy::Place user_place_;
    std::string refusal_;         // of the sequence that is being dropped
    std::string words_;           // of ours, for copy_to_client() to write between two messages
    bool waiting_ = false;        // copy_to_server(), for what copy_to_client() does
    bool admitted_ = false;       // counted among the sessions
    bool answered_ = false;       // the upstream has sent something
    bool client_write_ = false;   // a write to the client is under way
    bool server_broken_ = false;  // the upstream takes no more
    bool reading_client_ = true;  // the coroutine of this direction runs
    bool reading_server_ = false;
};

}  // namespace muster::wire
