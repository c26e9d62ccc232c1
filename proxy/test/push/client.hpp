// Live clients for tests: Server-Sent Events read from a bare socket, WebSocket by Beast.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/stream.hpp>

namespace muster::test {

// One thing that a live client is told.
struct Told {
    // "event", or the type of a control message: subscribed, heartbeat, reset, overflow, closed
    std::string kind;
    std::string id;    // where the client stands after it
    std::string text;  // the JSON; empty for a bare id
};

// A string member of a flat JSON text; empty if there is none.
std::string member(const std::string& json, const std::string& name);

class LiveConnection {
  public:
    virtual ~LiveConnection() = default;
    // What comes next; nothing at the end of the connection. Throws after `patience`.
    virtual std::optional<Told> next(
        std::chrono::milliseconds patience = std::chrono::seconds(20)) = 0;
    // The same without heartbeats.
    std::optional<Told> next_news();

    int status = 0;      // of the answer
    std::string answer;  // its head, and the body of a refusal
};

class SseConnection final : public LiveConnection {
  public:
    // `headers` are whole lines. A receive buffer of the kernel may be given.
    SseConnection(unsigned short port, const std::string& target, const std::string& headers,
                  int receive_buffer = 0);
    ~SseConnection() override;
    SseConnection(const SseConnection&) = delete;
    SseConnection& operator=(const SseConnection&) = delete;

    std::optional<Told> next(
        std::chrono::milliseconds patience = std::chrono::seconds(20)) override;

  private:
    bool fill(std::chrono::milliseconds patience);

    int socket_;
    std::string buffer_;
    std::string last_id_;
};

class WebSocketConnection final : public LiveConnection {
  public:
    WebSocketConnection(unsigned short port, const std::string& target, const std::string& headers);

    std::optional<Told> next(
        std::chrono::milliseconds patience = std::chrono::seconds(20)) override;
    void send(const std::string& text, bool binary = false);
    void ping();
    // Says goodbye and waits for the answer.
    void close();
    // Of the close frame that came.
    int close_code() const { return socket_.reason().code; }
    std::string close_reason() const {
        return {socket_.reason().reason.data(), socket_.reason().reason.size()};
    }
    int pongs = 0;

  private:
    template <class Start>
    boost::system::error_code wait(Start start, std::chrono::milliseconds patience);

    boost::asio::io_context context_;
    boost::beast::websocket::stream<boost::asio::ip::tcp::socket> socket_{context_};
};

}  // namespace muster::test
