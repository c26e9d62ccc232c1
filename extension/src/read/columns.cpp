// Select lists.
#include "read/columns.hpp"

extern "C" {
#include "utils/acl.h"
}

namespace muster::read {
namespace {

bool is_among(std::initializer_list<const char*> keys, std::string_view name) {
    for (const char* key : keys) {
        if (name == key) {
            return true;
        }
    }
    return false;
}

}  // namespace

SelectList select_list(const Source& source, const Table& table, const json::Field* fields,
                       std::uint32_t children, std::initializer_list<const char*> keys) {
    if (fields == nullptr) {
        return all_columns;
    }
    const Oid relation_id = source.relation(table.name);
    if (pg_class_aclcheck(relation_id, GetUserId(), ACL_SELECT) == ACLCHECK_OK) {
        return all_columns;
    }
    StringInfoData list;
    initStringInfo(&list);
    Relation relation = table_open(relation_id, AccessShareLock);
    TupleDesc descriptor = RelationGetDescr(relation);
    for (int i = 0; i < descriptor->natts; i++) {
        Form_pg_attribute column = TupleDescAttr(descriptor, i);
        const std::string_view name = NameStr(column->attname);
        if (column->attisdropped) {
            continue;
        }
        const bool is_asked = fields->find(name) != nullptr && !table.has_child(children, name);
        if (is_asked || is_among(keys, name)) {
            appendStringInfo(&list, "%st.%s", list.len > 0 ? ", " : "",
                             quote_identifier(NameStr(column->attname)));
        }
    }
    table_close(relation, AccessShareLock);
    return list.data;
}

}  // namespace muster::read
