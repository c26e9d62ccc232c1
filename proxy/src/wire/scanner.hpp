// Finds message boundaries in one direction of a session without ever holding a message.
//
// After the startup phase every message is a type byte, an int32 length that counts itself, and a
// body. The scanner is fed chunks as they were read, however they cut the stream, and keeps at most
// six bytes: the header and the first byte of the body, which is all that the door looks at.
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
    std::size_t body;  // length of the body in bytes
    char first;        // first byte of the body, NUL when it is empty
};

class Scanner {
  public:
    // Calls `on_message(const MessageStart&)` for each message whose header (and first body byte,
    // if it has a body) lies in the stream up to the end of `chunk`. False when the stream is out
    // of step, which no later chunk can repair.
    template <class OnMessage>
    bool feed(std::string_view chunk, OnMessage&& on_message) {
        feed(chunk, on_message, [](char) { return true; });
        return in_step();
    }

    // The same, but stops in front of the first message for which `may_begin(char type)` says no.
    // Returns how many bytes of `chunk` are behind it then.
    template <class OnMessage, class MayBegin>
    std::size_t feed(std::string_view chunk, OnMessage&& on_message, MayBegin&& may_begin) {
        const auto size = chunk.size();
        while (!chunk.empty() && !lost_) {
            if (skip_ > 0) {
                const auto n = std::min(skip_, chunk.size());
                skip_ -= n;
                chunk.remove_prefix(n);
                continue;
            }
            if (have_ == 0 && !may_begin(chunk.front()))
                break;
            const auto n = std::min(wanted_ - have_, chunk.size());
            std::memcpy(prefix_ + have_, chunk.data(), n);
            have_ += n;
            chunk.remove_prefix(n);
            if (have_ < wanted_)
                break;
            const std::size_t length = read_uint32(prefix_ + 1);
            if (length < 4 || length > max_length) {
                lost_ = true;
                break;
            }
            const std::size_t body = length - 4;
            if (body > 0 && have_ == header_size) {
                wanted_ = header_size + 1;
                continue;
            }
            skip_ = body > 0 ? body - 1 : 0;
            have_ = 0;
            wanted_ = header_size;
            on_message(MessageStart{prefix_[0], body, body > 0 ? prefix_[header_size] : '\0'});
        }
        return size - chunk.size();
    }

    bool in_step() const { return !lost_; }

    // Between two messages: another message may be put into the stream here.
    bool at_boundary() const { return !lost_ && have_ == 0 && skip_ == 0; }

  private:
    static constexpr std::size_t header_size = 5;
    static constexpr std::size_t max_length = 0x7fffffff;

    char prefix_[header_size + 1] = {};
    std::size_t have_ = 0;
    std::size_t wanted_ = header_size;
    std::size_t skip_ = 0;  // bytes left of the current body
    bool lost_ = false;
};

}  // namespace muster::wire
