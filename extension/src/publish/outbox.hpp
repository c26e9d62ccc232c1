// The outbox, as the triggers see it: one function that writes one row.
#pragma once

#include "publish/server.hpp"

namespace muster::publish {

// One change on its way out. What it points at must live until outbox_insert() returns.
struct Message {
    std::string_view event_type;
    std::string_view aggregate_type;
    std::string_view aggregate_id;
    ArrayType* tags;            // text[]
    std::string_view payload;   // a JSON object
    std::string_view metadata;  // a JSON object
};

// Writes the message into the one of the outbox's tables that is written to, as part of the current
// transaction, whose commit then wakes the relay. It goes through the table's access method and not
// through a query, so that the writer needs no right on the outbox and pays no plan.
void outbox_insert(const Message& message);

// Registers what keeps the outbox's cached description fresh. Once per backend.
void outbox_init();

}  // namespace muster::publish
