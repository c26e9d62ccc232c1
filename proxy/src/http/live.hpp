// One thread's live clients: who may become one, and how long each may stay.
#pragma once

#include <memory>
#include <string>
#include <unordered_set>

#include "http/keys.hpp"
#include "http/live_client.hpp"
#include "http/tickets.hpp"
#include "limit/limiter.hpp"
#include "push/hub.hpp"

namespace muster::http {

enum class LiveEndpoint { websocket, sse, tickets };

// Whether a page of this origin may open a live connection here: it is one of `allowed`, which has
// "*" for all, or that of the server itself, which the client calls `host`. The schemes are not
// compared, for TLS may end in front.
bool is_allowed_origin(std::string_view origin, std::string_view host,
                       const std::vector<std::string>& allowed);

class Live : public std::enable_shared_from_this<Live> {
  public:
    // `keys` and `limiter` live as long as the owner that belong_to() names.
    Live(net::io_context& context, unsigned thread, push::Hub& hub, Keys& keys,
         limit::Limiter& limiter, std::chrono::milliseconds write_timeout);

    // Names what the keys belong to: with a reload that goes once the last client has.
    void belong_to(std::weak_ptr<const void> owner) { owner_ = std::move(owner); }

    // The answer to a request for /ws or, otherwise, /events/stream, by the owner of `key`.
    Response open(const Exchange& exchange, const Target& target, bool websocket, const Digest& key,
                  std::shared_ptr<const Identity> identity);
    // Whether the request's Origin, if it has one, may have live updates.
    bool is_welcome(const Exchange& exchange) const;

    Tickets& tickets() { return tickets_; }

    // Keeps no connection to Redis from now on. The clients are told by their server.
    void stop();

  private:
    friend class LiveClient;

    static Task<> sweep(std::shared_ptr<Live> self);
    static Task<> check_keys(std::shared_ptr<Live> self);
    void begin(LiveClient& client);
    void end(LiveClient& client);

    net::io_context& context_;
    const unsigned thread_;
    const config::Push settings_;
    const std::chrono::milliseconds write_timeout_;
    Keys& keys_;
    limit::Limiter& limiter_;
    const std::shared_ptr<push::Station> station_;
    const std::shared_ptr<std::atomic<std::size_t>> count_;  // of all threads' clients
    redis::Dialer dialer_;
    push::Archive archive_;
    Tickets tickets_;
    std::unordered_set<LiveClient*> clients_;
    Timer sweep_timer_;
    Timer check_timer_;
    bool sweeping_ = false;
    bool checking_ = false;
    std::weak_ptr<const void> owner_;
};

}  // namespace muster::http
