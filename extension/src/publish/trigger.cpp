// The publishing trigger: one changed row becomes one row of the outbox, and one truncation does.
#include "publish/publish.hpp"

#include "publish/config.hpp"
#include "publish/outbox.hpp"
#include "publish/payload.hpp"

extern "C" {
PGDLLEXPORT Datum muster_publish_change(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(muster_publish_change);
}

namespace muster::publish {
namespace {

// muster.publish: off mutes the session.
bool enabled = true;

// The table's name, a key and an agent, the last two perhaps twice since an update may move a row.
constexpr int max_tags = 5;

struct Tags {
    Datum items[max_tags];
    int count = 0;

    // Adds `<scope>:<key>`, or `<scope>` alone.
    void add(const char* scope, const std::string_view* key = nullptr) {
        const size_t scope_length = strlen(scope);
        const size_t length = scope_length + (key != nullptr ? 1 + key->size() : 0);
        auto* tag = static_cast<text*>(palloc(VARHDRSZ + length));
        SET_VARSIZE(tag, VARHDRSZ + length);
        memcpy(VARDATA(tag), scope, scope_length);
        if (key != nullptr) {
            VARDATA(tag)[scope_length] = ':';
            memcpy(VARDATA(tag) + scope_length + 1, key->data(), key->size());
        }
        items[count++] = PointerGetDatum(tag);
    }

    ArrayType* array() { return construct_array(items, count, TEXTOID, -1, false, TYPALIGN_INT); }
};

// The tags by which caches know what a change concerns. A row whose key or agent changed concerns
// both the old and the new one; `before` is null where neither can have.
ArrayType* change_tags(const Config& config, std::string_view key, const Row& row,
                       const Row* before) {
    Tags tags;
    tags.add(config.table_name);
    tags.add(config.table_name, &key);
    if (before != nullptr) {
        const std::string_view old_key = key_text(config, *before);
        if (old_key != key) {
            tags.add(config.table_name, &old_key);
        }
    }
    if (config.agent_id >= 0) {
        const std::string_view agent = bare_text(config.columns[config.agent_id], row);
        if (!agent.empty()) {
            tags.add("agents", &agent);
        }
        if (before != nullptr) {
            const std::string_view old_agent = bare_text(config.columns[config.agent_id], *before);
            if (!old_agent.empty() && old_agent != agent) {
                tags.add("agents", &old_agent);
            }
        }
    }
    return tags.array();
}

std::string_view event_column(const Config& config, const Row& row, int column) {
    return column < 0 ? std::string_view{} : bare_text(config.columns[column], row);
}

Row deform(TupleTableSlot* slot) {
    slot_getallattrs(slot);
    return {slot->tts_values, slot->tts_isnull};
}

// Writes what happened to the row into the outbox. `before` is null unless it was an update.
void publish(const Config& config, const Row& row, const Row* before, bool deleted) {
    Difference difference{};
    if (before != nullptr) {
        difference = compare(config, *before, row);
        if (!difference.any) {
            return;
        }
    }
    const std::string_view key = key_text(config, row);
    Message message{};
    const bool may_have_moved =
        difference.key || (config.agent_id >= 0 && difference.changed != nullptr &&
                           difference.changed[config.agent_id]);
    message.tags = change_tags(config, key, row, may_have_moved ? before : nullptr);
    if (config.payload == Payload::Event) {
        message.event_type = event_column(config, row, config.event.event_type);
        message.aggregate_type = event_column(config, row, config.event.aggregate_type);
        message.aggregate_id = event_column(config, row, config.event.aggregate_id);
        message.payload = json_column(config, row, config.event.payload);
        message.metadata = json_column(config, row, config.event.metadata);
    } else {
        message.event_type = config.event_type;
        message.aggregate_type = config.aggregate_type;
        message.aggregate_id = key;
        message.payload =
            change_payload(config, row, deleted, before != nullptr ? &difference : nullptr);
        message.metadata = "{}";
    }
    outbox_insert(message);
}

// Writes into the outbox that the table has no rows any more. The tag is the table's alone, without
// a key, for it concerns all of them.
void publish_truncation(const Config& config) {
    Tags tags;
    tags.add(config.table_name);
    Message message{};
    message.event_type = config.event_type;
    message.aggregate_type = config.aggregate_type;
    message.tags = tags.array();
    message.payload = "{}";
    message.metadata = "{}";
    outbox_insert(message);
}

}  // namespace

void init() {
    DefineCustomBoolVariable("muster.publish", "Publishes the changes of published tables.",
                             "Turning it off mutes the session's changes, as for bulk repairs.",
                             &enabled, true, PGC_SUSET, 0, nullptr, nullptr, nullptr);
    outbox_init();
    config_init();
}

}  // namespace muster::publish

Datum muster_publish_change(PG_FUNCTION_ARGS) {
    using namespace muster::publish;

    // The function can be made a trigger only by who may execute it, and called by nobody.
    if (!CALLED_AS_TRIGGER(fcinfo)) {
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                        errmsg("muster.publish_change() can only be called as a trigger"),
                        errhint("Publish a table with muster.publish().")));
    }
    const auto* data = reinterpret_cast<TriggerData*>(fcinfo->context);
    const bool truncated = TRIGGER_FIRED_BY_TRUNCATE(data->tg_event);
    if (!TRIGGER_FIRED_AFTER(data->tg_event) ||
        (!TRIGGER_FIRED_FOR_ROW(data->tg_event) && !truncated)) {
        ereport(ERROR,
                (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                 errmsg("trigger \"%s\" must be fired after each row", data->tg_trigger->tgname),
                 errhint("Publish a table with muster.publish().")));
    }
    if (!enabled) {
        return PointerGetDatum(nullptr);
    }

    const Config config = trigger_config(data->tg_relation, *data->tg_trigger);
    if (truncated) {
        publish_truncation(config);
        return PointerGetDatum(nullptr);
    }
    const Row row = deform(data->tg_trigslot);
    if (TRIGGER_FIRED_BY_UPDATE(data->tg_event)) {
        const Row after = deform(data->tg_newslot);
        publish(config, after, &row, false);
    } else {
        publish(config, row, nullptr, TRIGGER_FIRED_BY_DELETE(data->tg_event));
    }
    return PointerGetDatum(nullptr);
}
