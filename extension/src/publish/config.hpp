// What one publishing trigger was told, resolved against its table as the table is now.
//
// A trigger's arguments name columns; rows are read by number. The resolved form is made once per
// backend and trigger, and made again after the table or the trigger has changed.
#pragma once

#include "json/value.hpp"
#include "publish/server.hpp"

namespace muster::publish {

// What a payload holds.
enum class Payload : uint8_t {
    Changes,  // for an update what changed, and the shown columns
    Row,      // the shown columns
    Key,      // the key
    Event,    // the row is an event itself: its own type, aggregate, payload and metadata
};

struct Column {
    AttrNumber number;
    int16 length;
    bool by_value;
    bool published;  // its value may be told
    bool watched;    // a change of its value is announced
    bool in_key;
    json::ValueWriter writer;
    FmgrInfo* output;   // its type's own way of writing it
    bool plain_output;  // whose text depends on no setting
    const char* name;
    const char* member;  // the name as a JSON member: quoted, escaped, with its colon
    size_t member_length;
};

// A choice of columns, as indexes into Config::columns.
struct Choice {
    const int* items;
    int count;
    const int* begin() const { return items; }
    const int* end() const { return items + count; }
};

// The columns of a row that is an event, as indexes into Config::columns, or -1.
struct EventColumns {
    int event_type, aggregate_type, aggregate_id, payload, metadata;
};

struct Config {
    Oid relation;
    Oid root;  // the partitioned table that was published, or the relation itself
    Payload payload;
    const char* event_type;
    const char* aggregate_type;
    const char* table_name;  // the root's
    const Column* columns;   // all there are
    int column_count;
    Choice shown;
    bool names_shown;  // they were named, so that they are in every payload of their mode
    Choice key;
    int agent_id;  // the column of that name, or -1
    EventColumns event;
};

// The configuration of the trigger on the relation. What it points at lives until the transaction's
// end at least, whatever becomes of the table meanwhile.
Config trigger_config(Relation relation, const Trigger& trigger);

// Registers what keeps configurations fresh. Once per backend.
void config_init();

}  // namespace muster::publish
