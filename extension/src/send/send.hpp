// Sending large rows to the client whole.
//
// Up to PostgreSQL 16 every message goes through a buffer of 8 kB: a document of 1.2 MB is copied
// once more and sent in 145 pieces, and whoever reads it at the other end is woken by many of them.
// From 17 on the server itself sends what is larger than the buffer from where it is, and so it
// does here, in a session that has made a large document, by way of the table of functions that
// background workers use to have their messages go elsewhere (PqCommMethods).
#pragma once

#include "send/server.hpp"

namespace muster::send {

// Defines muster.send_whole. Once per backend, from _PG_init.
void init();

// Has the session's large rows sent whole from now on, if `size`, the bytes of a document on its
// way to the client, says that it has such rows.
void expect_row(std::size_t size);

}  // namespace muster::send
