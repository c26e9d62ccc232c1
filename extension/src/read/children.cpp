// Children of a page.
#include "read/children.hpp"

#include "read/event_count.hpp"

#include <algorithm>

namespace muster::read {
namespace {

// A goal and what it is ordered by.
struct GoalRow {
    std::int32_t key;
    bool is_null;  // created_at
    Segment text;
    Timestamp created_at;
    pg_uuid_t id;
};

// created_at DESC NULLS LAST, id DESC
bool comes_before(const GoalRow& a, const GoalRow& b) {
    if (a.is_null != b.is_null) {
        return b.is_null;
    }
    if (!a.is_null && a.created_at != b.created_at) {
        return a.created_at > b.created_at;
    }
    return std::memcmp(a.id.data, b.id.data, UUID_LEN) > 0;
}

// Appends the row as an object.
Segment put_object(json::Arena& out, const json::RowWriter& writer, TupleTableSlot* slot) {
    const std::size_t start = out.used;
    out.put('{');
    writer.put(out, slot);
    out.put('}');
    return {static_cast<std::uint32_t>(start), static_cast<std::uint32_t>(out.used - start)};
}

struct GoalReceiver {
    Receiver base;
    json::Arena* out;
    const UuidMap* keys;
    const json::Field* fields;
    json::RowWriter writer;
    List<GoalRow> rows;
    AttrNumber agent_attribute;
    AttrNumber created_attribute;
    AttrNumber id_attribute;

    void start(TupleDesc descriptor) {
        agent_attribute = find_column(descriptor, "agent_id", UUIDOID);
        created_attribute = find_column(descriptor, "created_at", TIMESTAMPTZOID, TIMESTAMPOID);
        id_attribute = find_column(descriptor, "id", UUIDOID);
        writer = json::make_row_writer(descriptor);
        add_columns(writer, descriptor, goals_table, fields, 0);
    }

    bool row(TupleTableSlot* slot) {
        GoalRow goal;
        goal.key = keys->find(uuid_of(slot, agent_attribute));
        if (goal.key < 0) {
            return true;
        }
        goal.created_at = DatumGetTimestamp(slot_getattr(slot, created_attribute, &goal.is_null));
        goal.id = uuid_of(slot, id_attribute);
        goal.text = put_object(*out, writer, slot);
        rows.push(goal);
        return true;
    }
};

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

// Rows found by their id, each written once however many refer to it.
struct SharedReceiver {
    Receiver base;
    json::Arena* out;
    const UuidMap* ids;
    const Table* table;
    const json::Field* fields;
    const std::string_view* only;  // these columns instead of all; null for all
    int only_count;
    json::RowWriter writer;
    List<Segment> texts;   // in the order they came
    std::int32_t* places;  // by the id's number: where in texts, or -1
    AttrNumber id_attribute;

    void start(TupleDesc descriptor) {
        id_attribute = find_column(descriptor, "id", UUIDOID);
        writer = json::make_row_writer(descriptor);
        if (only == nullptr) {
            add_columns(writer, descriptor, *table, fields, 0);
            return;
        }
        for (int i = 0; i < only_count; i++) {
            const json::Field* field = fields == nullptr ? nullptr : fields->find(only[i]);
            if (fields == nullptr || field != nullptr) {
                json::add_member(writer, descriptor, find_text_column(descriptor, only[i].data()),
                                 field);
            }
        }
    }

    bool row(TupleTableSlot* slot) {
        const std::int32_t id = ids->find(uuid_of(slot, id_attribute));
        if (id >= 0 && places[id] < 0) {
            places[id] = static_cast<std::int32_t>(texts.count);
            texts.push(put_object(*out, writer, slot));
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
    const char* text = nullptr;
    switch (key.form) {
        case Form::GoalsOf:
            text = "SELECT t.* FROM %s.goals t WHERE t.agent_id OPERATOR(pg_catalog.=) ANY ($1)";
            break;
        case Form::LinksOf:
            text =
                "SELECT t.agent_id, t.tool_id FROM %s.agent_tools t"
                " WHERE t.agent_id OPERATOR(pg_catalog.=) ANY ($1)";
            break;
        case Form::ToolsOf:
            text =
                "SELECT t.* FROM %s.tools t WHERE t.id OPERATOR(pg_catalog.=) ANY ($1)"
                " ORDER BY t.name, t.id";
            break;
        case Form::EventCount:
            text =
                "SELECT t.aggregate_id, pg_catalog.count(*) AS n FROM %s.events t"
                " WHERE t.aggregate_id OPERATOR(pg_catalog.=) ANY ($1) GROUP BY t.aggregate_id";
            break;
        case Form::AgentsOf:
            text =
                "SELECT t.id, t.name, t.did FROM %s.agents t"
                " WHERE t.id OPERATOR(pg_catalog.=) ANY ($1)";
            break;
        case Form::AgentCount:
            text =
                "SELECT t.tool_id, pg_catalog.count(DISTINCT t.agent_id) AS n FROM %s.agent_tools t"
                " WHERE t.tool_id OPERATOR(pg_catalog.=) ANY ($1) GROUP BY t.tool_id";
            break;
        case Form::List:
        case Form::Item:
            pg_unreachable();
    }
    appendStringInfo(sql, text, source.quoted_schema);
}

// Runs the statement for a set of keys. Without keys there is nothing to ask.
void run_for(Form form, const Source& source, const UuidMap& keys, Receiver& receiver) {
    if (keys.keys.count == 0) {
        return;
    }
    PlanKey key{};
    key.schema = source.schema;
    key.form = form;
    Parameters parameters{};
    parameters.add(UUIDARRAYOID, keys.array());
    run(key, source, parameters, make_text, nullptr, receiver);
}

template <class T>
T* make_zeros(std::size_t count) {
    return static_cast<T*>(palloc0(sizeof(T) * count));
}

struct Fetch {
    const Page& page;
    const Source& source;
    MemoryContext row_context;
    json::Arena& out;

    const UuidMap& keys() const { return page.keys; }

    void goals(ChildSet& set) const {
        GoalReceiver receiver{};
        init_receiver(receiver, row_context);
        receiver.out = &out;
        receiver.keys = &keys();
        receiver.fields = page.request->fields_of(set.name);
        receiver.rows = make_list<GoalRow>(1024);
        run_for(Form::GoalsOf, source, keys(), receiver.base);
        distribute(set, receiver.rows);
    }

    // Orders the goals by key, and within a key; there they mostly come in order already, from the
    // index that lists use.
    void distribute(ChildSet& set, const List<GoalRow>& rows) const {
        set.starts = make_zeros<std::uint32_t>(keys().keys.count + 2);
        for (const GoalRow& goal : rows) {
            set.starts[goal.key + 2]++;
        }
        for (std::uint32_t k = 0; k < keys().keys.count; k++) {
            set.starts[k + 2] += set.starts[k + 1];
        }
        auto* order = static_cast<const GoalRow**>(
            MemoryContextAllocHuge(CurrentMemoryContext, sizeof(void*) * (rows.count + 1UL)));
        for (const GoalRow& goal : rows) {
            order[set.starts[goal.key + 1]++] = &goal;
        }
        const auto before = [](const GoalRow* a, const GoalRow* b) { return comes_before(*a, *b); };
        for (std::uint32_t k = 0; k < keys().keys.count; k++) {
            const GoalRow** first = order + set.starts[k];
            const GoalRow** end = order + set.starts[k + 1];
            if (!std::is_sorted(first, end, before)) {
                std::sort(first, end, before);
            }
        }
        set.segments = make_segments(rows.count);
        for (std::uint32_t i = 0; i < rows.count; i++) {
            set.segments[i] = order[i]->text;
        }
    }

    static Segment* make_segments(std::size_t count) {
        return static_cast<Segment*>(
            MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Segment) * (count + 1)));
    }

    SharedReceiver shared(const UuidMap& ids, const Table& table, const json::Field* fields) const {
        SharedReceiver receiver{};
        init_receiver(receiver, row_context);
        receiver.out = &out;
        receiver.ids = &ids;
        receiver.table = &table;
        receiver.fields = fields;
        receiver.texts = make_list<Segment>();
        receiver.places =
            static_cast<std::int32_t*>(palloc(sizeof(std::int32_t) * (ids.keys.count + 1UL)));
        std::memset(receiver.places, 0xFF, sizeof(std::int32_t) * ids.keys.count);
        return receiver;
    }

    void tools(ChildSet& set) const {
        UuidMap ids = make_uuid_map();
        LinkReceiver receiver{};
        init_receiver(receiver, row_context);
        receiver.keys = &keys();
        receiver.tools = &ids;
        receiver.links = make_list<Link>(1024);
        run_for(Form::LinksOf, source, keys(), receiver.base);

        SharedReceiver found = shared(ids, tools_table, page.request->fields_of(set.name));
        run_for(Form::ToolsOf, source, ids, found.base);

        // The tools come by name, so that their places are their order.
        List<std::uint64_t> order = make_list<std::uint64_t>(receiver.links.count + 1);
        for (const Link& link : receiver.links) {
            const std::int32_t place = found.places[link.tool];
            if (place >= 0) {
                order.push(static_cast<std::uint64_t>(link.key) << 32 |
                           static_cast<std::uint32_t>(place));
            }
        }
        std::sort(order.begin(), order.end());
        const std::uint64_t* end = std::unique(order.begin(), order.end());
        set.starts = make_zeros<std::uint32_t>(keys().keys.count + 2);
        set.segments = make_segments(order.count);
        std::uint32_t count = 0;
        for (const std::uint64_t* item = order.begin(); item < end; item++) {
            set.segments[count++] = found.texts[*item & PG_UINT32_MAX];
            set.starts[(*item >> 32) + 1] = count;
        }
        for (std::uint32_t k = 0; k < keys().keys.count; k++) {
            set.starts[k + 1] = Max(set.starts[k + 1], set.starts[k]);
        }
    }

    // A goal's agent: the page's keys are the agents' own.
    void agents(ChildSet& set) const {
        static constexpr std::string_view shown[] = {"name", "did"};
        SharedReceiver found = shared(keys(), agents_table, page.request->fields_of(set.name));
        found.only = shown;
        found.only_count = 2;
        run_for(Form::AgentsOf, source, keys(), found.base);
        set.starts = make_zeros<std::uint32_t>(keys().keys.count + 2);
        set.segments = make_segments(keys().keys.count);
        std::uint32_t count = 0;
        for (std::uint32_t k = 0; k < keys().keys.count; k++) {
            if (found.places[k] >= 0) {
                set.segments[count++] = found.texts[static_cast<std::size_t>(found.places[k])];
            }
            set.starts[k + 1] = count;
        }
    }

    void counts(ChildSet& set, Form form, const char* key_column) const {
        CountReceiver receiver{};
        init_receiver(receiver, row_context);
        receiver.keys = &keys();
        receiver.key_column = key_column;
        receiver.counts = set.counts = make_zeros<std::int64_t>(keys().keys.count + 1);
        if (form == Form::EventCount && sum_event_counts(source, keys(), set.counts)) {
            return;
        }
        run_for(form, source, keys(), receiver.base);
    }

    void fetch(ChildSet& set) const {
        switch (set.kind) {
            case ChildKind::Goals:
                return goals(set);
            case ChildKind::Tools:
                return tools(set);
            case ChildKind::EventCount:
                return counts(set, Form::EventCount, "aggregate_id");
            case ChildKind::Agent:
                return agents(set);
            case ChildKind::AgentCount:
                return counts(set, Form::AgentCount, "tool_id");
        }
    }
};

static_assert(std::is_trivially_destructible_v<Fetch>);

std::size_t digits(std::int64_t count) {
    std::size_t n = 1;
    while (count >= 10) {
        count /= 10;
        n++;
    }
    return n;
}

}  // namespace

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
        fetch.fetch(set);
    }
    return children;
}

}  // namespace muster::read
