/* The peer of the publishing trigger: fires for each row, and returns. */
#include "postgres.h"

#include "fmgr.h"

PG_MODULE_MAGIC;

PGDLLEXPORT Datum empty_trigger(PG_FUNCTION_ARGS);
PG_FUNCTION_INFO_V1(empty_trigger);

Datum
empty_trigger(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(NULL);
}
