// The server's headers that reading needs beyond json's.
#pragma once

#include "json/server.hpp"

extern "C" {
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "lib/stringinfo.h"
#include "nodes/params.h"
#include "parser/parsetree.h"
#include "parser/scansup.h"
#include "storage/proc.h"
#include "tcop/dest.h"
#include "utils/hsearch.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"
}
