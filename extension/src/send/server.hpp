// The server's headers that sending needs.
#pragma once

#include "compat.hpp"

// The header of Port would want Kerberos' headers, which do not come with the server's. Of a Port
// nothing but its address is used here.
#undef ENABLE_GSS

extern "C" {
#include "libpq/libpq.h"
#include "port/pg_bswap.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
}
