// Keeping the buffers.
#include "read/scratch.hpp"

namespace muster::read {
namespace {

constexpr std::size_t first_capacity = 64 * 1024;
constexpr std::size_t most_kept_bytes = 4 * 1024 * 1024;

// An answer takes one buffer, and one more for its children.
constexpr int most_kept = 2;

json::Arena kept[most_kept];
int kept_count = 0;

}  // namespace

json::Arena take_scratch() {
    if (kept_count == 0) {
        MemoryContext context = compat::small_context(CurrentMemoryContext, "muster scratch");
        MemoryContext caller = MemoryContextSwitchTo(context);
        json::Arena arena = json::make_arena(first_capacity);
        MemoryContextSwitchTo(caller);
        return arena;
    }
    json::Arena arena = kept[--kept_count];
    MemoryContextSetParent(GetMemoryChunkContext(arena.data), CurrentMemoryContext);
    arena.used = 0;
    return arena;
}

void keep_scratch(const json::Arena& arena) {
    MemoryContext context = GetMemoryChunkContext(arena.data);
    if (kept_count == most_kept || arena.capacity > most_kept_bytes) {
        MemoryContextDelete(context);
        return;
    }
    MemoryContextSetParent(context, TopMemoryContext);
    kept[kept_count++] = arena;
}

}  // namespace muster::read
