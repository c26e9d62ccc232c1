// Included before everything else where the writer itself is compiled: documents too large for a
// value should not have to be a gigabyte.
#pragma once

#include "compat.hpp"

namespace fuzz {
extern std::size_t size_limit;
}

#undef MaxAllocSize
#define MaxAllocSize (::fuzz::size_limit)
