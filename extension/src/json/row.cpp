// Writing rows.
#include "json/row.hpp"

#include "json/escape.hpp"

namespace muster::json {

RowWriter make_row_writer(TupleDesc descriptor) {
    const auto columns = static_cast<std::size_t>(Max(descriptor->natts, 1));
    return {static_cast<Member*>(palloc(sizeof(Member) * columns)), 0, 0};
}

void add_member(RowWriter& row, TupleDesc descriptor, AttrNumber attribute, const Field* fields) {
    Form_pg_attribute column = TupleDescAttr(descriptor, attribute - 1);
    Arena key = make_arena(NAMEDATALEN);
    put_string(key, std::string_view(NameStr(column->attname)));
    key.put(':');
    row.members[row.count++] = {{key.data, key.used},
                                attribute,
                                choose_writer_of_utc(column->atttypid),
                                fields == nullptr || fields->whole ? nullptr : fields};
    row.last_attribute = Max(row.last_attribute, attribute);
}

void RowWriter::put(Arena& out, TupleTableSlot* slot) const {
    slot_getsomeattrs(slot, last_attribute);
    const std::size_t start = out.used;
    for (const Member *member = members, *end = members + count; member < end; member++) {
        const std::size_t before = out.used;
        if (before > start) {
            out.put(',');
        }
        out.put(member->key);
        const int i = member->attribute - 1;
        if (slot->tts_isnull[i]) {
            if (member->fields == nullptr) {
                out.put("null");
            } else {
                out.used = before;
            }
        } else if (member->fields == nullptr) [[likely]] {
            member->writer.write(out, slot->tts_values[i], member->writer);
        } else if (!put_value_fields(out, slot->tts_values[i], member->writer, *member->fields)) {
            out.used = before;
        }
    }
}

}  // namespace muster::json
