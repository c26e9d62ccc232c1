// The server's headers as C++ sees them. Every source file includes this first.
//
// Standard headers come before postgres.h, whose port.h redefines printf and its kin. With
// -fvisibility=hidden PostgreSQL 15 leaves PGDLLEXPORT empty, so that the magic block and the
// functions' info records would vanish: it is defined here, before postgres.h looks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <utility>

#define PGDLLEXPORT __attribute__((visibility("default")))

extern "C" {
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
}
