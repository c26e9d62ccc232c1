// One HTTP request and its answer, as the stages of request handling see them: no sockets.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/ip/address.hpp>

#include "runtime/asio.hpp"

namespace muster::http {

// What becomes of a connection that leaves HTTP's requests and answers behind, once the head of its
// last answer has been written.
class Continuation {
  public:
    virtual ~Continuation() = default;

    // Owns the connection until its end. `received` came from the client after its request.
    virtual Task<> run(TcpSocket socket, std::string received) = 0;
    // The server stops: ends the connection soon. On its thread, before or while it runs.
    virtual void stop() = 0;
};

// An answer. The body is either `text` or `view`, which then points into what `kept` keeps alive: a
// document goes from the database, or from the cache, to the client without being copied.
struct Response {
    unsigned status = 200;
    std::string_view content_type = "application/json";  // of static storage
    std::vector<std::pair<std::string_view, std::string>> headers;
    std::string text;
    std::shared_ptr<const void> kept;
    std::string_view view;
    // If not null, it goes on after the head, which announces no body.
    std::shared_ptr<Continuation> continuation;

    std::string_view body() const { return kept ? view : std::string_view(text); }

    // Adds names to the header Vary: the answer would be another if these request headers were.
    void vary(std::string_view names) {
        for (auto& [name, value] : headers) {
            if (name == "Vary") {
                value += ", ";
                value += names;
                return;
            }
        }
        headers.emplace_back("Vary", names);
    }
};

// A request in hand. The views are valid until it is answered.
class Exchange {
  public:
    virtual ~Exchange() = default;

    std::string_view method;  // as sent: "GET"
    std::string_view target;  // as sent: "/agents/?limit=10"
    std::string request_id;
    TimePoint begun;        // when its head had been read, and its body if that was asked for
    TimePoint deadline;     // for the answer
    TimePoint answered;     // when it had its answer, if the handler has said so
    net::ip::address peer;  // at the other end of the connection
    std::string body;       // after receive_body()
    bool prefers = false;   // whether it has a header Prefer

    // Whether nothing is changed by it.
    bool reads() const { return method == "GET" || method == "HEAD"; }
    // The first header of this name, whatever its case.
    virtual std::optional<std::string_view> header(std::string_view name) const = 0;
    // All headers of this name, in the order sent.
    virtual std::vector<std::string_view> headers(std::string_view name) const = 0;
    // Whether the request announces a body, even an empty one.
    virtual bool has_body() const = 0;
    // Reads the body; the answer to give instead when that fails. `begun` and `deadline` then count
    // from here.
    virtual Task<std::optional<Response>> receive_body() = 0;
};

// Answers a request. Must return within the exchange's deadline, give or take a cancelled query.
using Handler = std::function<Task<Response>(Exchange&)>;

}  // namespace muster::http
