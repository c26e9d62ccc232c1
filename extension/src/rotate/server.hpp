// The server's headers that rotating needs beyond pg.hpp's.
#pragma once

#include "compat.hpp"

extern "C" {
#include "access/relation.h"
#include "access/table.h"
#include "commands/tablecmds.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
}
