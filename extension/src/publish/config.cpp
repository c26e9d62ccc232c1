// Resolving a trigger's arguments, and keeping what was resolved.
#include "publish/config.hpp"

#include "json/escape.hpp"

namespace muster::publish {
namespace {

// The arguments that publish() writes into a trigger; those after the payload's mode may be left
// out from the end, and are empty then.
enum Argument {
    EventType,
    AggregateType,
    PayloadMode,
    NaiveTimestamps,
    Ignored,
    Key,
    Shown,
    Published,
    ArgumentCount
};

const char* argument(const Trigger& trigger, Argument number) {
    return number < trigger.tgnargs ? trigger.tgargs[number] : "";
}

// A session that touches more published tables than this starts over.
constexpr long max_entries = 4096;

struct Entry {
    Oid trigger;  // the hash key
    bool valid;
    MemoryContext context;
    Config config;
};

HTAB* entries = nullptr;

// Counts what forget_relation() heard, so that news arriving while an entry is made is not missed.
uint64 news = 0;

// Marks what was resolved for the relation, or for all of them, as stale. Freeing waits until it is
// not in use.
void forget_relation(Datum, Oid relation) {
    news++;
    if (entries == nullptr) {
        return;
    }
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, entries);
    while (auto* entry = static_cast<Entry*>(hash_seq_search(&scan))) {
        if (!OidIsValid(relation) || entry->config.relation == relation ||
            entry->config.root == relation) {
            entry->valid = false;
        }
    }
}

// A cast to json was made or dropped, by which a column of some type may be written.
void forget_casts(Datum, int, uint32) {
    forget_relation(0, InvalidOid);
}

void make_table() {
    HASHCTL control{};
    control.keysize = sizeof(Oid);
    control.entrysize = sizeof(Entry);
    entries = hash_create("muster publishing triggers", 64, &control, HASH_ELEM | HASH_BLOBS);
}

[[noreturn]] void bad_arguments(const Trigger& trigger) {
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("trigger \"%s\" does not have the arguments of a publishing trigger",
                           trigger.tgname),
                    errhint("Make it with muster.publish().")));
    pg_unreachable();
}

Payload payload_mode(const Trigger& trigger) {
    const std::string_view mode = trigger.tgargs[PayloadMode];
    if (mode == "changes") {
        return Payload::Changes;
    }
    if (mode == "row") {
        return Payload::Row;
    }
    if (mode == "key") {
        return Payload::Key;
    }
    if (mode == "event") {
        return Payload::Event;
    }
    bad_arguments(trigger);
}

int find_column(const Config& config, std::string_view name) {
    for (int i = 0; i < config.column_count; i++) {
        if (name == config.columns[i].name) {
            return i;
        }
    }
    return -1;
}

// What an argument that lists columns came to.
struct NamedColumns {
    Choice found;
    bool given;     // the argument is not empty
    bool complete;  // none of the names has been renamed or dropped since
};

// Reads an argument that lists columns: empty, or the text form of a text[]. A column that is not
// there any more is left out: it must not stop its table's writers.
NamedColumns choose(const Config& config, const char* argument) {
    if (argument[0] == '\0') {
        return {{nullptr, 0}, false, true};
    }
    Datum array = OidInputFunctionCall(F_ARRAY_IN, const_cast<char*>(argument), TEXTOID, -1);
    Datum* names;
    bool* nulls;
    int count;
    deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls,
                      &count);
    auto* items = static_cast<int*>(palloc(sizeof(int) * static_cast<size_t>(Max(count, 1))));
    int found = 0;
    for (int i = 0; i < count; i++) {
        const int column = nulls[i] ? -1 : find_column(config, TextDatumGetCString(names[i]));
        if (column >= 0) {
            items[found++] = column;
        }
    }
    return {{items, found}, true, found == count};
}

// The primary key's columns in its order, or none.
Choice primary_key(const Config& config, Relation relation) {
    RelationGetIndexList(relation);  // fills in the relation's primary key
    const Oid index_id = compat::primary_key_index(relation);
    if (!OidIsValid(index_id)) {
        return {nullptr, 0};
    }
    Relation index = index_open(index_id, AccessShareLock);
    const int count = IndexRelationGetNumberOfKeyAttributes(index);
    auto* items = static_cast<int*>(palloc(sizeof(int) * static_cast<size_t>(count)));
    int found = 0;
    for (int i = 0; i < count; i++) {
        for (int column = 0; column < config.column_count; column++) {
            if (config.columns[column].number == index->rd_index->indkey.values[i]) {
                items[found++] = column;
            }
        }
    }
    index_close(index, AccessShareLock);
    return {items, found};
}

FmgrInfo* output_function(Oid type) {
    Oid function;
    bool is_varlena;
    getTypeOutputInfo(type, &function, &is_varlena);
    auto* info = static_cast<FmgrInfo*>(palloc(sizeof(FmgrInfo)));
    fmgr_info(function, info);
    return info;
}

// Whether the text of the type's values is the same under all settings, as that of strings, enums
// and addresses is, and that of times, floats and whatever may contain them is not.
bool has_plain_output(Oid type) {
    char category;
    bool is_preferred;
    get_type_category_preferred(type, &category, &is_preferred);
    switch (category) {
        case TYPCATEGORY_BOOLEAN:
        case TYPCATEGORY_ENUM:
        case TYPCATEGORY_NETWORK:
        case TYPCATEGORY_STRING:
        case TYPCATEGORY_BITSTRING:
            return true;
        default:
            return false;
    }
}

// Lists the columns. `naive_is_utc` says that timestamps without time zone are UTC and are shown
// so.
Column* read_columns(Config& config, Relation relation, bool naive_is_utc) {
    TupleDesc descriptor = RelationGetDescr(relation);
    auto* columns = static_cast<Column*>(
        palloc(sizeof(Column) * static_cast<size_t>(Max(descriptor->natts, 1))));
    int count = 0;
    for (int i = 0; i < descriptor->natts; i++) {
        Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
        if (attribute->attisdropped || compat::is_virtual(attribute)) {
            continue;
        }
        json::Arena member = json::make_arena(NAMEDATALEN + 8);
        json::put_string(member, NameStr(attribute->attname), strlen(NameStr(attribute->attname)));
        member.put(':');
        Column& column = columns[count++];
        column = {};
        column.number = attribute->attnum;
        column.length = attribute->attlen;
        column.by_value = attribute->attbyval;
        column.writer = naive_is_utc ? json::choose_writer_of_utc(attribute->atttypid)
                                     : json::choose_writer(attribute->atttypid);
        column.output = output_function(attribute->atttypid);
        column.plain_output = has_plain_output(attribute->atttypid);
        column.name = pstrdup(NameStr(attribute->attname));
        column.member = member.data;
        column.member_length = member.used;
    }
    config.columns = columns;
    config.column_count = count;
    return columns;
}

// The table that publish() was called on: for a partition's clone of a trigger, its topmost
// parent's.
Oid published_root(Relation relation, Oid trigger) {
    Oid root = RelationGetRelid(relation);
    if (!relation->rd_rel->relispartition) {
        return root;
    }
    Relation catalog = table_open(TriggerRelationId, AccessShareLock);
    while (OidIsValid(trigger)) {
        ScanKeyData by_oid;
        ScanKeyInit(&by_oid, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
                    ObjectIdGetDatum(trigger));
        SysScanDesc scan =
            systable_beginscan(catalog, TriggerOidIndexId, true, nullptr, 1, &by_oid);
        HeapTuple tuple = systable_getnext(scan);
        trigger = InvalidOid;
        if (HeapTupleIsValid(tuple)) {
            const auto* form = reinterpret_cast<Form_pg_trigger>(GETSTRUCT(tuple));
            root = form->tgrelid;
            trigger = form->tgparentid;
        }
        systable_endscan(scan);
    }
    table_close(catalog, AccessShareLock);
    return root;
}

// The columns whose values may be told.
Choice published_columns(const Config& config) {
    auto* items =
        static_cast<int*>(palloc(sizeof(int) * static_cast<size_t>(Max(config.column_count, 1))));
    int count = 0;
    for (int i = 0; i < config.column_count; i++) {
        if (config.columns[i].published) {
            items[count++] = i;
        }
    }
    return {items, count};
}

// What identifies a row: the named columns as long as they are all there, or else the primary key.
Choice key_columns(const Config& config, Relation relation, const NamedColumns& named) {
    if (named.given && named.complete && named.found.count > 0) {
        return named.found;
    }
    const Choice primary = primary_key(config, relation);
    return primary.count > 0 ? primary : named.found;
}

// Decides what is told and what is announced of each column. A change of a column that may be told
// is announced, and one of what tags are made of. Where a column was named that is not there any
// more, it may live on under another name, so that every change is announced then.
void mark_columns(Config& config, Column* columns, const Trigger& trigger) {
    const NamedColumns named = choose(config, argument(trigger, Published));
    for (int i = 0; i < config.column_count; i++) {
        columns[i].published = !named.given;
        columns[i].watched = !named.given || !named.complete;
    }
    for (int i : named.found) {
        columns[i].published = columns[i].watched = true;
    }
    for (int i : choose(config, argument(trigger, Ignored)).found) {
        columns[i].published = columns[i].watched = false;
    }
    for (int i : config.key) {
        columns[i].watched = columns[i].in_key = true;
    }
    if (config.agent_id >= 0) {
        columns[config.agent_id].watched = true;
    }
}

// Resolves the trigger's arguments in the current memory context.
Config resolve(Relation relation, const Trigger& trigger) {
    if (trigger.tgnargs <= PayloadMode || trigger.tgnargs > ArgumentCount) {
        bad_arguments(trigger);
    }
    Config config{};
    config.relation = RelationGetRelid(relation);
    config.root = published_root(relation, trigger.tgoid);
    config.payload = payload_mode(trigger);
    config.event_type = pstrdup(trigger.tgargs[EventType]);
    config.aggregate_type = pstrdup(trigger.tgargs[AggregateType]);
    const char* name = get_rel_name(config.root);
    config.table_name = name != nullptr ? name : pstrdup(RelationGetRelationName(relation));

    Column* columns =
        read_columns(config, relation, strcmp(argument(trigger, NaiveTimestamps), "utc") == 0);
    config.key = key_columns(config, relation, choose(config, argument(trigger, Key)));
    config.agent_id = find_column(config, "agent_id");
    config.event = {find_column(config, "event_type"), find_column(config, "aggregate_type"),
                    find_column(config, "aggregate_id"), find_column(config, "payload"),
                    find_column(config, "metadata")};
    mark_columns(config, columns, trigger);
    const NamedColumns shown = choose(config, argument(trigger, Shown));
    config.names_shown = shown.given;
    config.shown = shown.given ? shown.found : published_columns(config);
    return config;
}

// Lets go of what an entry holds. An outer trigger call may still be reading it, so that the memory
// goes with the transaction and not now.
void release(Entry& entry) {
    if (entry.context != nullptr) {
        MemoryContextSetParent(entry.context, TopTransactionContext);
        entry.context = nullptr;
    }
    entry.valid = false;
}

void release_all() {
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, entries);
    while (auto* entry = static_cast<Entry*>(hash_seq_search(&scan))) {
        release(*entry);
    }
    hash_destroy(entries);
    entries = nullptr;
    make_table();
}

}  // namespace

Config trigger_config(Relation relation, const Trigger& trigger) {
    if (entries == nullptr) {
        make_table();
    }
    Oid id = trigger.tgoid;
    auto* entry = static_cast<Entry*>(hash_search(entries, &id, HASH_FIND, nullptr));
    if (entry != nullptr && entry->valid) {
        return entry->config;
    }

    // Resolved aside first, for reading catalogues may raise an error.
    const uint64 news_before = news;
    MemoryContext context =
        compat::small_context(CurrentMemoryContext, "muster publishing trigger");
    MemoryContext caller = MemoryContextSwitchTo(context);
    const Config config = resolve(relation, trigger);
    MemoryContextSwitchTo(caller);

    if (hash_get_num_entries(entries) >= max_entries) {
        release_all();
    }
    bool found;
    entry = static_cast<Entry*>(hash_search(entries, &id, HASH_ENTER, &found));
    if (found) {
        release(*entry);
    }
    MemoryContextSetParent(context, CacheMemoryContext);
    entry->context = context;
    entry->config = config;
    entry->valid = news == news_before;
    return config;
}

void config_init() {
    CacheRegisterRelcacheCallback(forget_relation, static_cast<Datum>(0));
    CacheRegisterSyscacheCallback(CASTSOURCETARGET, forget_casts, static_cast<Datum>(0));
}

}  // namespace muster::publish
