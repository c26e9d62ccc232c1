// Waking: a commit that wrote the outbox sets the latch of its database's relay, if that sleeps.
//
// NOTIFY would take a lock of the whole cluster through the commit's flush, one writer after the
// other. Here a writer that has committed looks at one word in shared memory, and only when the
// relay has said there that it sleeps does one writer of many take the word and set its latch.
//
// It takes shared_preload_libraries, since shared memory is handed out at the server's start.
// Without, everything else works and the relay polls. COMMIT PREPARED wakes nobody, for it runs in
// a session that has not written: the relay's sleep is bounded.
#pragma once

#include "wake/server.hpp"

namespace muster::wake {

// Defines the setting, asks for the shared memory and registers the callbacks. Once per process,
// from _PG_init.
void init();

// Says that the current transaction has written the outbox: its commit wakes the relay.
void at_commit();

}  // namespace muster::wake
