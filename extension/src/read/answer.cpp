// A row is a header, then its columns one after the other. With two columns the header is 24 bytes with
// and without a bitmap of nulls, and the body follows it, at a multiple of four as its type wants.
#include "read/answer.hpp"

namespace muster::read {
namespace {

constexpr int columns = 2;
constexpr std::size_t header_size = MAXALIGN(SizeofHeapTupleHeader + BITMAPLEN(columns));
static_assert(header_size == MAXALIGN(SizeofHeapTupleHeader));
constexpr std::size_t body_start = header_size + VARHDRSZ;

// The number of the row's type in this session, taken once.
std::int32_t row_type() {
    static std::int32_t number = -1;
    if (number < 0) {
        TupleDesc descriptor = CreateTemplateTupleDesc(columns);
        TupleDescInitEntry(descriptor, 1, "body", JSONOID, -1, 0);
        TupleDescInitEntry(descriptor, 2, "next", TEXTOID, -1, 0);
        number = BlessTupleDesc(descriptor)->tdtypmod;
    }
    return number;
}

// Writes the header of a row whose first `present` columns are not null.
void write_header(char* row, std::size_t size, int present) {
    auto* header = reinterpret_cast<HeapTupleHeader>(row);
    std::memset(row, 0, header_size);
    HeapTupleHeaderSetDatumLength(header, static_cast<std::uint32_t>(size));
    HeapTupleHeaderSetTypeId(header, RECORDOID);
    HeapTupleHeaderSetTypMod(header, row_type());
    ItemPointerSetInvalid(&header->t_ctid);
    HeapTupleHeaderSetNatts(header, columns);
    header->t_hoff = header_size;
    if (present > 0) {
        header->t_infomask |= HEAP_HASVARWIDTH;
    }
    if (present < columns) {
        header->t_infomask |= HEAP_HASNULL;
        header->t_bits[0] = static_cast<bits8>((1 << present) - 1);
    }
}

}  // namespace

json::Arena begin_answer(std::size_t body_size) {
    if (body_size > MaxAllocSize - body_start) {
        json::report_too_large();
    }
    json::Arena arena = json::make_arena(body_start + body_size);
    arena.used = body_start;
    return arena;
}

Datum finish_answer(json::Arena& arena, const text* next) {
    const std::size_t body_size = arena.used - header_size;
    if (next != nullptr) {
        const std::size_t padding = INTALIGN(arena.used) - arena.used;
        std::memset(arena.reserve(padding), 0, padding);
        arena.used += padding;
        arena.put(reinterpret_cast<const char*>(next), VARSIZE(next));
    }
    SET_VARSIZE(arena.data + header_size, body_size);
    write_header(arena.data, arena.used, next == nullptr ? 1 : 2);
    return PointerGetDatum(arena.data);
}

Datum empty_answer() {
    auto* row = static_cast<char*>(palloc(header_size));
    write_header(row, header_size, 0);
    return PointerGetDatum(row);
}

}  // namespace muster::read
