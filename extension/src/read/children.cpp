// Children of a page.
#include "read/fetch.hpp"

#include "read/event_count.hpp"

namespace muster::read {
namespace {

// A goal's agent: its name and did, by the number of its id.
struct AgentReceiver {
    Receiver base;
    json::Arena* out;
    const UuidMap* ids;
    const json::Field* fields;
    json::RowWriter writer;
    Segment* texts;  // of length 0 when not found
    AttrNumber id_attribute;

    void start(TupleDesc descriptor) {
        id_attribute = find_column(descriptor, "id", UUIDOID);
        writer = json::make_row_writer(descriptor);
        for (const char* column : {"name", "did"}) {
            const json::Field* field = fields == nullptr ? nullptr : fields->find(column);
            if (fields == nullptr || field != nullptr) {
                json::add_member(writer, descriptor, find_text_column(descriptor, column), field);
            }
        }
    }

    bool row(TupleTableSlot* slot) {
        const std::int32_t id = ids->find(uuid_of(slot, id_attribute));
        if (id >= 0) {
            texts[id] = put_object(*out, writer, slot);
        }
        return true;
    }
};

struct CountReceiver {
    Receiver base;
    const UuidMap* keys;
    const char* key_column;
    std::int64_t* counts;
    AttrNumber key_attribute;
    AttrNumber count_attribute;

    void start(TupleDesc descriptor) {
        key_attribute = find_column(descriptor, key_column, UUIDOID);
        count_attribute = find_column(descriptor, "n", INT8OID);
    }

    bool row(TupleTableSlot* slot) {
        bool is_null;
        const std::int32_t key = keys->find(uuid_of(slot, key_attribute));
        if (key >= 0) {
            counts[key] = DatumGetInt64(slot_getattr(slot, count_attribute, &is_null));
        }
        return true;
    }
};

void make_text(StringInfo sql, const PlanKey& key, const Source& source, const void*) {
    const char* columns = "t.*";
    const char* rest = nullptr;
    switch (key.form) {
        case Form::GoalsOf:
            rest = "goals t WHERE t.agent_id OPERATOR(pg_catalog.=) ANY ($1)";
            break;
        case Form::LinksOf:
            columns = "t.agent_id, t.tool_id";
            rest = "agent_tools t WHERE t.agent_id OPERATOR(pg_catalog.=) ANY ($1)";
            break;
        case Form::ToolsOf:
            rest = "tools t WHERE t.id OPERATOR(pg_catalog.=) ANY ($1)";
            break;
        case Form::AllTools:
            rest = "tools t";
            break;
        case Form::EventCount:
            columns = "t.aggregate_id, pg_catalog.count(*) AS n";
            rest =
                "events t WHERE t.aggregate_id OPERATOR(pg_catalog.=) ANY ($1)"
                " GROUP BY t.aggregate_id";
            break;
        case Form::AgentsOf:
            columns = "t.id, t.name, t.did";
            rest = "agents t WHERE t.id OPERATOR(pg_catalog.=) ANY ($1)";
            break;
        case Form::AgentCount:
            columns = "t.tool_id, pg_catalog.count(DISTINCT t.agent_id) AS n";
            rest =
                "agent_tools t WHERE t.tool_id OPERATOR(pg_catalog.=) ANY ($1) GROUP BY t.tool_id";
            break;
        case Form::List:
        case Form::Item:
            pg_unreachable();
    }
    appendStringInfo(sql, "SELECT %s FROM %s.%s",
                     key.columns == all_columns ? columns : key.columns, source.quoted_schema,
                     rest);
}

// A goal's agent: the page's keys are the agents' own.
void fetch_agents(const Fetch& fetch, ChildSet& set) {
    const std::uint32_t key_count = fetch.keys().keys.count;
    AgentReceiver receiver{};
    init_receiver(receiver, fetch.row_context);
    receiver.out = &fetch.out;
    receiver.ids = &fetch.keys();
    receiver.fields = fetch.fields(set);
    receiver.texts = make_zeros<Segment>(key_count + 1UL);
    run_for(Form::AgentsOf, fetch.source, fetch.keys(), receiver.base,
            select_list(fetch.source, agents_table, receiver.fields, 0, {"id"}));

    set.starts = make_zeros<std::uint32_t>(key_count + 1UL);
    set.segments = make_array<Segment>(key_count);
    std::uint32_t count = 0;
    for (std::uint32_t k = 0; k < key_count; k++) {
        if (receiver.texts[k].length > 0) {
            set.segments[count++] = receiver.texts[k];
        }
        set.starts[k + 1] = count;
    }
}

void fetch_counts(const Fetch& fetch, ChildSet& set, Form form, const char* key_column) {
    CountReceiver receiver{};
    init_receiver(receiver, fetch.row_context);
    receiver.keys = &fetch.keys();
    receiver.key_column = key_column;
    receiver.counts = set.counts = make_zeros<std::int64_t>(fetch.keys().keys.count + 1UL);
    if (form == Form::EventCount && sum_event_counts(fetch.source, fetch.keys(), set.counts)) {
        return;
    }
    run_for(form, fetch.source, fetch.keys(), receiver.base);
}

void fetch_set(const Fetch& fetch, ChildSet& set) {
    switch (set.kind) {
        case ChildKind::Goals:
            return fetch_goals(fetch, set);
        case ChildKind::Tools:
            return fetch_tools(fetch, set);
        case ChildKind::EventCount:
            return fetch_counts(fetch, set, Form::EventCount, "aggregate_id");
        case ChildKind::Agent:
            return fetch_agents(fetch, set);
        case ChildKind::AgentCount:
            return fetch_counts(fetch, set, Form::AgentCount, "tool_id");
    }
}

std::size_t digits(std::int64_t count) {
    std::size_t n = 1;
    while (count >= 10) {
        count /= 10;
        n++;
    }
    return n;
}

}  // namespace

void run_for(Form form, const Source& source, const UuidMap& keys, Receiver& receiver,
             SelectList columns) {
    if (keys.keys.count == 0) {
        return;
    }
    PlanKey key{};
    key.schema = source.schema;
    key.columns = columns;
    key.form = form;
    Parameters parameters{};
    if (form != Form::AllTools) {
        parameters.add(UUIDARRAYOID, keys.array());
    }
    run(key, source, parameters, make_text, nullptr, receiver);
}

Segment put_object(json::Arena& out, const json::RowWriter& writer, TupleTableSlot* slot) {
    const std::size_t start = out.used;
    out.put('{');
    writer.put(out, slot);
    out.put('}');
    return {static_cast<std::uint32_t>(start), static_cast<std::uint32_t>(out.used - start)};
}

std::size_t ChildSet::size(std::int32_t key) const {
    if (is_count()) {
        return digits(count(key));
    }
    const std::uint32_t first = key < 0 ? 0 : starts[key];
    const std::uint32_t end = key < 0 ? 0 : starts[key + 1];
    std::size_t sum = 0;
    for (std::uint32_t i = first; i < end; i++) {
        sum += segments[i].length;
    }
    if (is_list()) {
        return sum + 2 + (end > first ? end - first - 1 : 0);
    }
    return end > first ? sum : 4;
}

char* ChildSet::put(char* to, std::int32_t key, const char* texts) const {
    if (is_count()) {
        char number[MAXINT8LEN + 1];
        const int length = pg_lltoa(count(key), number);
        std::memcpy(to, number, static_cast<std::size_t>(length));
        return to + length;
    }
    const std::uint32_t first = key < 0 ? 0 : starts[key];
    const std::uint32_t end = key < 0 ? 0 : starts[key + 1];
    if (!is_list() && first == end) {
        std::memcpy(to, "null", 4);
        return to + 4;
    }
    if (is_list()) {
        *to++ = '[';
    }
    for (std::uint32_t i = first; i < end; i++) {
        if (i > first) {
            *to++ = ',';
        }
        std::memcpy(to, texts + segments[i].offset, segments[i].length);
        to += segments[i].length;
    }
    if (is_list()) {
        *to++ = ']';
    }
    return to;
}

Children fetch_children(const Page& page, const Source& source, json::Arena& texts,
                        MemoryContext row_context) {
    Children children{};
    const Request& request = *page.request;
    const Fetch fetch{page, source, row_context, texts};
    for (int i = 0; i < request.table->child_count; i++) {
        if ((request.children & 1U << i) == 0) {
            continue;
        }
        ChildSet& set = children.sets[children.count++];
        set.name = request.table->children[i].name;
        set.kind = request.table->children[i].kind;
        fetch_set(fetch, set);
    }
    return children;
}

}  // namespace muster::read
