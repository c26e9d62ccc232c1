// A growing list of plain values in the memory context it was made in.
#pragma once

#include "read/server.hpp"

namespace muster::read {

template <class T>
struct List {
    static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

    T* items;
    std::uint32_t count;
    std::uint32_t capacity;

    T* begin() const { return items; }
    T* end() const { return items + count; }
    T& operator[](std::size_t i) const { return items[i]; }

    void push(const T& item) {
        if (count == capacity) [[unlikely]] {
            grow();
        }
        items[count++] = item;
    }

  private:
    void grow() {
        if (capacity > MaxAllocHugeSize / sizeof(T) / 2 || capacity > PG_UINT32_MAX / 2) {
            ereport(ERROR,
                    (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("the page has too many rows"),
                     errhint("Ask for fewer rows with row_limit.")));
        }
        capacity *= 2;
        items = static_cast<T*>(repalloc_huge(items, sizeof(T) * capacity));
    }
};

// An empty list in the current memory context.
template <class T>
List<T> make_list(std::uint32_t capacity = 64) {
    return {static_cast<T*>(palloc(sizeof(T) * capacity)), 0, capacity};
}

}  // namespace muster::read
