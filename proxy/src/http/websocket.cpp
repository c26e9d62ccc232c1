// Handshake and frames.
#include "http/websocket.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

#include <openssl/evp.h>

#include "http/header_value.hpp"
#include "http/problem.hpp"
#include "runtime/json.hpp"

namespace muster::http::websocket {
namespace {

constexpr std::size_t most_control_bytes = 125;

// Whether a header that lists tokens has this one.
bool has_token(const Exchange& exchange, std::string_view name, std::string_view token) {
    for (std::string_view value : exchange.headers(name)) {
        while (!value.empty()) {
            const std::size_t comma = std::min(value.find(','), value.size());
            std::string_view one = value.substr(0, comma);
            value.remove_prefix(std::min(comma + 1, value.size()));
            one.remove_prefix(std::min(one.find_first_not_of(" \t"), one.size()));
            one = one.substr(0, one.find_last_not_of(" \t") + 1);
            if (equals_ignoring_case(one, token)) {
                return true;
            }
        }
    }
    return false;
}

// Sixteen bytes in Base64.
bool is_key(std::string_view key) {
    return key.size() == 24 && key.ends_with("==") &&
           std::all_of(key.begin(), key.end() - 2, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '+' || c == '/';
           });
}

bool may_be_sent(std::uint16_t code) {
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

}  // namespace

bool is_upgrade(const Exchange& exchange) {
    return has_token(exchange, "Connection", "upgrade") &&
           has_token(exchange, "Upgrade", "websocket");
}

Response accept(const Exchange& exchange) {
    Response response;
    response.status = 101;
    const auto key = exchange.header("Sec-WebSocket-Key");
    if (exchange.header("Sec-WebSocket-Version") != "13") {
        response = respond(426, "Sec-WebSocket-Version must be 13");
        response.headers.emplace_back("Sec-WebSocket-Version", "13");
    } else if (!key || !is_key(*key)) {
        response = respond(400, "Sec-WebSocket-Key must be 16 bytes in Base64");
    } else {
        response.headers.emplace_back("Upgrade", "websocket");
        response.headers.emplace_back("Sec-WebSocket-Accept", accept_key(*key));
    }
    return response;
}

std::string accept_key(std::string_view key) {
    const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    if (EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_sha1(), nullptr) != 1) {
        throw std::runtime_error("SHA-1 failed");
    }
    std::array<unsigned char, 64> base64{};
    const int size = EVP_EncodeBlock(base64.data(), digest.data(), static_cast<int>(length));
    return {base64.begin(), base64.begin() + size};
}

void append_head(std::string& out, Opcode opcode, std::size_t payload_size) {
    const auto append = [&](std::uint64_t number, int bytes) {
        for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
            out += static_cast<char>(number >> shift & 0xff);
        }
    };
    append(0x80U | static_cast<unsigned>(opcode), 1);
    if (payload_size < 126) {
        append(payload_size, 1);
    } else if (payload_size < 65536) {
        append(126, 1);
        append(payload_size, 2);
    } else {
        append(127, 1);
        append(payload_size, 8);
    }
}

void append_frame(std::string& out, Opcode opcode, std::string_view payload) {
    append_head(out, opcode, payload.size());
    out += payload;
}

void append_close(std::string& out, Close code, std::string_view reason) {
    std::string payload;
    payload += static_cast<char>(static_cast<unsigned>(code) >> 8);
    payload += static_cast<char>(static_cast<unsigned>(code) & 0xff);
    payload += reason.substr(0, most_control_bytes - 2);
    append_frame(out, Opcode::close, payload);
}

std::optional<Reader::Message> Reader::fail(Close code, std::string_view reason) {
    violation_ = Violation{code, reason};
    return std::nullopt;
}

std::optional<Reader::Message> Reader::next() {
    while (!violation_ && buffer_.size() >= 2) {
        const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(buffer_[i]); };
        const std::uint8_t first = byte(0);
        const bool control = (first & 0x08) != 0;
        if ((first & 0x70) != 0) {
            return fail(Close::protocol_error, "reserved bits are set");
        }
        if ((byte(1) & 0x80) == 0) {
            return fail(Close::protocol_error, "a client's frames must be masked");
        }
        std::uint64_t size = byte(1) & 0x7fU;
        if (control && (size > most_control_bytes || (first & 0x80) == 0)) {
            return fail(Close::protocol_error, "a control frame is too long or fragmented");
        }
        const std::size_t length_bytes = size == 126 ? 2 : size == 127 ? 8 : 0;
        const std::size_t head = 2 + length_bytes + 4;
        if (buffer_.size() < head) {
            return std::nullopt;
        }
        if (length_bytes > 0) {
            size = 0;
            for (std::size_t i = 0; i < length_bytes; ++i) {
                size = size << 8 | byte(2 + i);
            }
            if (size < (length_bytes == 2 ? 126U : 65536U) || size >> 63 != 0) {
                return fail(Close::protocol_error, "a length is not written in its shortest form");
            }
        }
        const std::size_t before = control ? 0 : fragments_.size();
        if (size > most_bytes_ - std::min(before, most_bytes_)) {
            return fail(Close::message_too_big, "the message is too long");
        }
        if (buffer_.size() - head < size) {
            return std::nullopt;
        }
        std::string payload = buffer_.substr(head, static_cast<std::size_t>(size));
        for (std::size_t i = 0; i < payload.size(); ++i) {
            payload[i] = static_cast<char>(payload[i] ^ buffer_[head - 4 + i % 4]);
        }
        buffer_.erase(0, head + payload.size());
        if (auto message = take(first, std::move(payload))) {
            return message;
        }
    }
    return std::nullopt;
}

// Judges one whole frame. Returns the message that it completes, if it does.
std::optional<Reader::Message> Reader::take(std::uint8_t first, std::string payload) {
    const bool last = (first & 0x80) != 0;
    Opcode opcode{static_cast<std::uint8_t>(first & 0x0f)};
    switch (opcode) {
        case Opcode::ping:
        case Opcode::pong:
            return Message{opcode, std::move(payload)};
        case Opcode::close: {
            const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(payload[i]); };
            if (payload.size() == 1 ||
                (payload.size() >= 2 &&
                 !may_be_sent(static_cast<std::uint16_t>(byte(0) << 8 | byte(1))))) {
                return fail(Close::protocol_error, "a close frame has no valid code");
            }
            if (payload.size() > 2 && !is_utf8(std::string_view(payload).substr(2))) {
                return fail(Close::invalid_payload, "a close frame's reason is not UTF-8");
            }
            return Message{opcode, std::move(payload)};
        }
        case Opcode::text:
        case Opcode::binary:
            if (fragmented_) {
                return fail(Close::protocol_error, "a message began within another one");
            }
            if (!last) {
                fragmented_ = opcode;
                fragments_ = std::move(payload);
                return std::nullopt;
            }
            break;
        case Opcode::more:
            if (!fragmented_) {
                return fail(Close::protocol_error, "a fragment has no beginning");
            }
            fragments_ += payload;
            if (!last) {
                return std::nullopt;
            }
            opcode = *fragmented_;
            payload = std::exchange(fragments_, {});
            fragmented_.reset();
            break;
        default:
            return fail(Close::protocol_error, "a frame has an unknown opcode");
    }
    if (opcode == Opcode::text && !is_utf8(payload)) {
        return fail(Close::invalid_payload, "the message is not UTF-8");
    }
    return Message{opcode, std::move(payload)};
}

}  // namespace muster::http::websocket
