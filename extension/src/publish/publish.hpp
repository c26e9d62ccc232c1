// Publishing: AFTER ROW triggers that carry changes into the outbox. The files of this folder, from
// the bottom: outbox (writing a row), config (what a trigger was told), payload (a row as JSON),
// trigger (what happens to a changed row, or a truncated table).
#pragma once

#include "publish/server.hpp"

namespace muster::publish {

// Defines the settings and registers the callbacks. Once per backend, from _PG_init.
void init();

}  // namespace muster::publish
