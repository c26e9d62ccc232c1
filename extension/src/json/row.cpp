// Writing rows.
#include "json/row.hpp"

#include "json/escape.hpp"

namespace muster::json {
namespace {

// Keys are copied in whole blocks, which takes no call and mostly one or two moves.
constexpr std::size_t key_block = 32;

std::size_t whole_blocks(std::size_t size) {
    return (size + key_block - 1) / key_block * key_block;
}

constexpr std::string_view null_text = "null";

// Copies a key, and the null that stands behind it, of which the first `skip` bytes are left out.
// Returns where the key ends.
char* put_key(char* to, const Member& member, std::size_t skip) {
    const std::size_t size = member.key_size - skip;
    for (std::size_t i = 0; i < size + null_text.size(); i += key_block) {
        std::memcpy(to + i, member.key + skip + i, key_block);
    }
    return to + size;
}

}  // namespace

RowWriter make_row_writer(TupleDesc descriptor) {
    const auto columns = static_cast<std::size_t>(Max(descriptor->natts, 1));
    return {static_cast<Member*>(palloc(sizeof(Member) * columns)), 0, 0};
}

void add_member(RowWriter& row, TupleDesc descriptor, AttrNumber attribute, const Field* fields) {
    Form_pg_attribute column = TupleDescAttr(descriptor, attribute - 1);
    Arena key = make_arena(2 * NAMEDATALEN);
    key.put(',');
    put_string(key, std::string_view(NameStr(column->attname)));
    key.put(':');
    const std::size_t key_size = key.used;
    key.put(null_text);
    key.reserve(whole_blocks(key.used) + 1 - key.used);
    row.members[row.count++] = {key.data, key_size, attribute,
                                choose_writer_of_utc(column->atttypid),
                                fields == nullptr || fields->whole ? nullptr : fields};
    row.last_attribute = Max(row.last_attribute, attribute);
}

void RowWriter::put(Arena& out, TupleTableSlot* slot) const {
    slot_getsomeattrs(slot, last_attribute);
    const std::size_t start = out.used;
    for (const Member *member = members, *end = members + count; member < end; member++) {
        const std::size_t before = out.used;
        char* to = out.reserve(whole_blocks(member->key_size + null_text.size()));
        to = put_key(to, *member, before == start ? 1 : 0);
        const int i = member->attribute - 1;
        if (member->fields == nullptr) [[likely]] {
            if (slot->tts_isnull[i]) {
                out.commit(to + null_text.size());
            } else {
                out.commit(to);
                member->writer.write(out, slot->tts_values[i], member->writer);
            }
            continue;
        }
        out.commit(to);
        if (slot->tts_isnull[i] ||
            !put_value_fields(out, slot->tts_values[i], member->writer, *member->fields)) {
            out.used = before;
        }
    }
}

}  // namespace muster::json
