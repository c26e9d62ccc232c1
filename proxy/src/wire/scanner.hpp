// Finds message boundaries in one direction of a session without ever holding a message.
//
// After the startup phase every message is a type byte, an int32 length that counts itself, and a
// body. The scanner is fed chunks as they were read, however they cut the stream, and keeps at most
// five bytes: a header that the end of a chunk has cut.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "wire/bytes.hpp"

namespace muster::wire {

struct MessageStart {
    char type;
    std::size_t body;       // length of the body in bytes
    char first;             // first byte of the body, NUL when it is empty
    std::string_view head;  // as much of the body as the chunk has: all of it, if nothing cuts it
};

class Scanner {
  public:
    // Calls `on_message(const MessageStart&)` for each message whose header (and first body byte,
    // if it has a body) lies in the stream up to the end of `chunk`, and
    // `on_more(std::string_view)` with what `chunk` has of a body that began in one before. False
    // when the stream is out of step, which no later chunk can repair.
    template <class OnMessage, class OnMore>
    bool feed(std::string_view chunk, OnMessage&& on_message, OnMore&& on_more) {
        while (!chunk.empty() && !lost_) {
            if (skip_ > 0) {
                const auto piece = chunk.substr(0, skip_);
                skip_ -= piece.size();
                chunk.remove_prefix(piece.size());
                on_more(piece);
                continue;
            }
            const char* header = chunk.data();
            std::size_t after = header_size;  // where the body begins in the chunk
            if (have_ > 0 || chunk.size() < header_size) {
                after = std::min(header_size - have_, chunk.size());
                std::memcpy(header_ + have_, chunk.data(), after);
                have_ += after;
                if (have_ < header_size)
                    break;
                header = header_;
            }
            const std::size_t length = read_uint32(header + 1);
            if (length < 4 || length > max_length) {
                lost_ = true;
                break;
            }
            const std::size_t body = length - 4;
            chunk.remove_prefix(after);
            if (body > 0 && chunk.empty()) {
                std::memmove(header_, header, header_size);
                have_ = header_size;
                break;
            }
            have_ = 0;
            const auto head = chunk.substr(0, body);
            skip_ = body - head.size();
            chunk.remove_prefix(head.size());
            on_message(MessageStart{*header, body, body > 0 ? head.front() : '\0', head});
        }
        return !lost_;
    }
    template <class OnMessage>
    bool feed(std::string_view chunk, OnMessage&& on_message) {
        return feed(chunk, on_message, [](std::string_view) {});
    }

    // Between two messages: another message may be put into the stream here.
    bool at_boundary() const { return !lost_ && have_ == 0 && skip_ == 0; }

  private:
    static constexpr std::size_t header_size = 5;
    static constexpr std::size_t max_length = 0x7fffffff;

    char header_[header_size] = {};
    std::size_t have_ = 0;
    std::size_t skip_ = 0;  // bytes left of the current body
    bool lost_ = false;
};

}  // namespace muster::wire
