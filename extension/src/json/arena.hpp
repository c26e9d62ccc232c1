// An append buffer for JSON text. It lives in the memory context it was made in, which frees it:
// the type itself holds nothing to destroy, so that an error may jump over it.
//
// A buffer is at most MaxAllocSize bytes, the largest value PostgreSQL can hold. Growing past that
// is refused before anything is allocated.
#pragma once

#include "compat.hpp"

namespace muster::json {

// Raises the error of a document that no value can hold.
[[noreturn]] void report_too_large();

struct Arena {
    char* data;
    std::size_t used;
    std::size_t capacity;

    // Makes room for n more bytes and returns where they go. What is written there counts once
    // commit() says where it ended. Earlier pointers into the arena may be invalid afterwards.
    char* reserve(std::size_t n) {
        if (capacity - used < n) [[unlikely]] {
            grow(n);
        }
        return data + used;
    }

    void commit(const char* end) { used = static_cast<std::size_t>(end - data); }

    void put(char c) {
        *reserve(1) = c;
        used++;
    }

    void put(const char* bytes, std::size_t n) {
        std::memcpy(reserve(n), bytes, n);
        used += n;
    }

    void put(std::string_view text) { put(text.data(), text.size()); }

  private:
    void grow(std::size_t n);
};

static_assert(std::is_trivially_destructible_v<Arena>);

// An empty arena in the current memory context.
Arena make_arena(std::size_t capacity);

}  // namespace muster::json
