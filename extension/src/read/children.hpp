// What is included with a page: one statement (for tools two) for the whole page, its rows written
// into an arena and then told apart by the key that they belong to.
#pragma once

#include "read/page.hpp"

namespace muster::read {

// Text in the children's arena.
struct Segment {
    std::uint32_t offset;
    std::uint32_t length;
};

// One kind of child for all keys of a page, numbered as in the page's `keys`.
struct ChildSet {
    std::string_view name;
    ChildKind kind;
    // Lists, and objects (of which a key has at most one): the segments of key k are those from
    // starts[k] to starts[k + 1].
    Segment* segments;
    std::uint32_t* starts;
    // Counts, by key.
    std::int64_t* counts;

    bool is_count() const { return counts != nullptr; }
    bool is_list() const { return kind == ChildKind::Goals || kind == ChildKind::Tools; }

    // The count for a key; -1 is the key of rows that have none.
    std::int64_t count(std::int32_t key) const { return key < 0 ? 0 : counts[key]; }
    // The number of bytes of the child's JSON for a key.
    std::size_t size(std::int32_t key) const;
    // Writes them and returns where they end. `texts` is the arena's data.
    char* put(char* to, std::int32_t key, const char* texts) const;
};

struct Children {
    ChildSet sets[most_children];
    int count;
};

// Fetches the children that the page's request includes. Their text is appended to the arena.
Children fetch_children(const Page& page, const Source& source, json::Arena& texts,
                        MemoryContext row_context);

}  // namespace muster::read
