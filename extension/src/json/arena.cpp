// Making and growing arenas.
#include "json/arena.hpp"

namespace muster::json {

void report_too_large() {
    ereport(ERROR,
            (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("the JSON document is too large"),
             errdetail("A document can have at most %zu bytes.",
                       static_cast<std::size_t>(MaxAllocSize - VARHDRSZ)),
             errhint("Ask for fewer rows with row_limit, or for fewer columns with fields.")));
    pg_unreachable();
}

Arena make_arena(std::size_t capacity) {
    return {static_cast<char*>(palloc(capacity)), 0, capacity};
}

void Arena::grow(std::size_t n) {
    if (n > MaxAllocSize - used) {
        report_too_large();
    }
    const std::size_t doubled = capacity > MaxAllocSize / 2 ? MaxAllocSize : capacity * 2;
    const std::size_t wanted = Max(doubled, used + n);
    data = static_cast<char*>(repalloc(data, wanted));
    capacity = wanted;
}

}  // namespace muster::json
