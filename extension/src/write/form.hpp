// What the bodies of POST and PATCH may hold: for each table its members, their kinds and their
// columns.
#pragma once

#include "pg.hpp"

namespace muster::write {

enum class Kind : uint8_t {
    Text,
    Uuid,
    Integer,
    Bigint,
    Number,
    Boolean,
    Time,     // RFC 3339; without an offset it is UTC
    Object,   // jsonb
    List,     // jsonb
    Json,     // jsonb, whatever it is
    Strings,  // text[]
};

enum class Need : uint8_t {
    Optional,  // null leaves the default when creating, and is refused when updating
    Required,  // when creating
    Nullable,  // null is a value
};

struct Member {
    const char* name;    // in the body
    const char* column;  // two members of one column are aliases, of which the first given counts
    Kind kind;
    Need need = Need::Optional;
    const char* allowed = nullptr;  // the values a text may have, separated by spaces
    int lowest = INT32_MIN;         // of an integer
    int highest = INT32_MAX;
    const char* parent =
        nullptr;  // the object in the body that holds the member, if not the body itself
};

// A set bit for each member, so a form has at most 64 of them.
using MemberSet = uint64_t;

struct Form {
    const char* table;
    const Member* members;
    int count;
};

// How an item is named and shown once it has been written.
struct Item {
    const char* key;   // an expression over the table's columns
    Oid key_type;      // its type
    const char* call;  // the reading function's call with the key as $1
};

struct Resource {
    Form create;
    Form update;
    bool keeps_updated_at;
    Item item;
};

// The members of a new goal that say whose it is.
constexpr int goal_agent_id = 0;
constexpr int goal_agent_did = 1;

extern const Resource agents;
extern const Resource goals;
extern const Resource tools;
extern const Resource tool_executions;
extern const Resource events;

}  // namespace muster::write
