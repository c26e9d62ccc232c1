// The tools that an agent may use, by name. Which they are takes one statement, what they are
// another; a tool is written once, however many agents of the page share it.
#include "read/fetch.hpp"

extern "C" {
#include "storage/bufmgr.h"
#include "utils/datum.h"
#include "utils/sortsupport.h"
}

namespace muster::read {
namespace {

// A tool that an agent may use, by their numbers.
struct Link {
    std::int32_t key;
    std::int32_t tool;
};

struct LinkReceiver {
    Receiver base;
    const UuidMap* keys;
    UuidMap* tools;
    List<Link> links;
    AttrNumber agent_attribute;
    AttrNumber tool_attribute;

    void start(TupleDesc descriptor) {
        agent_attribute = find_column(descriptor, "agent_id", UUIDOID);
        tool_attribute = find_column(descriptor, "tool_id", UUIDOID);
    }

    bool row(TupleTableSlot* slot) {
        bool is_null;
        const std::int32_t key = keys->find(uuid_of(slot, agent_attribute));
        const Datum tool = slot_getattr(slot, tool_attribute, &is_null);
        if (key >= 0 && !is_null) {
            links.push({key, tools->add(*DatumGetUUIDP(tool))});
        }
        return true;
    }
};

// A tool and what it is ordered by. One that the caller may not see stays all zeros.
struct ToolRow {
    bool found;
    bool has_name;
    Segment text;
    Datum name;
};

struct ToolReceiver {
    Receiver base;
    json::Arena* out;
    const UuidMap* ids;
    const json::Field* fields;
    MemoryContext context;  // of the names
    json::RowWriter writer;
    ToolRow* tools;  // by the id's number
    SortSupportData by_name;
    AttrNumber id_attribute;
    AttrNumber name_attribute;

    void start(TupleDesc descriptor) {
        id_attribute = find_column(descriptor, "id", UUIDOID);
        name_attribute = find_text_column(descriptor, "name");
        writer = json::make_row_writer(descriptor);
        add_columns(writer, descriptor, tools_table, fields, 0);

        // The order that ORDER BY name would have.
        Form_pg_attribute name = TupleDescAttr(descriptor, name_attribute - 1);
        by_name.ssup_cxt = context;
        by_name.ssup_collation = name->attcollation;
        by_name.ssup_attno = name_attribute;
        PrepareSortSupportFromOrderingOp(
            lookup_type_cache(name->atttypid, TYPECACHE_LT_OPR)->lt_opr, &by_name);
    }

    bool row(TupleTableSlot* slot) {
        const std::int32_t id = ids->find(uuid_of(slot, id_attribute));
        if (id < 0 || tools[id].found) {
            return true;
        }
        ToolRow& tool = tools[id];
        tool.found = true;
        bool is_null;
        const Datum name = slot_getattr(slot, name_attribute, &is_null);
        if (!is_null) {
            Datum plain = PointerGetDatum(PG_DETOAST_DATUM_PACKED(name));
            MemoryContext row = MemoryContextSwitchTo(context);
            tool.name = datumCopy(plain, false, -1);
            MemoryContextSwitchTo(row);
            tool.has_name = true;
        }
        tool.text = put_object(*out, writer, slot);
        return true;
    }
};

// name, id. Its parameters are those of qsort_arg().
int compare(const void* a, const void* b, void* tools) {
    CHECK_FOR_INTERRUPTS();
    const auto& self = *static_cast<ToolReceiver*>(tools);
    const std::int32_t left = (*static_cast<const Link* const*>(a))->tool;
    const std::int32_t right = (*static_cast<const Link* const*>(b))->tool;
    const ToolRow& x = self.tools[left];
    const ToolRow& y = self.tools[right];
    const int by_name = ApplySortComparator(x.name, !x.has_name, y.name, !y.has_name,
                                            const_cast<SortSupport>(&self.by_name));
    if (by_name != 0 || left == right) {
        return by_name;
    }
    const List<pg_uuid_t>& ids = self.ids->keys;
    return std::memcmp(ids[static_cast<std::size_t>(left)].data,
                       ids[static_cast<std::size_t>(right)].data, UUID_LEN);
}

// Looking a tool up takes a descent of the index and a page of the table, and reading the whole
// table takes each of its pages once: measured, a page of it costs what four look-ups do.
bool reading_all_is_cheaper(const Source& source, const UuidMap& ids) {
    constexpr std::uint32_t look_ups_per_page = 4;
    Relation tools = table_open(source.relation(tools_table.name), AccessShareLock);
    const bool cheaper = tools->rd_rel->relkind == RELKIND_RELATION &&
                         RelationGetNumberOfBlocks(tools) <= ids.keys.count / look_ups_per_page;
    table_close(tools, AccessShareLock);
    return cheaper;
}

// Writes the tools of a key in order, each once, and returns where they end.
Segment* put_tools(Segment* to, const Link** first, const Link** end, ToolReceiver& tools) {
    if (end - first > 1) {
        // The server's sort, because it stays within the array whatever a collation's comparisons
        // come to.
        qsort_arg(first, static_cast<std::size_t>(end - first), sizeof(*first), compare, &tools);
    }
    std::int32_t last = -1;
    for (const Link** link = first; link < end; link++) {
        const std::int32_t tool = (*link)->tool;
        if (tool != last && tools.tools[tool].found) {
            *to++ = tools.tools[tool].text;
        }
        last = tool;
    }
    return to;
}

}  // namespace

void fetch_tools(const Fetch& fetch, ChildSet& set) {
    UuidMap ids = make_uuid_map();
    LinkReceiver links{};
    init_receiver(links, fetch.row_context);
    links.keys = &fetch.keys();
    links.tools = &ids;
    links.links = make_list<Link>(1024);
    run_for(Form::LinksOf, fetch.source, fetch.keys(), links.base);

    ToolReceiver tools{};
    init_receiver(tools, fetch.row_context);
    tools.out = &fetch.out;
    tools.ids = &ids;
    tools.fields = fetch.fields(set);
    tools.context = CurrentMemoryContext;
    tools.tools = make_zeros<ToolRow>(ids.keys.count + 1UL);
    const bool all = reading_all_is_cheaper(fetch.source, ids);
    run_for(all ? Form::AllTools : Form::ToolsOf, fetch.source, ids, tools.base,
            select_list(fetch.source, tools_table, tools.fields, 0, {"id", "name"}));

    const std::uint32_t key_count = fetch.keys().keys.count;
    const Link** order = group_by_key(links.links, key_count, set.starts);
    set.segments = make_array<Segment>(links.links.count);
    Segment* to = set.segments;
    for (std::uint32_t k = 0; k < key_count; k++) {
        const Link** first = order + set.starts[k];
        set.starts[k] = static_cast<std::uint32_t>(to - set.segments);
        to = put_tools(to, first, order + set.starts[k + 1], tools);
        CHECK_FOR_INTERRUPTS();
    }
    set.starts[key_count] = static_cast<std::uint32_t>(to - set.segments);
}

}  // namespace muster::read
