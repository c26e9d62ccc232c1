// The WebSocket protocol (RFC 6455), a server's side of it, without I/O: no extensions.
//
// Written by hand rather than taken from Beast, because a stream of Beast's sends each message by a
// system call of its own: here many small ones go out together.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/exchange.hpp"

namespace muster::http::websocket {

// Why a connection ends (RFC 6455, 7.4.1; 1013 is in IANA's registry).
enum class Close : std::uint16_t {
    normal = 1000,
    going_away = 1001,
    protocol_error = 1002,
    unsupported_data = 1003,
    invalid_payload = 1007,
    policy_violation = 1008,
    message_too_big = 1009,
    try_again_later = 1013,
};

// Whether a request asks for this protocol.
bool is_upgrade(const Exchange& exchange);
// The headers that accept it, but for Connection; or the refusal: 400, or 426 for a version other
// than 13.
Response accept(const Exchange& exchange);
// What proves that a server has understood the client's Sec-WebSocket-Key.
std::string accept_key(std::string_view key);

enum class Opcode : std::uint8_t { more = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

// Appends the head of an unfragmented frame; its payload is to follow.
void append_head(std::string& out, Opcode opcode, std::size_t payload_size);
void append_frame(std::string& out, Opcode opcode, std::string_view payload);
// `reason` is cut to what a close frame can hold.
void append_close(std::string& out, Close code, std::string_view reason);

// A client's frames, put together to messages.
class Reader {
  public:
    explicit Reader(std::size_t most_bytes) : most_bytes_(most_bytes) {}

    struct Message {
        Opcode opcode;        // text, binary, close, ping or pong
        std::string payload;  // of a close frame: its code and reason, as they came
    };
    struct Violation {
        Close code;
        std::string_view reason;
    };

    // Adds bytes as they came. Bounded by what the caller adds between calls of next().
    void add(std::string_view bytes) { buffer_ += bytes; }
    // The next message, if it is complete. After a violation nothing more comes.
    std::optional<Message> next();
    const std::optional<Violation>& violation() const { return violation_; }

  private:
    std::optional<Message> fail(Close code, std::string_view reason);
    std::optional<Message> take(std::uint8_t first, std::string payload);

    const std::size_t most_bytes_;  // of a message
    std::string buffer_;
    std::optional<Opcode> fragmented_;
    std::string fragments_;
    std::optional<Violation> violation_;
};

}  // namespace muster::http::websocket
