// Finding the users' tables. It is done on every call: create_tables() may have run since the last
// one.
#include "read/source.hpp"

namespace muster::read {
namespace {

[[noreturn]] void report_no_tables(const char* detail) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("Muster has no tables in this database"), errdetail("%s", detail),
                    errhint("Run SELECT muster.create_tables().")));
    pg_unreachable();
}

// Reads muster.data_schema without asking for the caller's rights on it.
bool read_schema(NameData& schema) {
    const Oid own = get_namespace_oid("muster", true);
    Relation relation = try_table_open(get_relname_relid("data_schema", own), AccessShareLock);
    if (relation == nullptr) {
        return false;
    }
    TupleTableSlot* slot = table_slot_create(relation, nullptr);
    TableScanDesc scan = table_beginscan(relation, GetActiveSnapshot(), 0, nullptr);
    const bool found = table_scan_getnextslot(scan, ForwardScanDirection, slot);
    if (found) {
        constexpr int schema_name = 2;
        bool is_null;
        schema = *DatumGetName(slot_getattr(slot, schema_name, &is_null));
    }
    table_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
    table_close(relation, AccessShareLock);
    return found;
}

}  // namespace

Source find_source() {
    Source source{};
    if (!read_schema(source.schema)) {
        report_no_tables("No schema is recorded.");
    }
    source.schema_id = get_namespace_oid(NameStr(source.schema), true);
    if (!OidIsValid(source.schema_id)) {
        report_no_tables(psprintf("Schema \"%s\" does not exist.", NameStr(source.schema)));
    }
    // Of a name that needs no quotes, quote_identifier() returns the argument: not ours to keep.
    source.quoted_schema = quote_identifier(pstrdup(NameStr(source.schema)));
    return source;
}

bool look_for_source(Source& source) {
    if (!ActiveSnapshotSet() || !read_schema(source.schema)) {
        return false;
    }
    source.schema_id = get_namespace_oid(NameStr(source.schema), true);
    return OidIsValid(source.schema_id);
}

Oid Source::relation(const char* name) const {
    const Oid id = get_relname_relid(name, schema_id);
    if (!OidIsValid(id)) {
        report_no_tables(psprintf("Table \"%s\".\"%s\" does not exist.", NameStr(schema), name));
    }
    return id;
}

ColumnFacts column_facts(Oid relation, const char* column) {
    HeapTuple tuple = SearchSysCacheAttName(relation, column);
    if (!HeapTupleIsValid(tuple)) {
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                        errmsg("column \"%s\" of relation \"%s\" does not exist", column,
                               get_rel_name(relation))));
    }
    auto* attribute = reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple));
    const ColumnFacts facts{attribute->attnum, getBaseType(attribute->atttypid),
                            !attribute->attnotnull};
    ReleaseSysCache(tuple);
    return facts;
}

bool has_column(Oid relation, std::string_view name) {
    if (name.size() >= NAMEDATALEN) {
        return false;
    }
    NameData column{};
    std::memcpy(NameStr(column), name.data(), name.size());
    return get_attnum(relation, NameStr(column)) > 0;
}

}  // namespace muster::read
