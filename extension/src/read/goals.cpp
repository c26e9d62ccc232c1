// An agent's goals, newest first.
#include "read/fetch.hpp"

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

// created_at DESC NULLS LAST, id DESC. It is not called between a constructor and a destructor that
// matter, so that a sort may be cancelled from here.
bool comes_before(const GoalRow* a, const GoalRow* b) {
    CHECK_FOR_INTERRUPTS();
    if (a->is_null != b->is_null) {
        return b->is_null;
    }
    if (!a->is_null && a->created_at != b->created_at) {
        return a->created_at > b->created_at;
    }
    return std::memcmp(a->id.data, b->id.data, UUID_LEN) > 0;
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

}  // namespace

// Within a key they mostly come in order already, from the index that lists use.
void fetch_goals(const Fetch& fetch, ChildSet& set) {
    GoalReceiver receiver{};
    init_receiver(receiver, fetch.row_context);
    receiver.out = &fetch.out;
    receiver.keys = &fetch.keys();
    receiver.fields = fetch.fields(set);
    receiver.rows = make_list<GoalRow>(1024);
    run_for(Form::GoalsOf, fetch.source, fetch.keys(), receiver.base,
            select_list(fetch.source, goals_table, receiver.fields, 0,
                        {"agent_id", "created_at", "id"}));

    const std::uint32_t key_count = fetch.keys().keys.count;
    const GoalRow** order = group_by_key(receiver.rows, key_count, set.starts);
    for (std::uint32_t k = 0; k < key_count; k++) {
        const GoalRow** first = order + set.starts[k];
        const GoalRow** end = order + set.starts[k + 1];
        if (!std::is_sorted(first, end, comes_before)) {
            std::sort(first, end, comes_before);
        }
    }
    set.segments = make_array<Segment>(receiver.rows.count);
    for (std::uint32_t i = 0; i < receiver.rows.count; i++) {
        set.segments[i] = order[i]->text;
    }
}

}  // namespace muster::read
