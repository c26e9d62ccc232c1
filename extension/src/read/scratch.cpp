// Keeping memory.
#include "read/scratch.hpp"

#include <cstdlib>

namespace muster::read {
namespace {

constexpr std::size_t first_capacity = 64 * 1024;

// An answer takes one buffer, and one more for its children.
constexpr int most_kept = 2;

json::Arena kept[most_kept];
int kept_count = 0;

// muster.kept_memory, in kB: of it the buffers may take half.
int kept_memory = 16 * 1024;

std::size_t most_kept_bytes() {
    return static_cast<std::size_t>(kept_memory) * 1024 / 2 / most_kept;
}

// glibc learns from no larger piece than this (DEFAULT_MMAP_THRESHOLD_MAX).
constexpr std::size_t most_taught_bytes = 31 * 1024 * 1024;

// A document is copied three times on its way to the client: into the row, as text, as a message.
// As it starts out, glibc gives all of that back to the kernel after each answer and gets it anew,
// page by page, which for a document of 1 MB takes longer than making it. It learns to keep memory
// from large pieces being freed, up to twice as much as the largest of them (mallopt(3),
// M_MMAP_THRESHOLD): one is freed here, untouched.
void teach_allocator() {
    static int taught = 0;
    if (taught < kept_memory) {
        const std::size_t half = static_cast<std::size_t>(kept_memory) * 1024 / 2;
        void* volatile piece = std::malloc(Min(half, most_taught_bytes));
        std::free(piece);
        taught = kept_memory;
    }
}

}  // namespace

void init_scratch() {
    constexpr int most = 1024 * 1024;
    DefineCustomIntVariable(
        "muster.kept_memory",
        "Sets how much memory a session that has read documents keeps for the next ones.",
        "Half of it is for buffers, and as much freed memory is not given back to the system. "
        "With 0 nothing is kept.",
        &kept_memory, kept_memory, 0, most, PGC_SUSET, GUC_UNIT_KB, nullptr, nullptr, nullptr);
}

json::Arena take_scratch() {
    teach_allocator();
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
    if (kept_count == most_kept || arena.capacity > most_kept_bytes()) {
        MemoryContextDelete(context);
        return;
    }
    MemoryContextSetParent(context, TopMemoryContext);
    kept[kept_count++] = arena;
}

}  // namespace muster::read
