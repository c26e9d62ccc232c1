// One thread's part of the wire door: its listener, its sessions and what they share.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/intrusive/list.hpp>

#include "config/config.hpp"
#include "runtime/asio.hpp"
#include "timing/statement_table.hpp"
#include "wire/buffers.hpp"
#include "wire/counters.hpp"
#include "wire/listener.hpp"
#include "wire/session.hpp"
#include "wire/terms.hpp"
#include "wire/upstream.hpp"

namespace muster::wire {

// Owned together by the server and by the sessions, which may outlive the server's stop. Everything
// but the counters belongs to the thread that runs `context`.
class Worker : public std::enable_shared_from_this<Worker> {
  public:
    // `timing` is null if nothing is timed; `thread` is the number that it knows this one by.
    Worker(net::io_context& context, std::shared_ptr<Shared> shared, timing::Timing* timing,
           unsigned thread);

    // Has it accept from these sockets, which listen already.
    void listen(const std::vector<int>& descriptors);
    std::optional<std::string> listen(const UnixListener& listener) {
        return listener.share(unix_acceptor_);
    }
    void start();

    // Takes no new connection, closes sessions as they become idle, and the rest at `deadline`.
    void drain(TimePoint deadline);

    // For connections to come.
    void adopt_terms(TermsPtr terms);

    net::io_context& context() { return context_; }
    // Of now: not to be kept across a wait.
    const config::Wire& settings() const { return terms_->settings; }
    const TermsPtr& terms() const { return terms_; }
    Shared& shared() { return *shared_; }
    Counters& counters() { return counters_; }
    BufferPool& buffers() { return buffers_; }
    // Whoever waits for it keeps it.
    const std::shared_ptr<Upstream>& upstream() { return upstream_; }
    timing::StatementTable* statements() { return statements_ ? &*statements_ : nullptr; }
    bool draining() const { return draining_; }

    // Logs the first failure to reach the upstream and the recovery from it, not each in between.
    void upstream_reached(const std::optional<std::string>& error);

    // Logs the first connection of a load balancer without its header, and the next that has one.
    void balancer_spoke(const net::ip::address& balancer, bool header);
    // Has what `limiter` says apply, to open sessions too.
    void limit(std::shared_ptr<limit::Limiter> limiter);
    // May be null: nothing is limited.
    const std::shared_ptr<limit::Limiter>& limiter() const { return limiter_; }
    const config::WireLimits& wire_limits() const;

    // Counts queries that `account` has paid for.
    void admitted(const limit::Account& account, std::uint64_t queries) {
        for (std::size_t kind = 0; kind < limit::Account::kinds; ++kind) {
            if (account.has(static_cast<limit::Account::Kind>(kind)))
                counters_.limits[kind].admitted.add(queries);
        }
    }

    // Counts and logs that `whose` quota or connections have had a client refused. The log gets a
    // line a second at most.
    void limited(limit::Account::Kind kind, std::string_view whose, bool connection);

    void join(Session& session);
    void leave(Session& session);

    // The session can do nothing until its client says something, and nobody knows who that is.
    // Where there are too many of these the one that has waited longest here goes.
    void wait_for_client(Session& session);
    // Its client has said something, or is gone.
    void heard_from(Session& session);

  private:
    using Waiting = boost::intrusive::list<
        Session,
        boost::intrusive::member_hook<Session, Session::WaitingHook, &Session::waiting_hook_>,
        boost::intrusive::constant_time_size<false>>;

    template <class Acceptor>
    Task<> accept(Acceptor& acceptor);
    void look_again();

    net::io_context& context_;
    std::shared_ptr<Shared> shared_;
    Counters counters_;
    BufferPool buffers_;
    TermsPtr terms_;
    std::shared_ptr<Upstream> upstream_;
    std::optional<timing::StatementTable> statements_;
    std::list<TcpAcceptor> acceptors_;
    UnixAcceptor unix_acceptor_;
    Timer timer_;
    Timer next_look_;
    boost::intrusive::list<Session, boost::intrusive::constant_time_size<false>> sessions_;
    Waiting waiting_;  // the longest first
    bool draining_ = false;
    bool upstream_down_ = false;
    bool balancer_mistaken_ = false;
    std::shared_ptr<limit::Limiter> limiter_;
    TimePoint next_line_{};       // about limits, in the log
    std::uint64_t unlogged_ = 0;  // refusals since the last one
};

}  // namespace muster::wire
