// Asking a server to cancel what a connection is running.
#pragma once

#include <libpq-fe.h>

namespace muster::postgres {

// Sends a CancelRequest for `connection` without blocking this thread; whether it arrives shows in
// the answer to the request. At most 8 are under way at once in the process: one more is not sent.
//
// The secret of the packet is known to libpq only, and its PQcancel blocks (libpq 17 has a polling
// way, 15 has not), so it runs on a thread of its own. Deadlines pass rarely, and an unreachable
// server holds 8 sleeping threads at most.
void send_cancel(PGconn* connection);

}  // namespace muster::postgres
